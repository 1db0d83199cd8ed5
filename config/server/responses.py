"""Buffers responses of a WSGI application, large ones in temporary files, and sends them as clients read."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Hashable, Iterable
from contextlib import ExitStack, suppress
from functools import lru_cache, partial
from tempfile import TemporaryFile
from threading import Lock
from time import sleep, thread_time
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Self

from asgiref.typing import ASGISendCallable

from config.server import streams
from config.server.streams import Stream, Wait
from config.server.threads import ThreadPool

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

# Bytes of a response that are handed to the server at once, which keeps them until the client reads. Of larger ones it
# gets a chunk at a time: it holds four of them and its own buffer (`launcher.BUFFER`), the rest lies in a file.
IN_MEMORY = 32 * 1024
CHUNK = 16 * 1024
# Times the CPU time of the last piece of a large response, for which its thread leaves the interpreter to others:
# without it, another user's request waits three times as long beside an export: each step of it, for one of ours.
COOLDOWN = 2
# After so many bytes of a file, a pause follows each chunk, of so many seconds times the square of the number of the
# caller's files, four of them at most: one gets 8 MB/s, two get 4 together, four get 2; more are those of a network,
# with half a MB/s each. The kernel takes megabytes that nobody reads, and what is sent makes room for another answer,
# which costs milliseconds to make.
AT_FULL_SPEED, PAUSE = 256 * 1024, 0.002
# What lies in files until it is sent: bytes and responses, of all and of one caller, whose next request waits then. Of
# an account fewer, as each took PostgreSQL and a thread milliseconds; what large answers a network without an account
# gets are files as they are.
BYTES, BYTES_OF_KEY = 1024 * 1024 * 1024, 128 * 1024 * 1024
FILES, FILES_OF_NETWORK, FILES_OF_KEY = 512, 32, 4
ALL = object()  # the key of what all callers take

Headers = list[tuple[bytes, bytes]]


class GrowingBody:
    """A body that a thread still writes into a file, while the event loop sends what is there.

    So a client sees the beginning at once, and yet holds no thread, however slowly it reads. `made` is done when the
    thread is. What fails by then breaks the body off, which the client notices: its last chunk is missing (RFC 9112,
    section 8).
    """

    def __init__(self, file: IO[bytes], made: "asyncio.Future[Response]", loop: asyncio.AbstractEventLoop) -> None:
        self.file, self.made = file, made
        self.is_given_up = False
        self._size = 0
        self._loop, self._moved = loop, asyncio.Event()
        loop.call_soon_threadsafe(made.add_done_callback, lambda _: self._moved.set())

    def add(self, size: int) -> None:
        """By the thread, after it has written. Raises GivenUpError."""
        if self.is_given_up:
            raise GivenUpError
        self._size += size
        self._loop.call_soon_threadsafe(self._moved.set)

    async def chunks(self) -> AsyncIterator[bytes]:
        sent = 0
        while True:
            self._moved.clear()
            is_made = self.made.done()
            while sent < self._size:
                chunk = os.pread(self.file.fileno(), CHUNK, sent)
                sent += len(chunk)
                yield chunk
            if is_made:
                return
            await self._moved.wait()

    @property
    def error(self) -> BaseException | None:
        """Why it is not whole."""
        return self.made.exception()

    async def close(self) -> None:
        self.is_given_up = True
        await asyncio.wait({self.made})
        self.file.close()


class GivenUpError(Exception):
    """Nobody reads the response any more."""


class Response(NamedTuple):
    status: int
    headers: Headers
    body: bytes | IO[bytes] | GrowingBody
    follow: Stream | Wait | None = None


Begin = Callable[[int, Headers, IO[bytes]], GrowingBody]


class BuffersFullError(Exception):
    """Responses that nobody has read yet take all the room that they may take."""


class KeyFullError(BuffersFullError):
    """Those of the same key do."""


class BufferUsage:
    """The bytes and the number of all files, by key. Threads write while the event loop sends, hence the lock.

    When one is gone, these pools resume what waits for room.
    """

    def __init__(self, *pools: ThreadPool[Any]) -> None:
        self.pools = pools
        self.lock = Lock()
        self.bytes: Counter[Hashable] = Counter()
        self.files: Counter[Hashable] = Counter()

    def add(self, key: Hashable, size: int, files: int) -> None:
        for each in (key, ALL):
            self.bytes[each] += size
            self.files[each] += files
            if not self.files[each]:
                del self.bytes[each], self.files[each]


class ResponseBuffer:
    """What one response takes in files, until the end of the block.

    A caller's only response may be of any size, as long as those of all have room; so may the only one of all.
    """

    def __init__(self, usage: BufferUsage, key: Hashable, *, of_network: bool = False) -> None:
        self._usage = usage
        self._key = key
        self._most_files = FILES_OF_NETWORK if of_network else FILES_OF_KEY
        self._size = 0
        self._is_closed = False

    def has_room(self) -> bool:
        """Whether the key may have one more file; to be asked before a response is made, since that costs most."""
        return self._usage.files.get(self._key, 0) < self._most_files

    def reserve(self, size: int) -> None:
        """Raises BuffersFullError."""
        with self._usage.lock:
            # A thread may still write what nobody waits for any more.
            if self._is_closed or self._exceeds(ALL, size, BYTES, FILES):
                raise BuffersFullError
            if self._exceeds(self._key, size, BYTES_OF_KEY, FILES):
                raise KeyFullError
            self._usage.add(self._key, size, files=0 if self._size else 1)
            self._size += size

    def _exceeds(self, key: Hashable, size: int, max_bytes: int, max_files: int) -> bool:
        """Whether others of this key leave too little room."""
        used, files = self._usage.bytes[key], self._usage.files[key]
        return used > self._size and (used + size > max_bytes or files >= max_files + bool(self._size))

    @property
    def files_of_key(self) -> int:
        return self._usage.files.get(self._key, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        with self._usage.lock:
            self._is_closed = True
            if self._size:
                self._usage.add(self._key, -self._size, files=-1)
        if self._size:
            for pool in self._usage.pools:
                pool.resume()


def call(
    application: "WSGIApplication", environ: "WSGIEnvironment", buffer: ResponseBuffer, begin: Begin | None = None
) -> Response:
    """Run the application to the end of its response. Raises BuffersFullError.

    `begin` is called with the first part of a large response that `starts_early`, which has no Content-Length.
    """
    status, headers = 500, Headers()

    def start_response(line: str, fields: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        nonlocal status
        status = int(line[:3])
        headers[:] = [(_name(name), value.encode("latin-1")) for name, value in fields]
        return _no_write

    content = application(environ, start_response)
    is_early = begin is not None and getattr(content, "starts_early", False)
    try:
        body = _buffered(content, buffer, partial(begin, status, headers) if begin and is_early else None)
    finally:
        if close := getattr(content, "close", None):
            close()
    if isinstance(body, GrowingBody):  # and the headers are sent
        return Response(status, headers, body)
    if getattr(content, "streaming", False) and b"content-length" not in dict(headers):
        # Tells the client when it has not got everything.
        size = len(body) if isinstance(body, bytes) else body.tell()
        headers.append((b"content-length", str(size).encode()))
    return Response(status, headers, body, getattr(content, "follow", None))


@lru_cache(maxsize=128)
def _name(name: str) -> bytes:
    """In lower case, as ASGI wants it."""
    return name.lower().encode("latin-1")


def _no_write(data: bytes) -> None:
    raise NotImplementedError("Return the body from the application; write() is of the time before PEP 3333.")


def _buffered(
    parts: Iterable[bytes], buffer: ResponseBuffer, begin: Callable[[IO[bytes]], GrowingBody] | None
) -> bytes | IO[bytes] | GrowingBody:
    """In a file, if it is large."""
    pending: list[bytes] = []
    size, file, growing = 0, None, None
    began = thread_time()
    with ExitStack() as until_complete:
        for part in parts:
            pending.append(part)
            size += len(part)
            if size > IN_MEMORY:
                buffer.reserve(size)
                file = file or until_complete.enter_context(TemporaryFile(buffering=0))
                file.write(b"".join(pending))
                if begin and growing is None:
                    growing = begin(file)
                    until_complete.pop_all()  # who sends it closes it
                if growing:
                    growing.add(size)
                pending, size = [], 0
                sleep(COOLDOWN * (thread_time() - began))
                began = thread_time()
        if file is None:
            return b"".join(pending)
        if pending:
            buffer.reserve(size)
            file.write(b"".join(pending))
            if growing:
                growing.add(size)
        until_complete.pop_all()
    return growing or file


async def send(response: Response, send: ASGISendCallable, buffer: ResponseBuffer) -> None:
    """A client that stops reading is given up."""
    status, headers, body, _ = response
    await send({"type": "http.response.start", "status": status, "headers": headers, "trailers": False})
    if isinstance(body, bytes):
        await send({"type": "http.response.body", "body": body, "more_body": False})
        return
    try:
        with suppress(TimeoutError):
            sent = 0
            async for chunk in body.chunks() if isinstance(body, GrowingBody) else _chunks(body):
                async with asyncio.timeout(streams.SEND_SECONDS):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                sent += len(chunk)
                # Others get their turn in between, also if the client has gone and all is taken at once.
                files = min(buffer.files_of_key, FILES_OF_KEY)
                await asyncio.sleep(PAUSE * files**2 if sent > AT_FULL_SPEED else 0)
            if isinstance(body, GrowingBody) and body.error:
                return
            await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        await body.close() if isinstance(body, GrowingBody) else body.close()


async def _chunks(file: IO[bytes]) -> AsyncIterator[bytes]:
    file.seek(0)
    while chunk := file.read(CHUNK):
        yield chunk
