"""What 1,000 streams cost two workers: `python -m tests.benchmarks.streams`.

Memory and CPU of the workers, how long after the answer to a write the user's streams are told, and a GET beside them.
With `--minutes 10`: whether memory stays flat while 1,000 clients come and go for so long.
"""

import asyncio
import random
import statistics
import sys
import time
from argparse import ArgumentParser
from collections import Counter
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import httpx

from config.server.streams import OF_KEY
from tests.server import Server
from tests.streaming import PASSWORD, opened, opened_many

STREAMS = 1000
ENVIRONMENT = {"WORKERS": "2", "NETWORK_REQUESTS": "4096"}
WRITES = 100
GETS = 300
WRITE_SECONDS = 0.2  # between two writes of anybody, while clients come and go
SAMPLE_SECONDS = 30
KIB, MIB = 1024, 1024 * 1024
NOT_KEPT = httpx.Limits(max_keepalive_connections=0)  # a connection for each request, so both workers get some


class Person:
    """An account with ten clients."""

    def __init__(self, server: Server) -> None:
        self._api = httpx.Client(base_url=server.base, timeout=60, limits=NOT_KEPT)
        self._take(self._api.post("/api/auth/register", json={"email": f"{uuid4()}@example.com", "password": PASSWORD}))

    def _take(self, answer: httpx.Response) -> None:
        tokens = answer.raise_for_status().json()
        self.access, self._refresh, self._renewed_at = tokens["access"], tokens["refresh"], time.monotonic()

    def renew(self) -> None:
        """The access token, if its last third has begun."""
        if time.monotonic() > self._renewed_at + 400:
            self._take(self._api.post("/api/auth/refresh", json={"refresh": self._refresh}))

    def send(self, method: str, path: str, **body: str) -> None:
        headers = {"Authorization": f"Bearer {self.access}"}
        self._api.request(method, path, json=body or None, headers=headers).raise_for_status()

    def write(self) -> None:
        self.send("POST", "/api/me/tasks", title="Water the plants")

    def read(self) -> float:
        """Returns the milliseconds."""
        began = time.perf_counter()
        self.send("GET", "/api/me/tasks")
        return (time.perf_counter() - began) * 1000


class Workers:
    def __init__(self, server: Server) -> None:
        self._processes = server.workers()

    def memory(self) -> int:
        """Bytes that are theirs alone."""
        return sum(int(each.memory_full_info().uss) for each in self._processes)

    def cpu(self) -> float:
        return sum(sum(each.cpu_times()[:2]) for each in self._processes)


def quantiles(times: list[float]) -> str:
    return f"p50 {statistics.median(times):.1f}, p95 {statistics.quantiles(times, n=20)[-1]:.1f}, most {max(times):.1f}"


def show(name: str, figure: str) -> None:
    sys.stdout.write(f"{name:44}{figure}\n")
    sys.stdout.flush()


async def still(server: Server, people: list[Person], idle_seconds: float) -> None:
    """All of them open, and nobody comes or goes."""
    workers, tokens = Workers(server), [person.access for person in people for _ in range(OF_KEY)]
    async with opened_many(server, tokens[:50]):  # what the first ones make stays
        pass
    show("a GET, ms, without streams", quantiles([await asyncio.to_thread(people[0].read) for _ in range(GETS)]))
    before, began = workers.memory(), time.monotonic()
    async with opened_many(server, tokens) as streams:
        show(f"{len(streams)} streams opened, s", f"{time.monotonic() - began:.1f}")
        show("memory of each, KiB", f"{(workers.memory() - before) / len(streams) / KIB:.1f}")
        used, began = workers.cpu(), time.monotonic()
        await asyncio.sleep(idle_seconds)
        idle = (workers.cpu() - used) / (time.monotonic() - began)
        show("CPU when idle, % of a core", f"{idle * 100:.1f}")
        show("a GET beside them, ms", quantiles([await asyncio.to_thread(people[0].read) for _ in range(GETS)]))
        delays: list[float] = []
        for number in range(WRITES):
            own = number % len(people)
            await asyncio.to_thread(people[own].write)
            answered = time.perf_counter()

            async def told(index: int, since: float = answered) -> float:
                await streams[index].head()
                return (time.perf_counter() - since) * 1000

            delays += await asyncio.gather(*map(told, range(own * OF_KEY, (own + 1) * OF_KEY)))
        show("wake-up after the answer, ms, both workers", quantiles(delays))


class Crowd:
    """Clients stay for a while, break off, and come back with the last event's id, as EventSource does."""

    def __init__(self, server: Server, people: list[Person], minutes: float, stay: float) -> None:
        self._server, self._people, self._workers = server, people, Workers(server)
        self._stays = stay / 10, stay
        self._began = time.monotonic()
        self._until = self._began + minutes * 60
        self._counts = Counter[str]()
        self._dice = random.Random("tickbase")

    async def come_and_go(self) -> None:
        clients = (self._client(person) for person in self._people for _ in range(OF_KEY))
        await asyncio.gather(self._write(), self._sample(), *clients)

    async def _client(self, person: Person) -> None:
        known = ""
        await asyncio.sleep(self._dice.uniform(0, self._stays[1]))
        while time.monotonic() < self._until:
            try:
                known = await self._stay(person, known)
            except (OSError, EOFError) as error:
                self._counts[type(error).__name__] += 1

    async def _stay(self, person: Person, known: str) -> str:
        """Returns the id of the last event."""
        leaves_at = min(self._until, time.monotonic() + self._dice.uniform(*self._stays))
        headers = {"Last_Event_ID": known} if known else {}
        async with opened(self._server, person.access, **headers) as stream:
            self._counts[f"answers {stream.status}"] += 1
            with suppress(TimeoutError):
                while stream.status == 200:
                    event = await stream.next(leaves_at - time.monotonic())
                    if event is None or event.name != "head":
                        self._counts["ends"] += 1
                        break
                    known = event.id
                    self._counts["events"] += 1
        return known

    async def _write(self) -> None:
        while time.monotonic() < self._until:
            person = self._dice.choice(self._people)
            await asyncio.to_thread(person.renew)
            await asyncio.to_thread(person.write)
            await asyncio.sleep(WRITE_SECONDS)

    async def _sample(self) -> None:
        while time.monotonic() < self._until:
            used, since = self._workers.cpu(), time.monotonic()
            await asyncio.sleep(SAMPLE_SECONDS)
            busy = (self._workers.cpu() - used) / (time.monotonic() - since)
            figure = f"{self._workers.memory() / MIB:.1f} MiB, {busy * 100:.0f} % of a core, {dict(self._counts)}"
            show(f"after {(time.monotonic() - self._began) / 60:.1f} min", figure)


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=STREAMS, help="default %(default)s")
    parser.add_argument("--idle", type=float, default=20, help="seconds in which nothing happens, default %(default)s")
    parser.add_argument("--minutes", type=float, default=0, help="let clients come and go for so long, instead")
    parser.add_argument("--stay", type=float, default=55, help="seconds of each visit, at most, default %(default)s")
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="tickbase-") as folder, Server(Path(folder), **ENVIRONMENT) as server:
        people = [Person(server) for _ in range(arguments.streams // OF_KEY)]
        if arguments.minutes:
            asyncio.run(Crowd(server, people, arguments.minutes, arguments.stay).come_and_go())
        else:
            asyncio.run(still(server, people, arguments.idle))


if __name__ == "__main__":
    main()
