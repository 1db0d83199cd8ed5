"""Confirming the address of an account, and changing it to another one."""

from django.db import IntegrityError, transaction
from django.utils import timezone

from config.database.transactions import retried_transaction
from config.errors import Invalid
from users import audit
from users.audit import Action
from users.mail import services as mail
from users.models import EmailChange, User
from users.services.accounts import counted, email_taken, locked, proven
from users.services.passwords import FRESH, NoPassword, require_proof
from users.text import canonical_email
from users.tokens import mailed, own
from users.tokens.own import Grant


class SameEmail(Invalid):
    code = "unchanged"


def verify_email(token: str, email: str = "") -> User:
    """Confirm the address of an account, or the one that it asked to have instead, with a mailed token or a code.

    Raises InvalidProof, and EmailTaken, which only who reads that mailbox gets to see.
    """
    with counted(token, email):
        return _verify_email(token, email)


@retried_transaction
def _verify_email(token: str, email: str) -> User:
    with proven([mailed.EMAIL_VERIFICATION, mailed.EMAIL_CHANGE], token, email) as (user, proof):
        if proof is mailed.EMAIL_CHANGE:
            _change_email(user)
        elif user.email_verified_at is None:
            user.email_verified_at = timezone.now()
            user.save(update_fields=["email_verified_at"])
            audit.record(Action.EMAIL_VERIFIED, user)
    return user


def request_email_change(grant: Grant, *, email: str, password: str | None = None) -> None:
    """Mail a token to the new address, and a word to the present one, which stays until the new one is confirmed.

    The same happens whether or not the new address has an account. Needs the password, or a sign-in within five
    minutes. Raises NoPassword for external accounts, WrongPassword, SignInAgain, SameEmail, and InvalidToken if the
    account has since been deleted or deactivated, or its password changed.
    """
    if grant.user.is_external:
        raise NoPassword("You sign in elsewhere; change your address there.")
    require_proof(grant, password, FRESH)
    if canonical_email(email) == grant.user.email_canonical:
        raise SameEmail("This is your address already.", pointer="/email")
    _request_email_change(grant.user, email.strip())


@retried_transaction
def _request_email_change(user: User, email: str) -> None:
    account = locked(user)
    if not own.is_valid_for(account, user.token_version):
        raise own.refusal()  # since it was read
    asked = {"email": email, "previous": account.email, "requested_at": timezone.now(), "confirmed_at": None}
    account.email_change, _ = EmailChange.objects.update_or_create(user=account, defaults=asked)
    audit.record(Action.EMAIL_CHANGE_REQUESTED, account, to=email)
    mail.send_email_change(account)


def _change_email(user: User) -> None:
    """Of a locked account, which has proved that the new address is its own. Sessions and tokens stay: they are not
    tied to the address. Mails to the former one no longer prove anything."""
    change, previous, now = user.email_change, user.email, timezone.now()
    user.set_email(change.email)
    user.email_verified_at = change.confirmed_at = now
    try:
        with transaction.atomic():
            user.save(update_fields=["email", "email_canonical", "email_verified_at"])
    except IntegrityError as error:
        raise email_taken(error, pointer="/token") from error
    change.save(update_fields=["confirmed_at"])
    audit.record(Action.EMAIL_CHANGED, user, previous=previous)
