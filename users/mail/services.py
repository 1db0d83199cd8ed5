"""Queues mails in the transaction that asks for them, and hands them over to the mail server.

Sending within the request would reveal by its timing whether an address has an account, and would hold a database
connection while a mail server answers; and what is only in memory is lost by a stop.
"""

import datetime as dt
import logging
import smtplib
from collections.abc import Callable, Sequence
from email.utils import parseaddr
from typing import Any, NamedTuple
from urllib.parse import quote

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.db import DatabaseError, InterfaceError
from django.db.models import prefetch_related_objects
from django.template.loader import render_to_string
from django.utils import timezone

from config.database.isolation import all_users
from config.database.queries import Raw, run
from config.database.transactions import retried_transaction
from config.operations.work import backoff
from users.mail.models import Mail, MailQuerySet
from users.models import User
from users.text import mail_address
from users.tokens import mailed

logger = logging.getLogger(__name__)

LIFETIME = dt.timedelta(days=1)  # in which a mail is tried again and again
BATCH, BULK_BATCH = 10, 25  # mails of one connection to the mail server
MAX_REASON = 500  # characters of what a mail server answers
NO_SERVER = "No mail server is set: EMAIL_HOST is empty."

# `settle`, whose SQL Django would build anew for each of thousands.
_SENT = """
    UPDATE mail_mail SET sent_at = %s, due_at = NULL, leased_until = NULL, data = '{}', last_error = ''
    WHERE id = %s AND attempts = %s AND leased_until IS NOT NULL
"""

# Makes the message to a row's address; None if there is nothing to be said any more.
Composer = Callable[[Mail, str], EmailMessage | None]

_composers: dict[str, Composer] = {}
_look_ups: dict[str, Callable[[list[Mail]], None]] = {}
_bulk: set[str] = set()  # kinds for which nobody waits
_reported: set[str] = set()  # kinds of which the log already says that they cannot be sent


class Link(NamedTuple):
    """A mail with a link to a page of the front end, or with the token alone where there is none (`APP_URL`)."""

    kind: str
    subject: str
    page: str
    lifetime: str

    def prove(self, address: str, proof: mailed.Proof, user: User) -> EmailMessage:
        """With a token, and with a code for people who read their mail on another device."""
        return self.compose(address, proof.make(user), proof.make_code(user))

    def compose(self, address: str, token: str, code: str = "") -> EmailMessage:
        """It contains no user text but the address: registering another person's address must not send them a text of
        one's choice."""
        link_to_app = link(self.page, token)
        context = {"email": address, "token": token, "code": code, "link": link_to_app, "lifetime": self.lifetime}
        return message(f"Tickbase: {self.subject}", f"users/mail/{self.kind}.txt", context, address)


PASSWORD_RESET = Link("password_reset", "set a new password", "reset-password", "an hour")
EMAIL_VERIFICATION = Link("email_verification", "confirm your address", "verify-email", "three days")
EMAIL_CHANGE = Link("email_change", "confirm your new address", "verify-email", "a day")
INVITATION = Link("invitation", "you are invited", "register", "seven days")
EMAIL_CHANGE_NOTICE = "email_change_notice"
TOKEN_EXPIRY = "token_expiry"


def register(
    kind: str, compose: Composer, *, is_bulk: bool = False, look_up: Callable[[list[Mail]], None] | None = None
) -> None:
    """To be called in the `ready()` of an app that sends mails of this kind. Mails that are not `is_bulk` come first:
    thousands of reminders of nine o'clock keep nobody from a new password. `look_up` sets `found` of several at once.
    """
    _composers[kind] = compose
    if look_up:
        _look_ups[kind] = look_up
    if is_bulk:
        _bulk.add(kind)


def queue(
    kind: str,
    user: User | None,
    *,
    address: str = "",
    data: dict[str, Any] | None = None,
    due_at: dt.datetime | None = None,
    lifetime: dt.timedelta = LIFETIME,
) -> Mail:
    """Store a mail for the worker, which sends it once this transaction is committed, to the user's address of then
    unless another one is given."""
    now = timezone.now()
    with all_users():  # also for mails to nobody, and in requests of nobody
        return Mail.objects.create(
            user=user,
            kind=kind,
            address=address,
            data=data or {},
            created_at=now,
            due_at=due_at or now,
            expires_at=(due_at or now) + lifetime,
        )


def queue_many(kind: str, mails: Sequence[tuple[User, dict[str, Any], dt.datetime]]) -> None:
    """`queue` several at once: whose they are, what their texts need, and until when they say something of use."""
    now = timezone.now()
    rows = [
        Mail(user=user, kind=kind, data=data, created_at=now, due_at=now, expires_at=expires_at)
        for user, data, expires_at in mails
    ]
    Mail.objects.bulk_create(rows)


def send_password_reset(user: User | None) -> None:
    """Mail a token to the user's stored address. Without a user, do the same work: the worker sends nothing."""
    queue(PASSWORD_RESET.kind, user, lifetime=mailed.PASSWORD_RESET.lifetime)


def send_email_verification(user: User) -> None:
    queue(EMAIL_VERIFICATION.kind, user)


def send_email_change(user: User) -> None:
    """Tell the address that the account has had, then mail a token to the one that it is to have."""
    change = user.email_change
    queue(EMAIL_CHANGE_NOTICE, user, address=change.previous)
    queue(EMAIL_CHANGE.kind, user, address=change.email, lifetime=mailed.EMAIL_CHANGE.lifetime)


def send_invitation(email: str) -> Mail:
    """Invite an address to open an account."""
    return queue(INVITATION.kind, None, address=email)


def send_token_expiry(user: User, prefix: str, expires_at: dt.datetime) -> None:
    """Tell that a personal token ends at its time."""
    queue(TOKEN_EXPIRY, user, data={"prefix": prefix, "expires_at": f"{expires_at:%Y-%m-%d %H:%M} UTC"})


def link(page: str, token: str) -> str:
    """The page of the front end that redeems the token; empty without `APP_URL`."""
    return f"{settings.APP_URL}/{page}?token={quote(token)}" if settings.APP_URL else ""


def message(subject: str, template: str, context: dict[str, Any], address: str) -> EmailMessage:
    return EmailMessage(subject, render_to_string(template, context), to=[mail_address(address)])


def _reset(mail: Mail, address: str) -> EmailMessage | None:
    return PASSWORD_RESET.prove(address, mailed.PASSWORD_RESET, mail.user) if mail.user else None


def _verification(mail: Mail, address: str) -> EmailMessage | None:
    if mail.user is None or mail.user.is_email_verified:
        return None
    return EMAIL_VERIFICATION.prove(address, mailed.EMAIL_VERIFICATION, mail.user)


def _change(mail: Mail, address: str) -> EmailMessage | None:
    change = getattr(mail.user, "email_change", None)
    if mail.user is None or change is None or change.confirmed_at or change.email != address:
        return None  # confirmed, or asked for anew with another address
    return EMAIL_CHANGE.prove(address, mailed.EMAIL_CHANGE, mail.user)


def _change_notice(mail: Mail, address: str) -> EmailMessage:
    subject = "Tickbase: your address is to be changed"
    return message(subject, "users/mail/email_change_notice.txt", {"email": address}, address)


def _token_expiry(mail: Mail, address: str) -> EmailMessage:
    return message(
        "Tickbase: a token expires soon", "users/mail/token_expiry.txt", mail.data | {"email": address}, address
    )


register(PASSWORD_RESET.kind, _reset)
register(EMAIL_VERIFICATION.kind, _verification)
register(EMAIL_CHANGE.kind, _change)
register(EMAIL_CHANGE_NOTICE, _change_notice)
register(TOKEN_EXPIRY, _token_expiry)
register(INVITATION.kind, lambda mail, address: INVITATION.compose(address, mailed.make_invitation(address)))


@retried_transaction
def send_again(mail: Mail) -> bool:
    """Queue a mail anew that was given up, as staff; False for any other, which was sent or waits."""
    now = timezone.now()
    given_up = Mail.objects.filter(pk=mail.pk).exclude(failed_at=None)
    return given_up.update(due_at=now, expires_at=now + LIFETIME, failed_at=None, last_error="") == 1


# --- The worker's part ------------------------------------------------------------------------------


def due(now: dt.datetime) -> MailQuerySet:
    return Mail.objects.due(now).exclude(kind__in=_bulk)


def due_in_bulk(now: dt.datetime) -> MailQuerySet:
    return Mail.objects.due(now).filter(kind__in=_bulk)


def can_send() -> bool:
    """Whether there is a mail server, or a console that a developer looks at."""
    return not settings.EMAIL_BACKEND.endswith(".dummy.EmailBackend")


def deliver(mails: list[Mail]) -> None:
    """Hand claimed mails over to the mail server, over one connection, and settle each at once.

    At least once: a worker that is killed after the server has taken a mail, and before that is stored, sends this one
    again, with the same Message-ID.
    """
    prefetch_related_objects(mails, "user")
    for kind, look_up in _look_ups.items():
        look_up([mail for mail in mails if mail.kind == kind])
    server = get_connection()
    try:
        for mail in mails:
            _deliver(mail, server)
    finally:
        server.close()


def _deliver(mail: Mail, server: Any) -> None:
    now = timezone.now()
    if now > mail.expires_at:
        _give_up(mail, f"It could not be sent in time. {mail.last_error}".strip())
        return
    if (compose := _composers.get(mail.kind)) is None:  # of another version
        mail.settle(now + backoff(mail.attempts), last_error="Its kind is unknown to this version.")
        return
    address = mail.address or (mail.user.email if mail.user else "")
    try:
        outgoing = compose(mail, address) if address else None
        if outgoing is None:
            mail.delete()
            return
        if not can_send():
            _give_up(mail, NO_SERVER)
            return
        outgoing.extra_headers.setdefault("Message-ID", _message_id(mail))
        server.open()
        server.send_messages([outgoing])
    except (DatabaseError, InterfaceError):
        raise  # it would be the same for the others
    except Exception as error:  # also of a mail that cannot be made: it must not keep the others waiting
        server.close()
        _fail(mail, error)
    else:
        run(Raw(_SENT, [timezone.now(), mail.pk, mail.attempts]))


def _fail(mail: Mail, error: Exception) -> None:
    # Not the error's text: servers quote the address, and the log is not for it.
    logger.error("a mail could not be sent: %s", type(error).__name__)
    reason = " ".join(f"{code} {text}" for code, text in _replies(error)) or type(error).__name__
    if isinstance(error, UnicodeError) or _is_final(error):
        _give_up(mail, reason)
    else:
        mail.settle(timezone.now() + backoff(mail.attempts), last_error=reason[:MAX_REASON])


def _give_up(mail: Mail, reason: str) -> None:
    mail.settle(None, failed_at=timezone.now(), last_error=reason[:MAX_REASON])
    if reason == NO_SERVER and mail.kind not in _reported:  # once, as each mail would say the same
        _reported.add(mail.kind)
        logger.error("mails cannot be sent (%s): set EMAIL_HOST", mail.kind)


def _replies(error: Exception) -> list[tuple[int, str]]:
    """What the mail server has answered: codes (RFC 5321, section 4.2) and texts."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        found: list[tuple[int, bytes | str]] = list(error.recipients.values())
    elif isinstance(error, smtplib.SMTPResponseException):
        found = [(error.smtp_code, error.smtp_error)]
    else:
        return []
    return [(code, text.decode(errors="replace") if isinstance(text, bytes) else str(text)) for code, text in found]


def _is_final(error: Exception) -> bool:
    """Whether the server refuses this mail or its recipient for good: a bounce. What it has against the sender or the
    sign-in is the operator's to mend, in time for another try."""
    is_of_mail = isinstance(error, smtplib.SMTPRecipientsRefused | smtplib.SMTPDataError)
    return is_of_mail and all(code >= 500 for code, _ in _replies(error))


def _message_id(mail: Mail) -> str:
    """Stable, so that a mail that is sent twice is shown once."""
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    return f"<{mail.kind}.{mail.pk}.{mail.created_at.timestamp():.0f}@{domain}>"
