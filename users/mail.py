"""Mails to accounts: rendered from templates, and sent to the stored address in the background.

Sending within the request would reveal by its timing whether an address has an account, and would hold a database
connection while a mail server answers.
"""

import datetime as dt
import logging
import smtplib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import NamedTuple
from urllib.parse import quote

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.template.loader import render_to_string

from users.models import User
from users.text import mail_address
from users.tokens import mailed

logger = logging.getLogger(__name__)


class Kind(NamedTuple):
    template: str
    subject: str
    page: str  # of the front end
    lifetime: str


PASSWORD_RESET = Kind("password_reset", "set a new password", "reset-password", "an hour")
EMAIL_VERIFICATION = Kind("email_verification", "confirm your address", "verify-email", "three days")
EMAIL_CHANGE = Kind("email_change", "confirm your new address", "verify-email", "a day")
INVITATION = Kind("invitation", "you are invited", "register", "seven days")


def send_password_reset(user: User | None) -> None:
    """Mail a token to the user's stored address. Without a user, do the same work and send nothing."""
    recipient = user or User(email="nobody@example.com")
    _later(lambda: _compose_proof(PASSWORD_RESET, recipient.email, mailed.PASSWORD_RESET, recipient), send=bool(user))


def send_email_verification(user: User) -> None:
    _later(lambda: _compose_proof(EMAIL_VERIFICATION, user.email, mailed.EMAIL_VERIFICATION, user))


def send_email_change(user: User) -> None:
    """Mail a token to the address that the account is to have."""
    change = user.email_change
    _later(lambda: _compose_proof(EMAIL_CHANGE, change.email, mailed.EMAIL_CHANGE, user))


def send_email_change_notice(user: User) -> None:
    """Tell the address that the account has had, before the other one can confirm."""
    change = user.email_change
    body = render_to_string("users/mail/email_change_notice.txt", {"email": change.previous})
    subject = "Tickbase: your address is to be changed"
    _later(lambda: EmailMessage(subject, body, to=[mail_address(change.previous)]))


def send_invitation(email: str, token: str) -> None:
    """Send in the foreground, for a command. Raises OSError, the base of SMTPException."""
    _compose(INVITATION, email, token).send()


def send_token_expiry(user: User, prefix: str, expires_at: dt.datetime) -> None:
    """Send in the foreground, for a command. Raises OSError, the base of SMTPException."""
    context = {"email": user.email, "prefix": prefix, "expires_at": f"{expires_at:%Y-%m-%d %H:%M} UTC"}
    body = render_to_string("users/mail/token_expiry.txt", context)
    EmailMessage("Tickbase: a token expires soon", body, to=[mail_address(user.email)]).send()


def link(page: str, token: str) -> str:
    """The page of the front end that redeems the token; empty without `APP_URL`."""
    return f"{settings.APP_URL}/{page}?token={quote(token)}" if settings.APP_URL else ""


def _compose_proof(kind: Kind, email: str, proof: mailed.Proof, user: User) -> EmailMessage:
    return _compose(kind, email, proof.make(user), proof.make_code(user))


def _compose(kind: Kind, email: str, token: str, code: str = "") -> EmailMessage:
    """The mail contains no user text but the address: registering another person's address must not send them a text
    of one's choice."""
    link_to_app = link(kind.page, token)
    context = {"email": email, "token": token, "code": code, "link": link_to_app, "lifetime": kind.lifetime}
    body = render_to_string(f"users/mail/{kind.template}.txt", context)
    return EmailMessage(f"Tickbase: {kind.subject}", body, to=[mail_address(email)])


def _later(compose: Callable[[], EmailMessage], *, send: bool = True) -> None:
    """Compose and send in the worker thread, after the commit."""

    def deliver() -> None:
        message = compose()
        if send:
            message.send()

    transaction.on_commit(lambda: _worker().submit(deliver).add_done_callback(_log_failure))


@cache
def _worker() -> ThreadPoolExecutor:
    """The worker thread, created at the first mail: in the process that serves requests. A shutdown waits for queued
    mails only within the server's grace period; after that they are lost."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="mail")


def _log_failure(sending: Future[None]) -> None:
    error = sending.exception()
    if isinstance(error, OSError | smtplib.SMTPException | UnicodeError):
        # Without the error's text: servers quote the address, and the message holds a token.
        logger.error("a mail could not be sent: %s", type(error).__name__)
    elif error is not None:
        raise error


def wait_until_sent() -> None:
    """For tests."""
    _worker().submit(lambda: None).result()
