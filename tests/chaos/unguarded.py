"""`python -m tests.chaos.unguarded serve`: the service without its walls against cost, for the controls."""

import os
from collections.abc import Callable, Hashable
from typing import Any

from config.database import session
from config.server import bodies, bridge, heads, launcher, responses, threads
from config.server.threads import Result, ThreadPool

ENDLESS = 10**9


class Unfair(ThreadPool[Result]):
    """Every call has a key of its own, and every lane four threads."""

    def __init__(self, count: int, **_: Any) -> None:
        super().__init__(4, per_key=ENDLESS)

    async def run(self, call: Callable[[], Result], key: Hashable, *_: Any, **__: Any) -> Result:
        return await super().run(call, object())


def main() -> None:
    """The workers are forked from here."""
    os.environ["NETWORK_REQUESTS"] = "4096"
    bridge.ThreadPool = Unfair  # type: ignore[attr-defined]
    heads.PATH = heads.QUERY = heads.HEADER = ENDLESS
    heads.HEADERS |= dict.fromkeys(heads.HEADERS, ENDLESS)
    session.SEARCH_SECONDS = ENDLESS
    responses.COOLDOWN = responses.PAUSE = threads.COOLDOWN = 0
    responses.IN_MEMORY, responses.CHUNK = 256 * 1024, 64 * 1024
    responses.BYTES_OF_KEY = responses.FILES = responses.FILES_OF_NETWORK = responses.FILES_OF_KEY = ENDLESS
    bodies.LARGE_OF_CALLER = ENDLESS
    launcher.BUFFER = 8192 + 4096 * 100
    from manage import main as manage

    manage()


if __name__ == "__main__":
    main()
