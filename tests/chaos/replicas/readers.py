"""The ways in which a device learns what is new: it asks, and may wait for an answer, or it is told by a stream."""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable

import httpx

from tests.chaos.replicas.line import Line
from tests.chaos.replicas.store import Answer, Request, Store

PLURALS = {"task": "tasks", "project": "projects"}
HEAD, RESYNC = "event: head", 'data: "RESYNC"'
SILENCE = 20.0  # seconds; a stream says something every 15


class Reader(ABC):
    """Keeps the copy, as docs/guide/sync.md says."""

    def __init__(self, store: Store, line: Line, chance: random.Random) -> None:
        self.store, self.line, self.random = store, line, chance

    @abstractmethod
    def read(self) -> bool:
        """One step; returns whether to rest before the next one."""

    def catch_up(self, wait: int = 0, tag: str = "") -> bool:
        """Read until nothing is new; False without an answer."""
        while (more := self._page(wait, {"If-None-Match": tag} if tag else {})) is True:
            pass
        return more is not None

    def _page(self, wait: int, headers: dict[str, str]) -> bool | None:
        """Read and apply a page; returns whether there is more, None without an answer."""
        cursor = self.store.kept("cursor")
        since = f"&since={cursor}" if cursor else ""
        path = f"/changes?limit={self.random.choice([3, 20, 500])}&wait={wait}{since}"
        answer = self.line.ask(Request("GET", path, None, headers))
        return None if answer is None else self._apply(answer)

    def _apply(self, answer: Answer) -> bool | None:
        """A page and its cursor are kept together, or neither."""
        with self.store.transaction():
            self.store.note(answer)
            if answer.status == 410:
                self.store.drop_copy()
                return True
            if answer.status != 200:
                return False if answer.status == 304 else None
            for change in answer.body["changes"]:
                if "deleted" in change:
                    self.store.remove(change["type"], change["id"], change["uid"])
                else:
                    self.store.put(change["type"], change["object"])
            self.store.keep("cursor", answer.body["cursor"])
            if not answer.body["more"]:
                self.store.keep("head", str(answer.number))
            return bool(answer.body["more"])


class Asking(Reader):
    """Asks with the ETag that it has or without one, and mostly lets the service wait until there is something."""

    def read(self) -> bool:
        head, wait = self.store.kept("head"), self.random.choice([0, 1, 5])
        is_answered = self.catch_up(wait, f'"{head}"' if head and self.random.random() < 0.5 else "")
        return wait == 0 or not is_answered


class Streaming(Reader):
    """Reads after each event, and asks for another stream when one has broken off."""

    def read(self) -> bool:
        return not self.catch_up() or listen(self.line, "/stream", HEAD, self.catch_up, self.store.kept("cursor"))


def listen(line: Line, path: str, event: str, act: Callable[[], bool], last: str | None = None) -> bool:
    """Act at each event of a stream, until the stream or the action fails. Returns True: to rest then."""
    if not line.is_signed_in():
        return True
    headers = {"Last-Event-ID": last} if last else {}
    try:
        with line.http.stream(
            "GET", f"/api/me{path}", headers=headers, timeout=httpx.Timeout(30, read=SILENCE)
        ) as stream:
            for told in stream.iter_lines():
                if line.weather.is_offline() or (told == event and not act()):
                    break
    except httpx.TransportError:
        pass
    return True


class ByTime(Reader):
    """The control: asks for what was updated since the last moment that it has seen."""

    def read(self) -> bool:
        for type_, plural in PLURALS.items():
            last = self.store.kept(type_)
            since = f"&updated_since={last}" if last else ""
            path: str | None = f"/{plural}?sort=updated&limit=200{since}"
            answer = self.line.ask(Request("GET", path or ""))
            if answer is None or answer.status != 200:
                continue
            with self.store.transaction():
                for shown in answer.body:
                    self.store.put(type_, shown)
                    self.store.keep(type_, shown["updated_at"])
        return True
