"""What a request costs in counts, which do not depend on the machine: one warm request through the WSGI application.

Of each count the smallest of several requests is taken. What varies is not the request's own: now and then one leases
permits of its rate limit, or fills a cache, or waits twice for an answer that came in two parts.
"""

import io
import json
import logging
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connection, reset_queries
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from config.database import connections
from config.database.session import statement_of
from config.wsgi import Application
from tests.benchmarks import system_calls
from tests.benchmarks.house import PACKAGES
from tests.factories import head_of, make_task, make_tokens
from tests.server import ROOT
from users.models import User

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

WARM = 12  # requests, after which statements are prepared and everything is remembered that can be
SAMPLES = 12
PAGE = 50


class Counts(NamedTuple):
    calls: int  # of functions in Python
    c_calls: int  # of functions in C
    io_calls: int  # of these, such as may enter the kernel: those of files, sockets, polls and of `os`
    files: int  # of the project, entered
    functions: int  # of the project, entered
    statements: int
    messages: int  # to PostgreSQL; for the kernel each is a send, a poll and a receive at least


class Route(NamedTuple):
    method: str
    path: Callable[[], str]
    status: int
    body: Callable[[], Mapping[str, Any]] | None = None
    headers: Callable[[], dict[str, str]] = dict


def routes(user: User) -> dict[str, Route]:
    """By name. Each can be asked again and again: it changes to something new, and deletes a task of its own."""
    tasks, numbers = "/api/me/tasks", count()

    def one() -> str:
        return f"{tasks}/{kept.pk}"

    def new() -> str:
        return f"{tasks}/{make_task(user).pk}"

    def title() -> dict[str, str]:
        return {"title": f"Task {next(numbers)}", "priority": "high"}

    def place() -> dict[str, int]:
        return {"after_id": others[next(numbers) % 2 * 9].pk}

    def page() -> str:
        return f"{tasks}?status=pending&limit={PAGE}"

    kept, *others = [make_task(user) for _ in range(PAGE + 1)]
    return {
        "list": Route("GET", page, 200),
        "unchanged list": Route("GET", page, 304, headers=lambda: {"If-None-Match": f'"{head_of(user)}"'}),
        "get": Route("GET", one, 200),
        "create": Route("POST", lambda: tasks, 201, title),
        "PATCH": Route("PATCH", one, 200, title),
        "move": Route("POST", lambda: f"{one()}/move", 200, place),
        "complete": Route("PATCH", lambda: f"{new()}/complete", 200),
        "DELETE": Route("DELETE", new, 204),
    }


def counted(user: User, route: Route) -> Counts:
    """The user is committed for real: within the transaction of a test, a request's own would be none."""
    prepare = _warm(user, route)
    with _as_served():
        samples = [_profiled(prepare()) + _sent(prepare()) for _ in range(SAMPLES)]
    return Counts(*map(min, zip(*samples, strict=True)))


def counted_system_calls(user: User, route: Route) -> int:
    """Raises NotPermittedError."""
    prepare = _warm(user, route)
    # To attach the tracer may take longer than a connection is taken to be live without a look at it.
    with _as_served(), patch.object(connections, "IDLE_SECONDS", math.inf):
        return min(system_calls.count(prepare()) for _ in range(SAMPLES))


def _warm(user: User, route: Route) -> Callable[[], Callable[[], None]]:
    """A function that prepares a request: what it returns is the request alone."""
    application, token = Application(), make_tokens(user).access

    def prepare() -> Callable[[], None]:
        environ = _environ(route, token)
        return lambda: _ask(application, environ, route.status)

    for _ in range(WARM):
        prepare()()
    return prepare


def _environ(route: Route, token: str) -> "WSGIEnvironment":
    factory = RequestFactory(SERVER_NAME="localhost", headers={"Authorization": f"Bearer {token}", **route.headers()})
    body = json.dumps(route.body()) if route.body else ""
    return factory.generic(route.method, route.path(), body, "application/json").environ


def _start_response(line: str, headers: list[tuple[str, str]], error: Any = None) -> Callable[[bytes], object]:
    return bytes


def _ask(application: Application, environ: "WSGIEnvironment", status: int) -> None:
    response = application(environ, _start_response)
    assert response.status_code == status, response
    b"".join(response)
    response.close()


@contextmanager
def _as_served() -> Iterator[None]:
    """Without the handlers that pytest adds, and the receivers that Django's test helpers connect: its client one,
    and whatever has captured queries before another."""
    request_started.disconnect(reset_queries)
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    before = logging.root.handlers
    logging.root.handlers = [each for each in before if not type(each).__module__.startswith("_pytest")]
    try:
        yield
    finally:
        logging.root.handlers = before


def _profiled(call: Callable[[], None]) -> tuple[int, int, int, int, int]:
    events: Counter[str] = Counter()
    files: set[str] = set()
    names: set[str] = set()

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if frame.f_code is connections.Connection.wait_for_data.__code__:
            return  # in how many pieces an answer comes is up to the machine
        events[event] += 1
        if event == "c_call":
            events["io"] += _is_io(argument.__self__)
            return
        path = frame.f_code.co_filename
        if event == "call" and any(path.startswith(f"{ROOT / package}/") for package in PACKAGES):
            files.add(path)
            if "<" not in frame.f_code.co_name:  # lambdas and comprehensions
                names.add(f"{path}:{frame.f_code.co_qualname}")

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    return events["call"], events["c_call"], events["io"], len(files), len(names)


def _is_io(owner: object) -> bool:
    """Of the method's instance, or the function's module."""
    module = owner.__name__ if isinstance(owner, ModuleType) else type(owner).__module__
    return isinstance(owner, io.IOBase) or module in {"posix", "select", "_socket"}


def _sent(call: Callable[[], None]) -> tuple[int, int]:
    """Statements and messages; tests/tasks/test_round_trips.py holds the round trips, too."""
    with CaptureQueriesContext(connection) as captured:
        messages = connection.messages  # type: ignore[attr-defined]
        call()
        messages = connection.messages - messages  # type: ignore[attr-defined]
    sent = [statement_of(query["sql"]) for query in captured.captured_queries]
    asked = [sql for sql in sent if sql not in ("BEGIN", "COMMIT", "ROLLBACK")]
    return len("; ".join(asked).split("; ")), messages
