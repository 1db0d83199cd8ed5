"""Reads the bodies of requests on the event loop, where a slow client costs no thread."""

import asyncio
from asyncio import sleep
from collections.abc import Hashable
from io import BytesIO
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING
from weakref import WeakValueDictionary

from asgiref.typing import ASGIReceiveCallable

from config.errors import BodyCutOff, BodyTooSlow, Overloaded, TooManyAtOnce

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

READ_SECONDS = 30
# The largest legal task takes some 106 kB of UTF-8, and up to 302 kB of escapes. Of bodies that are larger than this,
# only so many are held at once, of all and of one caller, until they are answered: with the number of connections,
# these bound the memory for bodies.
SMALL = 160 * 1024
LARGE_AT_ONCE, LARGE_OF_CALLER = 256, 16
LARGE_WAIT_SECONDS = 20  # for a place; less than it has to arrive, as this wait is no fault of the client's
# Bodies beyond the common limit, which a few addresses take from known callers: they lie in files, so many at once,
# until they are worked on. That takes several times their size in memory, so few at once. A slow client holds a file
# alone: with the places of work, two of them would keep everybody else out.
HUGE_FILES, HUGE_AT_ONCE = 32, 2
HUGE_READ_SECONDS, HUGE_WAIT_SECONDS = 120, 60
# What is too large is read all the same, up to here: a client that is cut off while it sends sees no answer.
DISCARDED = 16 * 1024 * 1024
# Each piece costs the event loop the same, however small it is.
MANY, TINY = 4096, 64
# It rests (seconds) after so many bytes of a large body, which is then read at some 8 MB a second.
PIECE, PAUSE = 32 * 1024, 0.004


class BodyReader:
    """Reads bodies into memory, or into files beyond the common limit, with limits of their length, time and number of
    pieces."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)
        self._large_of: WeakValueDictionary[Hashable, asyncio.Semaphore] = WeakValueDictionary()  # by caller
        self._files = asyncio.Semaphore(HUGE_FILES)
        self._huge = asyncio.Semaphore(HUGE_AT_ONCE)

    async def read(
        self,
        environ: "WSGIEnvironment",
        receive: ASGIReceiveCallable,
        held: list[asyncio.Semaphore],
        caller: Hashable,
        limit: int = 0,
    ) -> bool:
        """Put the body into `environ`, an empty one if it exceeds the limit, the common one if that is more; `held` is
        for release with the answer.

        Returns whether it was read to its end: else the connection can carry no further request. Raises BodyTooSlow,
        BodyCutOff, TooManyAtOnce and Overloaded.
        """
        most = max(limit, self._limit)
        seconds, discarded = READ_SECONDS, DISCARDED
        if most > self._limit:
            seconds, discarded = HUGE_READ_SECONDS, most + DISCARDED
        declared = environ.get("CONTENT_LENGTH", "0")
        content: IO[bytes] = BytesIO()
        length, is_complete = int(declared) if declared.isdecimal() else 0, False
        waits = "100-continue" in environ.get("HTTP_EXPECT", "").lower()
        if length <= (most if waits else discarded):
            try:
                async with asyncio.timeout(seconds):
                    content, length, is_complete = await self._receive(receive, held, caller, most, discarded)
            except TimeoutError as error:
                raise BodyTooSlow(f"The body did not arrive within {seconds} seconds; send it again.") from error
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        environ["CONTENT_LENGTH"] = str(length)
        environ["wsgi.input"] = content
        if not isinstance(content, BytesIO):
            await _hold(self._huge, held, HUGE_WAIT_SECONDS)
        return is_complete

    async def _receive(
        self, receive: ASGIReceiveCallable, held: list[asyncio.Semaphore], caller: Hashable, limit: int, discarded: int
    ) -> tuple[IO[bytes], int, bool]:
        """The content, the length of what was read, and whether nothing follows."""
        content: IO[bytes] = BytesIO()
        length, count, rested, is_complete = 0, 0, 0, False
        try:
            while not is_complete and length <= discarded:
                event = await receive()
                if event["type"] != "http.request":
                    # The client has gone, or its chunks are none (RFC 9112, section 7.1), or it only stopped sending.
                    raise BodyCutOff("The body ended before all of it had arrived; send it again.")
                length += len(event["body"])
                count += 1
                is_complete = not event["more_body"]
                if count > MANY and length < count * TINY:
                    raise BodyTooSlow("The body came in too many small pieces; send it in larger ones.")
                if length > SMALL:
                    rested = await self._slow_down(held, caller, length, rested)
                if self._limit < length <= limit and isinstance(content, BytesIO):
                    await _hold(self._files, held, HUGE_WAIT_SECONDS)
                    content = _in_file(content)
                if length <= limit:
                    content.write(event["body"])
                else:
                    content.close()
                    content = BytesIO()
        except BaseException:
            content.close()
            raise
        content.seek(0)
        return content, length, is_complete

    async def _slow_down(self, held: list[asyncio.Semaphore], caller: Hashable, length: int, rested: int) -> int:
        """Wait for a place for a large body, and then, now and again, for a moment. The length at which it waited."""
        if not rested:
            own = self._large_of.setdefault(caller, asyncio.Semaphore(LARGE_OF_CALLER))
            if own.locked():
                raise TooManyAtOnce("Your other large bodies are not read to their end; send fewer at once.")
            await _hold(own, held, LARGE_WAIT_SECONDS)
            await _hold(self._large, held, LARGE_WAIT_SECONDS)
        elif length >= rested + PIECE:
            await sleep(PAUSE)
        else:
            return rested
        return length


async def _hold(places: asyncio.Semaphore, held: list[asyncio.Semaphore], seconds: float) -> None:
    """Wait for one of the places. Raises Overloaded."""
    try:
        async with asyncio.timeout(seconds):
            await places.acquire()
    except TimeoutError as error:
        raise Overloaded("Other large bodies are being worked on; send it again later.") from error
    held.append(places)


def _in_file(content: BytesIO) -> IO[bytes]:
    file = TemporaryFile(buffering=0)  # noqa: SIM115 (it is closed with the answer)
    file.write(content.getvalue())
    return file
