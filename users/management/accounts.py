"""The account argument of management commands."""

from argparse import ArgumentParser

from django.core.management.base import CommandError
from django.db.models import Q

from config.values import MAX_BIGINT, is_storable
from users.models import User
from users.text import canonical_email

HELP = "the e-mail address of the account, or its public id if another issuer has made it"
_DIGITS = len(str(MAX_BIGINT))


def add_account(parser: ArgumentParser) -> None:
    parser.add_argument("account", metavar="EMAIL", help=HELP)


def find(name: str) -> User:
    """Raises CommandError unless exactly one account matches."""
    found = _found(name)
    if len(found) > 1:
        raise CommandError(f"{name!r} may mean several accounts; name the one by its e-mail address.")
    if not found:
        raise CommandError(f"No account has the e-mail address or the id {name!r}; look it up in the admin.")
    return found[0]


def find_local(name: str) -> User:
    """A local account takes precedence over external ones. Raises CommandError if only an external one matches."""
    if local := _found(name, issuer=None):
        return local[0]
    user = find(name)
    raise CommandError(f"{user} belongs to another issuer, {user.issuer}, and signs in there.")


def _found(name: str, **only: None) -> list[User]:
    """At most two accounts with this id or address; of local ones at most one, as no address is a number.

    Not by the address of an external account, which is no identifier.
    """
    if not is_storable(name):
        return []
    meant = Q(email_canonical=canonical_email(name)) | Q(subject=name)
    if len(name) <= _DIGITS and name.isascii() and name.isdecimal() and int(name) <= MAX_BIGINT:
        meant |= Q(pk=int(name), issuer=None)
    return list(User.objects.filter(meant, **only)[:2])
