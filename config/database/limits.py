"""How long a request may keep the database busy: by one statement, waiting for a lock, or in an idle transaction.

Migrations, other commands and exports, which go on after their request, take the time they need.
"""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from config.database import context


def limits(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware."""

    def middleware(request: HttpRequest) -> HttpResponse:
        with context.local(of_requests()):
            return get_response(request)

    return middleware


def of_requests() -> dict[str, str]:
    return {
        "statement_timeout": f"{settings.DATABASE_STATEMENT_TIMEOUT}s",
        "lock_timeout": f"{settings.DATABASE_LOCK_TIMEOUT}s",
        "idle_in_transaction_session_timeout": f"{settings.DATABASE_IDLE_TRANSACTION_TIMEOUT}s",
    }
