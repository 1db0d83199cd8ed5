"""Log formatters, for programs and for people, which keep clients' data out of the log.

Tracebacks say where, and an error's type says what. The text of an error is left out: it may quote what a client sent,
or a row of a table. Django's messages about requests quote paths and headers, and those about queries quote values:
only their harmless part is kept.
"""

import datetime as dt
import logging
import re
import time
import traceback
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import orjson

from config.database.session import statement_of

# The id of the current request.
request_id: ContextVar[str] = ContextVar("request_id", default="")

# Facts that no line shows need not be collected for each record (Python's Logging HOWTO, "Optimization").
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
logging._srcfile = None

_IN_MESSAGE = frozenset({"method", "route", "status"})


def configuration(level: str, form: str, *, debug: bool) -> dict[str, Any]:
    """The setting LOGGING. With `debug`, the texts of errors are shown, for developers of Tickbase."""
    formatter = {"json": JSONFormatter, "text": LineFormatter}[form]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": lambda: formatter(shows_text=debug)}},
        "handlers": {"console": {"()": Console, "formatter": "line"}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            # Without Django's own handlers and formats.
            "django": {"handlers": [], "level": "INFO"},
            # Five lines a second while the database is away; the line of each refused request says it already.
            "psycopg.pool": {"level": "ERROR"},
            # A warning for every refused request, which has a line of its own already.
            "django.request": {"level": "ERROR"},
            # A traceback for each scanner that makes up a Host.
            "django.security.DisallowedHost": {"level": "CRITICAL"},
        },
    }


# What logging finds out about every record, and our lines do not show: other formatters look for it.
_UNKNOWN = vars(logging.LogRecord("", logging.INFO, "", 0, "", None, None))


class RequestRecord(logging.LogRecord):
    """A record of the request log, made in a tenth of the time."""

    def __init__(self, name: str, message: str, fields: dict[str, Any]) -> None:
        self.__dict__ |= _UNKNOWN
        self.name, self.msg, self.fields, self.created = name, message, fields, time.time()


class Console(logging.StreamHandler[Any]):
    """Logging's handler, with one write of the whole line and without the calls in between."""

    def handle(self, record: logging.LogRecord) -> bool:
        if self.filters and not self.filter(record):
            return False
        try:
            line = f"{self.formatter.format(record)}\n"  # type: ignore[union-attr]  # `configuration` sets one
            with self.lock:  # type: ignore[union-attr]
                self.stream.write(line)
                self.stream.flush()
        except Exception:
            self.handleError(record)
        return True


class _Formatter(logging.Formatter):
    def __init__(self, *, shows_text: bool = False) -> None:
        super().__init__()
        self.shows_text = shows_text

    def exception_of(self, record: logging.LogRecord) -> str:
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if error is None:
            return ""
        text = "".join(traceback.format_exception(error)) if self.shows_text else trace(error)
        return "\n".join(map(_clean, text.split("\n")))


class JSONFormatter(_Formatter):
    """One JSON object per line, for programs."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": f"{_time(record)}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": message_of(record),
            **fields_of(record),
        }
        if record.exc_info and (exception := self.exception_of(record)):
            line["exception"] = exception
        return orjson.dumps(line, default=str).decode()


class LineFormatter(_Formatter):
    """One line per record, for people; a traceback below it."""

    def format(self, record: logging.LogRecord) -> str:
        fields = "".join([f" {name}={value}" for name, value in fields_of(record).items() if name not in _IN_MESSAGE])
        head = _clean(f"{_time(record)[11:]} {record.levelname} {record.name}: {message_of(record)}{fields}".rstrip())
        exception = self.exception_of(record).rstrip() if record.exc_info else ""
        return f"{head}\n{exception}" if exception else head


def _time(record: logging.LogRecord) -> str:
    """In UTC, without the offset."""
    seconds = int(record.created)
    return f"{_second(seconds)}.{int((record.created - seconds) * 1000):03d}"


@lru_cache(maxsize=8)
def _second(seconds: int) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat()[: len("2026-11-30T09:30:00")]


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """The structured fields of a record, and the id of the request that it belongs to."""
    fields: dict[str, Any] = getattr(record, "fields", {})
    if current := request_id.get():
        fields = {**fields, "request_id": current}
    return {
        name: _clean(value) if isinstance(value, str) and not value.isprintable() else value
        for name, value in fields.items()
    }


def message_of(record: logging.LogRecord) -> str:
    """The message of a record; of Django's own, which quote paths, headers and values, a substitute."""
    if not record.name.startswith("django."):
        return _clean(record.getMessage())
    if record.name.startswith(("django.request", "django.server")):
        return f"{getattr(record, 'status_code', '')} {route_of(getattr(record, 'request', None)) or ''}".strip()
    if record.name.startswith("django.security"):
        return f"refused: {record.name.rpartition('.')[2]}"
    if record.name.startswith("django.db.backends"):
        verb = statement_of(str(getattr(record, "sql", ""))).lstrip().partition(" ")[0]
        return f"{verb[:20]} took {getattr(record, 'duration', 0):.3f} s"
    return _clean(record.getMessage())


def route_of(request: Any) -> str | None:
    """The route of a request, without the values in its path: `/api/{user_id}/tasks`."""
    match = getattr(request, "resolver_match", None)
    return None if match is None else _template(match.route)


@lru_cache(maxsize=500)
def _template(route: str) -> str:
    return "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route)


def trace(error: BaseException) -> str:
    """The traceback of an error and of those that it was raised from, as Python prints it, without their texts."""
    traces: dict[int, str] = {}
    each: BaseException | None = error
    while each is not None and id(each) not in traces:
        frames = "".join(traceback.format_tb(each.__traceback__))
        traces[id(each)] = f"Traceback (most recent call last):\n{frames}{_name(each)}\n"
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
    return "\n".join(reversed(traces.values()))


def _name(error: BaseException) -> str:
    """The type of an error; of the database's also the SQLSTATE and the constraint, which quote no data."""
    kind = type(error)
    codes = (getattr(error, "sqlstate", None), getattr(getattr(error, "diag", None), "constraint_name", None))
    known = ", ".join(code for code in codes if isinstance(code, str))
    return f"{kind.__module__}.{kind.__qualname__}" + (f" ({known})" if known else "")


def _clean(text: str) -> str:
    """Escape what ends a line, moves a cursor, turns the direction of writing (Trojan Source) or cannot be seen: no
    client can forge a line."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else f"\\u{ord(each):04x}" if each <= "\uffff" else f"\\U{ord(each):08x}"
        for each in text
    )
