"""Finds the account that an operator names on the command line."""

from argparse import ArgumentParser

from django.core.management.base import CommandError
from django.db.models import Q

from config.values import is_storable
from users.models import User
from users.text import canonical_email

HELP = "the e-mail address of the account, or its public id if another issuer has made it"
_MAX_ID = 2**63 - 1
_DIGITS = len(str(_MAX_ID))


def add_account(parser: ArgumentParser) -> None:
    parser.add_argument("account", metavar="EMAIL", help=HELP)


def find(name: str) -> User:
    """Raises CommandError unless exactly one account is meant."""
    found = _found(name)
    if len(found) > 1:
        raise CommandError(f"{name!r} may mean several accounts; name the one by its e-mail address.")
    if not found:
        raise CommandError(f"No account has the e-mail address or the id {name!r}; look it up in the admin.")
    return found[0]


def find_local(name: str) -> User:
    """One that signs in here, whatever other issuers call theirs. Raises CommandError also for one of theirs."""
    if local := _found(name, issuer=None):
        return local[0]
    user = find(name)
    raise CommandError(f"{user} belongs to another issuer, {user.issuer}, and signs in there.")


def _found(name: str, **only: None) -> list[User]:
    """Two at most. Of local accounts no more than one has the name: an address is no number."""
    return list(User.objects.filter(_named(name), **only)[:2]) if is_storable(name) else []


def _named(name: str) -> Q:
    """The e-mail of an external account is what its issuer said, and identifies nobody."""
    meant = Q(email_canonical=canonical_email(name)) | Q(subject=name)
    if len(name) <= _DIGITS and name.isascii() and name.isdecimal() and int(name) <= _MAX_ID:
        meant |= Q(pk=int(name), issuer=None)
    return meant
