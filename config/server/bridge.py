"""Runs a WSGI application behind an ASGI server: the event loop waits for clients, a few threads do the work.

The application sees whole requests and is done with each as soon as it has made the response, however slowly
either goes over the network. Shares are fair: a network has a limit of open requests, a caller one of running requests
and one of unread responses.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Hashable
from enum import IntEnum, auto
from functools import partial
from time import monotonic
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, Scope

from config.errors import BodyCutOff, BodyTooSlow, DomainError, Failed, Overloaded, TooManyAtOnce
from config.server import heads, responses
from config.server.bodies import BodyReader
from config.server.responses import (
    Begin,
    BuffersFullError,
    BufferUsage,
    GivenUpError,
    GrowingBody,
    Headers,
    KeyFullError,
    Response,
    ResponseBuffer,
)
from config.server.streams import HOLDS, OpenStream, Stream, Streams, Wait, gone
from config.server.threads import CallerGoneError, Contention, KeyBusyError, KeyedLock, PoolBusyError, ThreadPool

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

logger = logging.getLogger(__name__)

RUNNING = 2  # requests of a caller at once
REFUSALS = 2  # of a caller that wait for the whole application; others are made without it
CLOSE = (b"connection", b"close")
DRAINING = "tickbase.draining"  # in the environ of requests that come after the worker was told to stop
RUNNING_STILL = "Your other requests are still running; send fewer at once."
CLIENT_CLOSED_REQUEST = 499  # nginx's; nobody sees it
UNREAD = "Read the answers to your other requests first; then try again."


class Lane(IntEnum):  # whose hash is no call
    """The thread pool of a request, and what limits it there."""

    COMMON = auto()
    HEAVY = auto()  # the common pool, which they leave a thread; one at a time of a caller, until the response is sent
    HASHING = auto()  # password hashing, by a process that needs much CPU: one at a time, in turns
    URGENT = auto()  # needs no database, so it does not wait behind requests that do


class _Request(NamedTuple):
    environ: "WSGIEnvironment"
    lane: Lane
    caller: Hashable
    networks: dict[str, int]
    receive: ASGIReceiveCallable


_Followed = tuple[OpenStream, Response]


class Bridge:
    """An ASGI application.

    `networks_of` returns the networks of a request with their limits of open requests, the widest last. `caller_of`
    returns the key by which threads are shared; `max_body_of`, the limit of a body by method and path. They run on the
    event loop. A refused request reaches the application with the DomainError under `refusal_key` in its environ.
    `refuser` answers it on the event loop instead, where there are too many refusals, or no thread is free for them. An
    answer with a `follow` goes on after its request, by `streams`; without them it is whole.
    """

    def __init__(
        self,
        application: "WSGIApplication",
        *,
        threads: int,
        max_body: int,
        lane_of: Callable[[str, str, str], Lane],
        max_body_of: Callable[[str, str], int] | None = None,
        networks_of: "Callable[[WSGIEnvironment], dict[str, int]]",
        caller_of: "Callable[[WSGIEnvironment, str], Hashable]",
        refuser: "WSGIApplication",
        refusal_key: str,
        streams: Streams | None = None,
    ) -> None:
        self._application = application
        self._refuser = refuser
        self._refusal_key = refusal_key
        self._streams = streams
        self._lane_of, self._networks_of, self._caller_of = lane_of, networks_of, caller_of
        self._max_body_of = max_body_of
        self._bodies = BodyReader(max_body)
        self._open: dict[str, int] = {}  # requests that are read or answered, by network
        # A caller leaves a thread to others, if there are several.
        per_key, contention = max(1, min(RUNNING, threads - 1)), Contention()
        common: ThreadPool[Response] = ThreadPool(threads, per_key=per_key, contention=contention)
        self._pools = {
            Lane.COMMON: common,
            Lane.HEAVY: common,
            Lane.HASHING: ThreadPool[Response](1, per_key=1, clock=monotonic, contention=contention),
            Lane.URGENT: ThreadPool[Response](1, per_key=1),
        }
        self._buffers = BufferUsage(*self._pools.values())
        self._refusing: ThreadPool[Response] = ThreadPool(1, per_key=1, queue_of_key=REFUSALS)
        self._marks = {HOLDS: True} if streams else {}  # in the environ of each request
        self._heavy = KeyedLock()

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if followed := await self._serve(scope, receive, send):
            stream, response = followed
            headers = [each for each in response.headers if each[0] != b"content-length"]
            assert isinstance(response.body, bytes), "a stream begins with a few lines"
            await stream.run(response.status, headers, response.body, receive, send)

    def stop(self) -> None:
        """End what would keep the server from stopping; on the event loop. Connections close with their next answer."""
        self._marks[DRAINING] = True
        if self._streams:
            self._streams.stop()

    async def _serve(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> _Followed | None:
        """Answer a request, or return the stream that its answer begins: that one is no request of its network's any
        more, and holds nothing of it."""
        if scope["type"] != "http":
            raise NotImplementedError(f"{scope['type']} is not served.")
        environ, refusal = heads.read(scope)
        environ |= self._marks
        networks = self._networks_of(environ)
        for network, most in networks.items():
            if self._open.get(network, 0) >= most:
                refusal = TooManyAtOnce("Your network has too many requests open; wait for their answers.")
                with ResponseBuffer(self._buffers, None) as buffer:
                    response = self._refuse_at_once(environ, refusal, buffer)
                    response.headers.append(CLOSE)
                    await responses.send(response, send, buffer)
                    return None
        for network in networks:
            self._open[network] = self._open.get(network, 0) + 1
        try:
            caller = self._caller_of(environ, [*networks][-1])
            lane = self._lane_of(environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["QUERY_STRING"])
            answer = self._answer_in_turn if lane is Lane.HEAVY else self._answer
            return await answer(_Request(environ, lane, caller, networks, receive), refusal, send)
        finally:
            for network in networks:
                self._open[network] -= 1
                if not self._open[network]:
                    del self._open[network]

    async def _answer_in_turn(
        self, request: _Request, refusal: DomainError | None, send: ASGISendCallable
    ) -> _Followed | None:
        try:
            async with self._heavy.hold(request.caller):
                return await self._answer(request, refusal, send)
        except KeyBusyError:
            return await self._answer(request, refusal or TooManyAtOnce(RUNNING_STILL), send)

    async def _answer(self, request: _Request, refusal: DomainError | None, send: ASGISendCallable) -> _Followed | None:
        environ = request.environ
        is_framed = "CONTENT_LENGTH" in environ or "HTTP_TRANSFER_ENCODING" in environ
        is_read = not is_framed and environ["SERVER_PROTOCOL"].startswith("HTTP/1")  # there is no body
        held: list[asyncio.Semaphore] = []
        of_network = request.caller in request.networks
        with ResponseBuffer(self._buffers, request.caller, of_network=of_network) as buffer:
            try:
                if refusal is None and not is_read:
                    try:
                        # Only a caller whose token was verified may send more than the common limit.
                        limit_of = None if of_network else self._max_body_of
                        most = limit_of(environ["REQUEST_METHOD"], environ["PATH_INFO"]) if limit_of else 0
                        is_read = await self._bodies.read(environ, request.receive, held, request.caller, most)
                    except (BodyTooSlow, BodyCutOff, Overloaded, TooManyAtOnce) as error:
                        refusal = error
                stream = None
                if refusal is None:
                    response, stream = await self._followed(request, buffer)
                else:
                    response = await self._refuse(request, refusal, buffer)
            finally:
                environ["wsgi.input"].close()  # it may be a file
                for semaphore in held:
                    semaphore.release()
            # Else the rest of a body would be taken for the next request.
            if DRAINING in self._marks or not is_read:
                response.headers.append(CLOSE)
            if stream:
                return stream, response
            await responses.send(response, send, buffer)
            if isinstance(response.body, GrowingBody) and not isinstance(response.body.error, GivenUpError | None):
                logger.error("an answer broke off", exc_info=response.body.error)
            return None

    async def _followed(self, request: _Request, buffer: ResponseBuffer) -> tuple[Response, OpenStream | None]:
        """The answer; if it tells to wait, the one after that. And the stream that it begins."""
        environ, response = request.environ, await self._run(request, buffer)
        if not self._streams:
            return response, None
        try:
            while isinstance(wait := response.follow, Wait) and await self._streams.wait(wait):
                environ |= wait.environ
                response = await self._run(request, buffer)
            if isinstance(response.follow, Stream):
                return response, self._streams.open(response.follow, request.networks)
        except DomainError as refusal:
            response = await self._refuse(request, refusal, buffer)
        return response, None

    async def _run(self, request: _Request, buffer: ResponseBuffer) -> Response:
        def make(begin: Begin | None = None) -> Coroutine[Any, Any, Response]:
            call = partial(responses.call, self._application, request.environ, buffer, begin)
            has_left, lane = partial(gone, request.receive), request.lane
            # Whoever is to be a caller of their own waits for nobody who reads slowly in their network.
            has_room = buffer.has_room if lane is not Lane.HASHING else lambda: True
            return self._pools[lane].run(call, request.caller, has_room, has_left, is_heavy=lane is Lane.HEAVY)

        refusal: DomainError
        try:
            return await (self._run_heavy(request, make, buffer) if request.lane is Lane.HEAVY else make())
        except CallerGoneError:
            return Response(CLIENT_CLOSED_REQUEST, Headers(), b"")
        except (KeyBusyError, KeyFullError):
            refusal = TooManyAtOnce(RUNNING_STILL if buffer.has_room() else UNREAD)
        except BuffersFullError:
            refusal = Overloaded("Too many large answers are being read; try again later.")
        except PoolBusyError:
            refusal = Overloaded("All threads are busy; try again in a moment.")
        except Exception:
            # Django answers what happens in a view; this happened while a streamed response was made.
            logger.exception("no answer could be made")
            refusal = Failed("Something went wrong on our side; it has been logged.")
        return await self._refuse(request, refusal, buffer)

    async def _run_heavy(
        self, request: _Request, make: Callable[[Begin | None], Coroutine[Any, Any, Response]], buffer: ResponseBuffer
    ) -> Response:
        """The response, or one whose body is growing still."""
        if not buffer.has_room():  # it would wait with one of the few threads for heavy requests
            raise KeyFullError
        loop = asyncio.get_running_loop()
        begun: asyncio.Future[Response] = loop.create_future()

        def begin(status: int, headers: Headers, file: IO[bytes]) -> GrowingBody:
            growing = GrowingBody(file, made, loop)
            loop.call_soon_threadsafe(begun.set_result, Response(status, headers, growing))
            return growing

        async def run() -> Response:
            has_chunks = request.environ["SERVER_PROTOCOL"] != "HTTP/1.0"  # else nobody notices what breaks off
            return await make(begin if has_chunks else None)

        made = asyncio.ensure_future(run())
        await asyncio.wait({made, begun}, return_when=asyncio.FIRST_COMPLETED)
        return await (begun if begun.done() else made)

    async def _refuse(self, request: _Request, refusal: DomainError, buffer: ResponseBuffer) -> Response:
        environ = request.environ
        environ[self._refusal_key] = refusal
        try:
            return await self._refusing.run(lambda: responses.call(self._application, environ, buffer), request.caller)
        except PoolBusyError:
            pass
        except Exception:
            logger.exception("no refusal could be made")
        return self._refuse_at_once(environ, refusal, buffer)

    def _refuse_at_once(self, environ: "WSGIEnvironment", refusal: DomainError, buffer: ResponseBuffer) -> Response:
        """Without the application and its threads."""
        environ[self._refusal_key] = refusal
        return responses.call(self._refuser, environ, buffer)
