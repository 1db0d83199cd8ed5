"""Runs a WSGI application behind an ASGI server: the event loop waits for clients, a few threads do the work.

The application sees whole requests and is done with each as soon as it has made the answer, however slowly
either goes over the network.
"""

import asyncio
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote_to_bytes

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

from config.bodies import Bodies, Body
from config.errors import BodyCutOff, BodyTooSlow, DomainError, Failed, Overloaded
from config.threads import NoneFreeError, Threads

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

logger = logging.getLogger(__name__)

# Seconds for which no thread comes free. More than the three for which one may wait for a database connection, and
# than a burst of sign-ins takes to hash its first passwords on a busy machine.
PATIENCE = 5
IN_MEMORY = 256 * 1024  # of an answer; larger ones lie in a temporary file until they are read
SPOOLED = 1024 * 1024 * 1024  # bytes in all these files
CHUNK = 64 * 1024
STALLED = 60  # seconds for which a client may read nothing

Headers = list[tuple[bytes, bytes]]


class Answer(NamedTuple):
    status: int
    headers: Headers
    body: bytes | IO[bytes]


class SpoolsFullError(Exception):
    """What is being read from temporary files takes all the room that it may take."""


class Spools:
    """Bounds the bytes of answers that lie in temporary files until they are read."""

    def __init__(self) -> None:
        self._bytes = 0

    def admit(self, answer: Answer) -> Answer:
        """Raises SpoolsFullError; a single answer may be of any size."""
        if not isinstance(answer.body, bytes):
            size = answer.body.tell()
            if self._bytes and self._bytes + size > SPOOLED:
                answer.body.close()
                raise SpoolsFullError
            self._bytes += size
        return answer

    @contextmanager
    def held(self, answer: Answer) -> Iterator[None]:
        size = 0 if isinstance(answer.body, bytes) else answer.body.tell()
        try:
            yield
        finally:
            self._bytes -= size


class Bridge:
    """An ASGI application.

    `urgent` paths have a thread of their own, and so have refusals: all others may be waiting for the database.
    A refused request reaches the application with the DomainError under `refusal_key` in its environ.
    """

    def __init__(
        self, application: "WSGIApplication", *, threads: int, max_body: int, urgent: set[str], refusal_key: str
    ) -> None:
        self._application = application
        self._bodies = Bodies(max_body)
        self._threads: Threads[Answer] = Threads(threads)
        self._reserve: Threads[Answer] = Threads(1)
        self._spools = Spools()
        self._urgent = urgent
        self._refusal_key = refusal_key

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "http":
            raise NotImplementedError(f"{scope['type']} is not served.")
        environ = environ_of(scope)
        is_whole = True
        with ExitStack() as answered:
            try:
                if _may_have_body(environ):
                    is_whole = _give(environ, await self._bodies.take(environ, receive, answered))
                answer = await self._answer(environ)
            except (BodyTooSlow, BodyCutOff) as refusal:
                is_whole = False
                answer = await self._refuse(environ, refusal)
        if not is_whole:  # the rest of the body would be taken for the next request
            answer.headers.append((b"connection", b"close"))
        with self._spools.held(answer):
            await _send(answer, send)

    async def _answer(self, environ: "WSGIEnvironment") -> Answer:
        threads = self._reserve if environ["PATH_INFO"] in self._urgent else self._threads
        try:
            return self._spools.admit(await threads.run(lambda: call(self._application, environ), PATIENCE))
        except SpoolsFullError:
            return await self._refuse(environ, Overloaded("Too many large answers are being read; try again later."))
        except NoneFreeError:
            return await self._refuse(environ, Overloaded("All threads are busy; try again in a moment."))
        except Exception:
            # Django answers what happens in a view; this happened while a streamed answer was made.
            logger.exception("no answer could be made")
            return await self._refuse(environ, Failed("Something went wrong on our side; it has been logged."))

    async def _refuse(self, environ: "WSGIEnvironment", refusal: DomainError) -> Answer:
        environ[self._refusal_key] = refusal
        return await self._reserve.run(lambda: call(self._application, environ), PATIENCE)


def environ_of(scope: HTTPScope) -> "WSGIEnvironment":
    """PEP 3333, without a body yet."""
    path = unquote_to_bytes(scope["raw_path"])
    environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": path.decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    if scope["server"]:
        environ["SERVER_NAME"], environ["SERVER_PORT"] = scope["server"][0], str(scope["server"][1])
    if scope["client"]:
        environ["REMOTE_ADDR"] = scope["client"][0]
    for name, value in scope["headers"]:
        _add_header(environ, name.decode("latin-1"), value.decode("latin-1"))
    return environ


def _add_header(environ: "WSGIEnvironment", name: str, value: str) -> None:
    if "_" in name:  # would pass for the header with hyphens, which proxies set and clients must not
        return
    key = name.upper().replace("-", "_")
    if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        key = f"HTTP_{key}"
    if key in environ:
        value = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{value}"
    environ[key] = value


def _may_have_body(environ: "WSGIEnvironment") -> bool:
    framed = "CONTENT_LENGTH" in environ or "HTTP_TRANSFER_ENCODING" in environ
    return framed or not environ["SERVER_PROTOCOL"].startswith("HTTP/1")


def _give(environ: "WSGIEnvironment", body: Body) -> bool:
    """Hand the body to the application; returns whether it was read to its end."""
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ["CONTENT_LENGTH"] = str(body.length)
    environ["wsgi.input"] = BytesIO(body.content)
    return body.is_read


def call(application: "WSGIApplication", environ: "WSGIEnvironment") -> Answer:
    """Make the whole answer."""
    status, headers = 500, Headers()

    def start_response(line: str, fields: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        nonlocal status
        status = int(line[:3])
        headers[:] = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fields]
        return _no_write

    content = application(environ, start_response)
    try:
        body: bytes | IO[bytes] = _spool(content) if getattr(content, "streaming", False) else b"".join(content)
        if isinstance(body, bytes) and len(body) > IN_MEMORY:
            body = _spool([body])
    finally:
        if close := getattr(content, "close", None):
            close()
    return Answer(status, headers, body)


def _no_write(data: bytes) -> None:
    raise NotImplementedError("Return the body from the application; write() is of the time before PEP 3333.")


def _spool(parts: Iterable[bytes]) -> IO[bytes]:
    with ExitStack() as until_complete:
        spool = until_complete.enter_context(SpooledTemporaryFile(max_size=IN_MEMORY))
        for part in parts:
            spool.write(part)
        until_complete.pop_all()
    return spool


async def _send(answer: Answer, send: ASGISendCallable) -> None:
    if not isinstance(answer.body, bytes):
        with answer.body as file, suppress(TimeoutError):
            await _send_file(answer, file, send)
        return
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers, "trailers": False})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})


async def _send_file(answer: Answer, file: IO[bytes], send: ASGISendCallable) -> None:
    """Raises TimeoutError if the client stops reading."""
    headers = answer.headers
    if b"content-length" not in dict(headers):  # tells the client when it has not got everything
        headers = [*headers, (b"content-length", str(file.tell()).encode())]
    file.seek(0)
    await send({"type": "http.response.start", "status": answer.status, "headers": headers, "trailers": False})
    while chunk := file.read(CHUNK):
        async with asyncio.timeout(STALLED):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
