"""What is limited more tightly than the rest: guessing passwords, and opening accounts."""

from collections.abc import Iterator

from rest_framework.request import Request

from config.rest.address import client_address, network
from config.rest.throttling import CallerThrottle, RateThrottle
from config.text import trimmed
from users.text import MAX_EMAIL, canonical_email


class LoginThrottle(RateThrottle):
    """Attempts to prove who one is: by address, and by the account that is tried, wherever from.

    A subclass with a `policy` of its own has the same limits, and counters of its own: what is tried there
    does not use up the sign-ins.
    """

    scope = "login"

    def counted(self, request: Request) -> Iterator[tuple[str, str]]:
        yield self.scope, f"address:{network(client_address(request))}"
        if account := _account(request):
            yield self.scope, account


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
    """Requests that make us send a mail: by address, and by the mailbox that would fill up."""

    scope = "mail"


class RegisterThrottle(RateThrottle):
    scope = "register"

    def counted(self, request: Request) -> Iterator[tuple[str, str]]:
        yield self.scope, network(client_address(request))


LOGIN = (CallerThrottle, LoginThrottle)
PASSWORD = (CallerThrottle, PasswordThrottle)
EXPORT = (CallerThrottle, ExportThrottle)
CODE = (CallerThrottle, CodeThrottle)
MAIL = (CallerThrottle, MailThrottle)
REGISTER = (CallerThrottle, RegisterThrottle)


def _account(request: Request) -> str | None:
    """A body that cannot be read is the view's to refuse: its exception is the same here."""
    if request.user and request.user.is_authenticated:
        return f"user:{request.user.pk}"
    email = request.data.get("email") if isinstance(request.data, dict) else None
    # Longer ones are nobody's; without the spaces around, which the view ignores.
    address = trimmed(email, MAX_EMAIL) if isinstance(email, str) else None
    return f"email:{canonical_email(address)}" if address else None
