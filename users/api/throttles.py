"""What is limited more tightly than the rest: guessing passwords, and opening accounts."""

from collections.abc import Iterator
from typing import ClassVar

from rest_framework.request import Request

from config.http.limits.throttling import CallerThrottle, Counter, RateThrottle, by_network
from users import attempts


class LoginThrottle(RateThrottle):
    """Attempts to prove who one is: by network, and by the account that is tried.

    A subclass with a `policy` of its own has the same limits, and counters of its own: what is tried there
    does not use up the sign-ins.
    """

    scope: ClassVar[str] = "login"

    def counters(self, request: Request) -> Iterator[Counter]:
        if request.user and request.user.is_authenticated:
            return attempts.counters_of(self.scope, request, request.user)
        return attempts.counters(self.scope, request, lambda: _email(request), attempts.SessionProof.of(request))


class PasswordThrottle(LoginThrottle):
    """Changes of a signed-in account that need its password."""

    policy = "password"


class ExportThrottle(LoginThrottle):
    """Exports, each of which the audit keeps."""

    policy = "export"


class CodeThrottle(LoginThrottle):
    """Requests that bring back a code from a mail."""

    policy = "code"


class MailThrottle(LoginThrottle):
    """Requests that make us send a mail: by network, and by the mailbox that would fill up."""

    scope = "mail"


class RegisterThrottle(RateThrottle):
    def counters(self, request: Request) -> Iterator[Counter]:
        return by_network("register", request)


LOGIN = (CallerThrottle, LoginThrottle)
PASSWORD = (CallerThrottle, PasswordThrottle)
EXPORT = (CallerThrottle, ExportThrottle)
CODE = (CallerThrottle, CodeThrottle)
MAIL = (CallerThrottle, MailThrottle)
REGISTER = (CallerThrottle, RegisterThrottle)


def _email(request: Request) -> str | None:
    """A body that cannot be read is the view's to refuse: its exception is the same here."""
    return attempts.canonical(request.data.get("email")) if isinstance(request.data, dict) else None
