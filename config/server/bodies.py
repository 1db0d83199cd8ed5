"""Takes in the bodies of requests on the event loop, where a slow client costs no thread."""

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from typing import NamedTuple

from asgiref.typing import ASGIReceiveCallable

from config.errors import BodyCutOff, BodyTooSlow

SECONDS = 30
# The largest legal task takes 86 kB of UTF-8, and up to 260 kB of escapes. Of bodies that are larger than this, only so
# many are held at once, until they are answered: with the number of connections, these two bound the memory for bodies.
SMALL = 160 * 1024
LARGE_AT_ONCE = 256
# What is too large is read all the same, up to here: a client that is cut off while it sends sees no answer.
DISCARDED = 16 * 1024 * 1024
# Each piece costs the event loop the same, however small it is.
MANY, TINY = 4096, 64


class Body(NamedTuple):
    content: bytes  # empty if there is more than the limit
    length: int
    is_read: bool  # else the connection can carry no further request


class Bodies:
    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)

    async def take(self, headers: Mapping[str, str], receive: ASGIReceiveCallable, answered: ExitStack) -> Body:
        """Raises BodyTooSlow and BodyCutOff. `answered` ends with the request."""
        declared = headers.get("CONTENT_LENGTH", "0")
        length = int(declared) if declared.isdecimal() else 0
        waits = "100-continue" in headers.get("HTTP_EXPECT", "").lower()
        if length > (self._limit if waits else DISCARDED):
            return Body(b"", length, is_read=False)
        try:
            async with asyncio.timeout(SECONDS):
                return await self._read(receive, answered)
        except TimeoutError as error:
            raise BodyTooSlow(f"The body did not arrive within {SECONDS} seconds; send it again.") from error

    async def _read(self, receive: ASGIReceiveCallable, answered: ExitStack) -> Body:
        parts: list[bytes] = []
        length, count, is_read, is_large = 0, 0, False, False
        while not is_read and length <= DISCARDED:
            part, is_read = await _receive(receive)
            length += len(part)
            count += 1
            if count > MANY and length < count * TINY:
                raise BodyTooSlow("The body came in too many small pieces; send it in larger ones.")
            if length > SMALL and not is_large:
                is_large = await self._large.acquire()
                answered.callback(self._large.release)
            if length <= self._limit:
                parts.append(part)
            else:
                parts.clear()
        return Body(b"".join(parts), length, is_read)


async def _receive(receive: ASGIReceiveCallable) -> tuple[bytes, bool]:
    """The next part, and whether it is the last."""
    event = await receive()
    if event["type"] != "http.request":
        # The client has gone, or its chunks are none (RFC 9112, section 7.1), or it only stopped sending.
        raise BodyCutOff("The body ended before all of it had arrived; send it again.")
    return event["body"], not event["more_body"]
