"""Throttles of sign-in, passwords, mails, exports and registration; tighter than the general rate limit."""

from collections.abc import Iterator
from typing import ClassVar

from rest_framework.request import Request

from config.http.limits.throttling import CallerThrottle, Counter, RateThrottle, by_network
from users import attempts
from users.tokens.callers import Caller, TokenCaller


class LoginThrottle(RateThrottle):
    """Attempts to sign in, by network and by account.

    A subclass with its own `policy` has the same limits but its own counters, so that they do not use up the sign-ins.
    """

    scope: ClassVar[str] = "login"
    takes_tokens: ClassVar[bool] = False

    def counters(self, request: Request) -> Iterator[Counter]:
        # It will be refused, and must not use up what the owner needs to act against a stolen one.
        if isinstance(request.user, TokenCaller) and not self.takes_tokens:
            return by_network(self.scope, request)
        if isinstance(request.user, Caller):
            request.user.require_standing()  # an ended session must not use up the attempts of its account
            return attempts.counters_of(self.scope, request, request.user)
        return attempts.counters(self.scope, request, lambda: _email(request), attempts.SessionProof.of(request))


class PasswordThrottle(LoginThrottle):
    """Changes of an account that need its password."""

    policy = "password"


class ExportThrottle(LoginThrottle):
    """Exports, each of which is an event in the audit log."""

    policy = "export"
    takes_tokens = True


class CodeThrottle(LoginThrottle):
    """Requests that carry a token from a mail."""

    policy = "code"


class MailThrottle(LoginThrottle):
    """Requests that send a mail, by network and by recipient."""

    scope = "mail"


class EmailChangeThrottle(MailThrottle):
    """Likewise, and by the new address, as many accounts may name one."""

    def counters(self, request: Request) -> Iterator[Counter]:
        yield from super().counters(request)
        if address := _email(request):
            yield Counter(self.scope, f"email:{address}", is_wide=True)


class UnknownTokenThrottle(RateThrottle):
    """Personal tokens that the process has to look up, by network: as requests without a valid token are."""

    def counters(self, request: Request) -> Iterator[Counter]:
        return by_network("anon", request)


class RegisterThrottle(RateThrottle):
    def counters(self, request: Request) -> Iterator[Counter]:
        return by_network("register", request)


LOGIN = (CallerThrottle, LoginThrottle)
PASSWORD = (CallerThrottle, PasswordThrottle)
EXPORT = (CallerThrottle, ExportThrottle)
CODE = (CallerThrottle, CodeThrottle)
MAIL = (CallerThrottle, MailThrottle)
EMAIL_CHANGE = (CallerThrottle, PasswordThrottle, EmailChangeThrottle)
REGISTER = (CallerThrottle, RegisterThrottle)


def _email(request: Request) -> str | None:
    """The address in the body; parsing may raise, and the view then answers with that exception."""
    return attempts.canonical(request.data.get("email")) if isinstance(request.data, dict) else None
