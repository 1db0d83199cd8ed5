"""Which request is being answered: for what is written down about it, far below the view."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.http import HttpRequest

_request: ContextVar[HttpRequest | None] = ContextVar("origin", default=None)


def request() -> HttpRequest | None:
    """None in commands, and where no view says that something is written down."""
    return _request.get()


@contextmanager
def of(answered: HttpRequest) -> Iterator[None]:
    token = _request.set(answered)
    try:
        yield
    finally:
        _request.reset(token)
