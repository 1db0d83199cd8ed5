"""Scopes: what a personal token may do. Those of a resource are its own: `Resource.read_scope`, `write_scope`."""

from collections.abc import Collection
from typing import NamedTuple

from config.errors import Forbidden

ACCOUNT_READ, IMPORT, FEEDS_READ, WEBHOOKS = "account:read", "import", "feeds:read", "webhooks"
OF_NO_RESOURCE = (ACCOUNT_READ, IMPORT, FEEDS_READ, WEBHOOKS)


class Need(NamedTuple):
    """What a request needs: all of these scopes, or one of them, if `is_any`."""

    scopes: tuple[str, ...]
    is_any: bool = False

    def is_met_by(self, granted: Collection[str]) -> bool:
        return (any if self.is_any else all)(scope in granted for scope in self.scopes)


SESSION: Need = Need((), is_any=True)  # no token has it


def need(*scopes: str) -> Need:
    """All of these."""
    return Need(tuple(sorted({*scopes})))


def need_any(*scopes: str) -> Need:
    return Need(tuple(sorted({*scopes})), is_any=True)


class _Refused(Forbidden):
    """With the challenge of RFC 6750, section 3.1."""

    challenge = 'Bearer error="insufficient_scope"'

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": self.challenge}


class SessionRequired(_Refused):
    code = "session_required"
    title = "No token may do this"


class InsufficientScope(_Refused):
    code = "insufficient_scope"
    title = "The token lacks a scope"

    def __init__(self, detail: str, needed: Need) -> None:
        super().__init__(detail)
        self.challenge = f'{self.challenge}, scope="{" ".join(needed.scopes)}"'


def require(needed: Need, granted: Collection[str]) -> None:
    """Raises InsufficientScope, and SessionRequired where no scope would do."""
    if needed.is_met_by(granted):
        return
    if not needed.scopes:
        raise SessionRequired("No personal token may do this; sign in, and send the access token of that session.")
    if needed.is_any:
        lacking = f"one of the scopes {', '.join(needed.scopes)}"
    else:
        missing = [scope for scope in needed.scopes if scope not in granted]
        lacking = f"the scope{'s' if len(missing) > 1 else ''} {' and '.join(missing)}"
    raise InsufficientScope(f"This token lacks {lacking}; make one that has what it needs, or sign in.", needed)
