"""Makes whole answers of a WSGI application, keeps large ones in temporary files, and sends them as clients read."""

import asyncio
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from contextlib import ExitStack, suppress
from tempfile import TemporaryFile
from threading import Lock
from time import sleep, thread_time
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Self

from asgiref.typing import ASGISendCallable

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

# Bytes of an answer that are handed to the server at once, which keeps them until the client reads. Of larger ones it
# gets a chunk at a time: it holds four of them and its own buffer (`launcher.BUFFER`), the rest lies in a file.
IN_ONE = 32 * 1024
CHUNK = 16 * 1024
# Times the CPU time of the last piece of a large answer, for which its thread leaves the interpreter to others: without
# it, another user's request waits three times as long beside an export, since each of its steps waits for one of ours.
REST = 2
# After so many bytes of a file, a pause follows each chunk, of so many seconds for each file of the caller: they get
# 16 MB/s together.
AT_FULL_SPEED, PAUSE = 256 * 1024, 0.001
STALLED = 60  # seconds for which a client may read nothing
# What lies in files until it is read: bytes and answers, of one caller and of all.
BYTES, BYTES_OF_KEY = 1024 * 1024 * 1024, 128 * 1024 * 1024
FILES, FILES_OF_KEY = 512, 32
ALL = object()  # the key of what all callers take

Headers = list[tuple[bytes, bytes]]


class Answer(NamedTuple):
    status: int
    headers: Headers
    body: bytes | IO[bytes]


class UnsentFullError(Exception):
    """Answers that nobody has read yet take all the room that they may take."""


class KeyFullError(UnsentFullError):
    """Those of the same key do."""


class Unsent:
    """Counts what lies in files until it is read, while it is written.

    A caller's only answer may be of any size, as long as those of all have room; so may the only one of all.
    Threads write while the event loop sends, hence the lock.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._bytes: Counter[Hashable] = Counter()
        self._files: Counter[Hashable] = Counter()

    def room(self, key: Hashable) -> "Room":
        return Room(self, key)

    def files(self, key: Hashable) -> int:
        return self._files[key]

    def require_room(self, key: Hashable) -> None:
        """Before an answer is made, which would cost as much as if it were read. Raises KeyFullError."""
        if self._files[key] >= FILES_OF_KEY:
            raise KeyFullError

    def take(self, room: "Room", size: int) -> None:
        """Raises UnsentFullError."""
        with self._lock:
            # A thread may still write what nobody waits for any more.
            if room.is_over or self._exceeds(ALL, room, size, BYTES, FILES):
                raise UnsentFullError
            if self._exceeds(room.key, room, size, BYTES_OF_KEY, FILES_OF_KEY):
                raise KeyFullError
            self._add(room, size, files=0 if room.size else 1)
            room.size += size

    def _exceeds(self, key: Hashable, room: "Room", size: int, most_bytes: int, most_files: int) -> bool:
        """Whether others of this key leave too little room."""
        are_others = self._bytes[key] > room.size
        return are_others and (self._bytes[key] + size > most_bytes or self._files[key] >= most_files + bool(room.size))

    def give_back(self, room: "Room") -> None:
        with self._lock:
            room.is_over = True
            if room.size:
                self._add(room, -room.size, files=-1)

    def _add(self, room: "Room", size: int, files: int) -> None:
        for key in (room.key, ALL):
            self._bytes[key] += size
            self._files[key] += files
            if not self._files[key]:
                del self._bytes[key], self._files[key]


class Room:
    """What one answer takes in files, until the end of the block."""

    def __init__(self, unsent: Unsent, key: Hashable) -> None:
        self.key = key
        self.size = 0
        self.is_over = False
        self._unsent = unsent

    def take(self, size: int) -> None:
        """Raises UnsentFullError."""
        self._unsent.take(self, size)

    def require(self) -> None:
        """Raises KeyFullError."""
        self._unsent.require_room(self.key)

    @property
    def files(self) -> int:
        """Of the same key."""
        return self._unsent.files(self.key)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._unsent.give_back(self)


def call(application: "WSGIApplication", environ: "WSGIEnvironment", room: Room) -> Answer:
    """Make the whole answer. Raises UnsentFullError."""
    status, headers = 500, Headers()

    def start_response(line: str, fields: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        nonlocal status
        status = int(line[:3])
        headers[:] = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fields]
        return _no_write

    content = application(environ, start_response)
    try:
        body = _collected(content, room)
    finally:
        if close := getattr(content, "close", None):
            close()
    if getattr(content, "streaming", False) and b"content-length" not in dict(headers):
        # Tells the client when it has not got everything.
        size = len(body) if isinstance(body, bytes) else body.tell()
        headers.append((b"content-length", str(size).encode()))
    return Answer(status, headers, body)


def _no_write(data: bytes) -> None:
    raise NotImplementedError("Return the body from the application; write() is of the time before PEP 3333.")


def _collected(parts: Iterable[bytes], room: Room) -> bytes | IO[bytes]:
    """In a file, if it is large."""
    pending: list[bytes] = []
    size, file = 0, None
    began = thread_time()
    with ExitStack() as until_complete:
        for part in parts:
            pending.append(part)
            size += len(part)
            if size > IN_ONE:
                room.take(size)
                file = file or until_complete.enter_context(TemporaryFile(buffering=0))
                file.write(b"".join(pending))
                pending, size = [], 0
                sleep(REST * (thread_time() - began))
                began = thread_time()
        if file is None:
            return b"".join(pending)
        if pending:
            room.take(size)
            file.write(b"".join(pending))
        until_complete.pop_all()
    return file


async def send(answer: Answer, send: ASGISendCallable, room: Room) -> None:
    """A client that stops reading is given up."""
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers, "trailers": False})
    if isinstance(answer.body, bytes):
        await send({"type": "http.response.body", "body": answer.body, "more_body": False})
        return
    with answer.body as file, suppress(TimeoutError):
        file.seek(0)
        sent = 0
        while chunk := file.read(CHUNK):
            async with asyncio.timeout(STALLED):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            sent += len(chunk)
            # Others get their turn in between, also if the client has gone and all is taken at once.
            await asyncio.sleep(PAUSE * room.files if sent > AT_FULL_SPEED else 0)
        await send({"type": "http.response.body", "body": b"", "more_body": False})
