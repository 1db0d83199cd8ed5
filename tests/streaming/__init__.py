"""Reads streams of server-sent events over real sockets, many at once."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple, Protocol
from uuid import uuid4

import httpx

from tests.server import Server

PASSWORD = "correct horse battery"


class Listening(Protocol):
    """A server, or a URL of a proxy in front of it."""

    @property
    def port(self) -> int | None: ...


class Event(NamedTuple):
    name: str
    id: str
    data: Any


class EventStream:
    """One stream, with the head of its answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer
        self.status = 0
        self.headers: dict[str, str] = {}
        self.retry = 0
        self.comments = 0

    async def read_head(self) -> None:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
        self.status = int(head[0].split()[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}

    async def problem(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(await self._reader.readexactly(int(self.headers["content-length"])))
        return found

    async def next(self, seconds: float = 30) -> Event | None:
        """The next event; None at the end of the stream."""
        async with asyncio.timeout(seconds):
            return await self._next()

    async def _next(self) -> Event | None:
        fields: dict[str, str] = {}
        while line := await self._reader.readline():
            if line.endswith(b"\r\n"):  # of the chunks; those of the events end otherwise
                if line == b"0\r\n":
                    return None
                continue
            name, _, value = line.decode().rstrip("\n").partition(":")
            if line == b"\n":
                if "event" in fields:
                    return Event(fields["event"], fields.get("id", ""), json.loads(fields["data"]))
            elif name == "retry":
                self.retry = int(value)
            elif not name:
                self.comments += 1
            else:
                fields[name] = value.removeprefix(" ")
        return None

    async def head(self, seconds: float = 30) -> str:
        """The cursor of the next event, which has to be a head."""
        event = await self.next(seconds)
        assert event is not None and event.name == "head" and event.data == {"cursor": event.id}
        return event.id


@asynccontextmanager
async def opened(server: Listening, token: str = "", query: str = "", **headers: str) -> AsyncIterator[EventStream]:
    """A stream on a connection of its own, whose answer has begun."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    fields = {"Host": "localhost", **headers} | ({"Authorization": f"Bearer {token}"} if token else {})
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    writer.write(f"GET /api/me/stream{query} HTTP/1.1\r\n{lines}\r\n".encode())
    stream = EventStream(reader, writer)
    try:
        async with asyncio.timeout(30):
            await stream.read_head()
        yield stream
    finally:
        writer.transport.abort()


@asynccontextmanager
async def opened_many(server: Server, tokens: Sequence[str]) -> AsyncIterator[list[EventStream]]:
    """A stream for each token, whose first events are read; some at a time, as all are of one network."""
    gate = asyncio.Semaphore(8)
    async with AsyncExitStack() as held:

        async def one(token: str) -> EventStream:
            async with gate:
                stream = await held.enter_async_context(opened(server, token))
                assert stream.status == 200, await stream.problem()
                await stream.head()
                return stream

        yield await asyncio.gather(*map(one, tokens))


class Account(NamedTuple):
    api: httpx.Client
    token: str

    def add(self) -> int:
        """One more task; returns its version."""
        answer = self.api.post("/api/me/tasks", json={"title": "a"})
        assert answer.status_code == 201, answer.text
        version: int = answer.json()["version"]
        return version

    def try_to_add(self) -> int:
        return self.api.post("/api/me/tasks", json={"title": "a"}).status_code


def make_account(server: Server) -> Account:
    # A connection for each request: so both workers get some, and none has to be closed.
    limits = httpx.Limits(max_keepalive_connections=0)
    api = httpx.Client(base_url=server.base, timeout=30, limits=limits)
    body = {"email": f"{uuid4()}@example.com", "password": PASSWORD}
    token = api.post("/api/auth/register", json=body).json()["access"]
    api.headers["Authorization"] = f"Bearer {token}"
    return Account(api, token)
