"""The mails that accounts get: written from templates, sent to the stored address, after the answer.

Sending in the request would tell by its time whether an address has an account, and would hold a database
connection while a mail server thinks.
"""

import datetime as dt
import logging
import smtplib
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from urllib.parse import quote

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.template.loader import render_to_string

from users import proofs
from users.models import User

logger = logging.getLogger(__name__)


def send_password_reset(user: User) -> None:
    token, lifetime = proofs.PASSWORD_RESET.make(user), proofs.PASSWORD_RESET.lifetime
    _send(user.email, "password_reset", "Set a new password", "reset-password", token, lifetime)


def send_email_verification(user: User) -> None:
    token, lifetime = proofs.EMAIL_VERIFICATION.make(user), proofs.EMAIL_VERIFICATION.lifetime
    _send(user.email, "email_verification", "Confirm your address", "verify-email", token, lifetime)


def send_invitation(email: str, token: str) -> None:
    _send(email, "invitation", "You are invited", "register", token, proofs.INVITATION_LIFETIME)


def link(page: str, token: str) -> str:
    """Where the front end takes the token; empty without an `APP_URL`."""
    return f"{settings.APP_URL}/{page}?token={quote(token)}" if settings.APP_URL else ""


def _send(email: str, template: str, subject: str, page: str, token: str, lifetime: dt.timedelta) -> None:
    """Nothing that people typed but the address is in a mail: whoever opens an account for somebody else's
    address would choose the words.
    """
    hours = int(lifetime.total_seconds() // 3600)
    context = {"email": email, "token": token, "link": link(page, token), "hours": hours}
    body = render_to_string(f"users/mail/{template}.txt", context)
    message = EmailMessage(f"Tickbase: {subject.lower()}", body, to=[email])
    transaction.on_commit(lambda: _later(message))


def _later(message: EmailMessage) -> None:
    _worker().submit(message.send).add_done_callback(_log_failure)


@cache
def _worker() -> ThreadPoolExecutor:
    """Made at the first mail, that is, in the process that serves; its exit waits for what is under way."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="mail")


def _log_failure(sending: Future[int]) -> None:
    error = sending.exception()
    if isinstance(error, OSError | smtplib.SMTPException):
        # Not its text: servers quote the address, and the message holds a token.
        logger.error("a mail could not be sent: %s", type(error).__name__)
    elif error is not None:
        raise error


def wait_until_sent() -> None:
    """For commands, which end after this, and for tests."""
    _worker().submit(lambda: None).result()
