"""How long a request may keep the database busy: by one statement, waiting for a lock, or in an idle transaction.

Migrations, other commands and exports, which go on after their request, take the time they need.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from psycopg.errors import QueryCanceled

from config.database import session
from config.errors import SearchTooSlow

SEARCH_SECONDS = 2


def limits(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware."""

    def middleware(request: HttpRequest) -> HttpResponse:
        with session.local(of_requests()):
            return get_response(request)

    return middleware


@contextmanager
def of_search() -> Iterator[None]:
    """A search reads all that a user has, and goes on for long with a text that matches almost everywhere.
    Raises SearchTooSlow."""
    seconds = min(SEARCH_SECONDS, settings.DATABASE_STATEMENT_TIMEOUT or SEARCH_SECONDS)
    with session.local({"statement_timeout": f"{seconds * 1000:.0f}ms"}):
        try:
            yield
        except OperationalError as error:
            if not isinstance(error.__cause__, QueryCanceled):
                raise
            raise SearchTooSlow(
                "The search took too long; search for other or fewer words, or add filters such as status or due_after."
            ) from error


def of_requests() -> dict[str, str]:
    return {
        "statement_timeout": f"{settings.DATABASE_STATEMENT_TIMEOUT}s",
        "lock_timeout": f"{settings.DATABASE_LOCK_TIMEOUT}s",
        "idle_in_transaction_session_timeout": f"{settings.DATABASE_IDLE_TRANSACTION_TIMEOUT}s",
    }
