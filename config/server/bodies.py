"""Reads the bodies of requests on the event loop, where a slow client costs no thread."""

import asyncio
from asyncio import sleep
from io import BytesIO
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING

from asgiref.typing import ASGIReceiveCallable

from config.errors import BodyCutOff, BodyTooSlow, Overloaded

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

READ_SECONDS = 30
# The largest legal task takes 86 kB of UTF-8, and up to 260 kB of escapes. Of bodies that are larger than this, only so
# many are held at once, until they are answered: with the number of connections, these two bound the memory for bodies.
SMALL = 160 * 1024
LARGE_AT_ONCE = 256
# Bodies beyond the common limit, which a few addresses take from known callers: they lie in files, so many at once,
# until they are worked on. That takes several times their size in memory, so few at once. A slow client holds a file
# alone: with the places of work, two of them would keep everybody else out.
HUGE_FILES, HUGE_AT_ONCE = 32, 2
HUGE_READ_SECONDS, HUGE_WAIT_SECONDS = 120, 60
# What is too large is read all the same, up to here: a client that is cut off while it sends sees no answer.
DISCARDED = 16 * 1024 * 1024
# Each piece costs the event loop the same, however small it is.
MANY, TINY = 4096, 64
# It rests (seconds) after so many bytes of a large body, of which a client may then send some 8 MB a second.
PIECE, PAUSE = 32 * 1024, 0.004


class BodyReader:
    """Reads bodies into memory, or into files beyond the common limit, with limits of their length, time and number of
    pieces."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)
        self._files = asyncio.Semaphore(HUGE_FILES)
        self._huge = asyncio.Semaphore(HUGE_AT_ONCE)

    async def read(
        self,
        environ: "WSGIEnvironment",
        receive: ASGIReceiveCallable,
        held: list[asyncio.Semaphore],
        limit: int = 0,
    ) -> bool:
        """Put the body into `environ`, an empty one if it exceeds the limit, the common one if that is more; `held` is
        for release with the answer.

        Returns whether it was read to its end: else the connection can carry no further request. Raises BodyTooSlow,
        BodyCutOff and Overloaded.
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
                    content, length, is_complete = await self._receive(receive, held, most, discarded)
            except TimeoutError as error:
                raise BodyTooSlow(f"The body did not arrive within {seconds} seconds; send it again.") from error
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        environ["CONTENT_LENGTH"] = str(length)
        environ["wsgi.input"] = content
        if not isinstance(content, BytesIO):
            await self._hold_huge(held)
        return is_complete

    async def _hold_huge(self, held: list[asyncio.Semaphore]) -> None:
        try:
            async with asyncio.timeout(HUGE_WAIT_SECONDS):
                await self._huge.acquire()
        except TimeoutError as error:
            raise Overloaded("Other large bodies are being worked on; send it again later.") from error
        held.append(self._huge)

    async def _receive(
        self, receive: ASGIReceiveCallable, held: list[asyncio.Semaphore], limit: int, discarded: int
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
                    rested = await self._slow_down(held, length, rested)
                if self._limit < length <= limit and isinstance(content, BytesIO):
                    await self._files.acquire()
                    held.append(self._files)
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

    async def _slow_down(self, held: list[asyncio.Semaphore], length: int, rested: int) -> int:
        """Wait for a place for a large body, and then, now and again, for a moment. The length at which it waited."""
        if not rested:
            await self._large.acquire()
            held.append(self._large)
        elif length > rested + PIECE:
            await sleep(PAUSE)
        else:
            return rested
        return length


def _in_file(content: BytesIO) -> IO[bytes]:
    file = TemporaryFile(buffering=0)  # noqa: SIM115 (it is closed with the answer)
    file.write(content.getvalue())
    return file
