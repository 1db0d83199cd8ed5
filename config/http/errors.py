"""Exceptions of HTTP requests, and which errors of the database are an outage."""

import logging
from typing import ClassVar

from django.db import InterfaceError, OperationalError
from psycopg.errors import IdleInTransactionSessionTimeout
from rest_framework.exceptions import ParseError, UnsupportedMediaType, ValidationError

from config.errors import DomainError, Unavailable

logger = logging.getLogger(__name__)

MAX_ERRORS = 100  # in one answer


class InvalidBody(ValidationError):
    """Members of the body are invalid; `errors` name them by RFC 6901 pointers."""

    location: ClassVar[str] = "pointer"


class InvalidParameter(ValidationError):
    """Query parameters are invalid."""

    location: ClassVar[str] = "parameter"


class InvalidHeader(ValidationError):
    """A request header is invalid."""

    location: ClassVar[str] = "header"


class MalformedBody(ParseError):
    """The body is not the JSON that its Content-Type claims."""


class UnreadableBody(UnsupportedMediaType):
    """The body may be JSON, but in a charset or a content coding that is not read."""


class BodyTooLarge(DomainError):
    status = 413
    code = "body_too_large"
    title = "The body is too large"


class DatabaseUnavailable(Unavailable):
    code = "database_unavailable"
    title = "The database is unavailable"

    def __init__(self, detail: str = "The database cannot answer now; try again in a moment.") -> None:
        super().__init__(detail)


def is_outage(exc: BaseException | None) -> bool:
    """Whether the database was away, or ended a statement or transaction that took too long."""
    if isinstance(exc, OperationalError | InterfaceError):
        return True
    # Django makes an InternalError of this one.
    return isinstance(getattr(exc, "__cause__", None), IdleInTransactionSessionTimeout)


def outage_of(exc: BaseException) -> DatabaseUnavailable:
    """The error to answer in place of an outage, whose reason is logged."""
    # The text of the database's error may hold host names, and below its first line values.
    logger.error("database unavailable: %s", str(exc).partition("\n")[0])
    return DatabaseUnavailable()
