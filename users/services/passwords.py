"""Signing in with a password, and changing, resetting and setting it."""

import datetime as dt

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.utils import timezone

from config.database.isolation import all_users, as_user
from config.database.transactions import retried_transaction
from config.errors import AuthenticationFailed, Forbidden, Invalid
from users import audit
from users.audit import Action
from users.mail import services as mail
from users.models import Session, User
from users.services import sessions
from users.services.accounts import counted, delete_account, end_tokens, locked, proven, require_strong
from users.text import canonical_email, opaque_string
from users.tokens import mailed, own
from users.tokens.own import Grant

FRESH = dt.timedelta(minutes=5)


class WrongCredentials(AuthenticationFailed):
    keeps_writes = True
    code = "wrong_credentials"
    title = "E-mail or password is wrong"


class WrongPassword(Invalid):
    keeps_writes = True
    code = "wrong_password"


class SignInAgain(Forbidden):
    code = "sign_in_again"
    title = "A fresh sign-in is needed"


class NoPassword(Forbidden):
    code = "no_password"
    title = "The account has no password here"


def sign_in(device: sessions.Device, *, email: str, password: str) -> Session:
    """Open a session of the active user with this e-mail and password.

    Raises WrongCredentials, one error for every reason, always after one hash: neither the answer nor its timing shows
    whether an account exists. Hashing holds no lock and no transaction.
    """
    user, is_proven = try_password(email, password)
    if user is not None and is_proven:
        with as_user(user.pk):
            session = _open_session(user, device)
        if session is not None:
            return session
    audit.failed_sign_in(user, email)
    raise WrongCredentials("No active account has this e-mail and password.")


def try_password(email: str, password: str) -> tuple[User | None, bool]:
    """The local account with this e-mail, and whether it is active and this is its password.

    Hashes as often for an unknown address as for a wrong password, against timing attacks.
    """
    with all_users():
        user = User.objects.filter(email_canonical=canonical_email(email)).first()
    if user is None:
        return None, User(password=make_password(None)).check_password(password)
    with as_user(user.pk):
        return user, user.check_password(password) and user.is_active


@retried_transaction
def _open_session(user: User, device: sessions.Device) -> Session | None:
    """None if the account has since been deleted or deactivated, or its password changed.

    The update locks the account, so that none of these can happen until the session is committed.
    """
    same = User.objects.filter(pk=user.pk, is_active=True, token_version=user.token_version)
    if not same.update(last_login=timezone.now()):
        return None
    session = sessions.open_session(user, device)
    audit.record(Action.SIGNED_IN, user, of=session, user_agent=session.user_agent)
    return session


def change_password(grant: Grant, *, current: str, new: str) -> Session:
    """Change the password; every token is revoked, every other session ends, and this one gets new tokens.

    Raises NoPassword for external accounts, WrongPassword, WeakPassword, and InvalidToken if the account has since
    been deleted or deactivated, or its password changed.
    """
    user, session = grant.user, grant.session
    if session is None:
        raise NoPassword("You sign in elsewhere; change your password there.")
    require_password(user, current, pointer="/current_password")
    new = opaque_string(new)
    require_strong(new, user, pointer="/new_password")
    return _replace_password(user, session, make_password(new))


@retried_transaction
def _replace_password(user: User, session: Session, hashed: str) -> Session:
    account = locked(user)
    if not account.is_active or account.token_version != user.token_version:
        raise own.refusal()  # the password that was verified is no longer the current one
    account.password = hashed
    account.token_version += 1
    account.save(update_fields=["password", "token_version"])
    sessions.forget_other_sessions(account, session)
    audit.record(Action.PASSWORD_CHANGED, account)
    return sessions.renew(account, session)


def require_password(user: User, password: str, *, pointer: str) -> None:
    if not user.check_password(password):
        audit.record(Action.PASSWORD_REFUSED, user)
        raise WrongPassword("This is not your password.", pointer=pointer)


def set_password(user: User, password: str | None) -> User:
    """Set the password, as staff; every session ends. None makes it unusable. Raises AccountGone."""
    return _set_password(user, make_password(None if password is None else opaque_string(password)))


@retried_transaction
def _set_password(user: User, hashed: str) -> User:
    account = locked(user)
    account.password = hashed
    account.save(update_fields=["password", *end_tokens(account)])
    audit.record(Action.PASSWORD_SET, account, is_usable=account.has_usable_password())
    return account


def request_password_reset(email: str) -> None:
    """Mail a token to the stored address of the active local account, if there is one with a usable password.

    To the stored address, not the given one: a look-alike may be another person's mailbox (CVE-2019-19844).
    """
    with all_users():
        user = User.objects.filter(email_canonical=canonical_email(email), is_active=True).first()
    mail.send_password_reset(user if user and user.has_usable_password() else None)


def reset_password(token: str, password: str, email: str = "") -> User:
    """Set the password with a mailed token, or with a code and the account's address; every session ends.

    It also verifies the address, so that an account that was created with another person's becomes that person's.
    Raises InvalidProof and WeakPassword.
    """
    with counted(token, email):
        return _reset_password(token, opaque_string(password), email)


@retried_transaction
def _reset_password(token: str, password: str, email: str) -> User:
    with proven([mailed.PASSWORD_RESET], token, email) as (user, _):
        require_strong(password, user, pointer="/password")
        user.set_password(password)
        user.email_verified_at = user.email_verified_at or timezone.now()
        user.save(update_fields=["password", "email_verified_at", *end_tokens(user)])
        audit.record(Action.PASSWORD_RESET, user)
    return user


def close_account(grant: Grant, *, password: str | None = None) -> None:
    """Delete the caller's own account: with the password, or within five minutes of signing in.

    So a stolen access token alone deletes nothing. Raises WrongPassword, SignInAgain and AccountGone.
    """
    require_proof(grant, password, FRESH)
    delete_account(grant.user)


def require_proof(grant: Grant, password: str | None, within: dt.timedelta) -> None:
    """The right password, or without one a recent sign-in, of which external tokens tell by `auth_time` or `iat`.

    Raises WrongPassword and SignInAgain.
    """
    if password is not None:
        require_password(grant.user, password, pointer="/password")
    elif grant.signed_in_at is None:
        raise SignInAgain("Your tokens do not say when you signed in: their issuer has to add iat or auth_time.")
    elif not -settings.JWT_LEEWAY <= timezone.now() - grant.signed_in_at <= within:  # an issuer's clock may be ahead
        minutes = int(within.total_seconds()) // 60
        raise SignInAgain(f"Send your password, or sign in again and do this within {minutes} minutes.")
