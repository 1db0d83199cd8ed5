"""The audit log: events are written in the transaction of what they describe, and never changed.

How PostgreSQL enforces that, and where it cannot: docs/security.md.
"""

import datetime as dt
import getpass
import uuid
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connection, models
from django.db.models import Model, Q
from django.http import HttpRequest
from django.utils import timezone

from config.database.isolation import all_users
from config.database.transactions import retried_transaction
from config.environment.rates import Rate
from config.http.limits import permits
from config.http.request import client_address, current_request, is_in_admin, request_id_of
from config.observability import logs
from users.models import AuditEvent, AuditSubject, User
from users.text import validate_email

# Rate limits count addresses and accounts; this one bounds what a botnet with many of both can write: some 60 MB a day.
FAILED_SIGN_INS = Rate(10_000, 3600)
_FAILED_SIGN_INS_KEY = uuid.uuid5(uuid.NAMESPACE_URL, "tickbase:failed-sign-ins").hex
# A separate limit, so that noise at the API hides no attack on staff.
_FAILED_ADMIN_SIGN_INS_KEY = uuid.uuid5(uuid.NAMESPACE_URL, "tickbase:failed-admin-sign-ins").hex
NEXT = "\n"  # between the addresses of several subjects
OPERATOR = "operator"  # in the details: the system user who ran a command


class Action(models.TextChoices):
    """Values of the column `action`, with their labels; actions of staff on an object begin with `staff`."""

    INVITED = "account.invited", "Invited"
    REGISTERED = "account.registered", "Registered"
    SIGNED_IN = "account.signed_in", "Signed in"
    SIGN_IN_FAILED = "account.sign_in_failed", "Sign-in failed"
    SIGNED_OUT = "account.signed_out", "Signed out"
    EMAIL_VERIFIED = "account.email_verified", "Address confirmed"
    EMAIL_CHANGE_REQUESTED = "account.email_change_requested", "Change of address asked for"
    EMAIL_CHANGED = "account.email_changed", "Address changed"
    EXPORTED = "account.exported", "Account exported"
    DEACTIVATED = "account.deactivated", "Account deactivated"
    DELETED = "account.deleted", "Account deleted"
    PASSWORD_CHANGED = "password.changed", "Password changed"
    PASSWORD_RESET = "password.reset", "Password reset by mail"
    PASSWORD_SET = "password.set", "Password set by staff or a command"
    PASSWORD_REFUSED = "password.refused", "Password refused"
    SESSION_ENDED = "session.ended", "Session ended"
    SESSIONS_ENDED = "session.others_ended", "Other sessions ended"
    TOKEN_REUSED = "session.token_reused", "Refresh token reused"
    TOKEN_CREATED = "token.created", "Token made"
    TOKEN_CHANGED = "token.changed", "Token changed"
    TOKEN_REVOKED = "token.revoked", "Token revoked"
    TOKENS_REVOKED = "token.all_revoked", "All tokens revoked"
    WEBHOOK_CREATED = "webhook.created", "Webhook made"
    WEBHOOK_CHANGED = "webhook.changed", "Webhook changed"
    WEBHOOK_ROTATED = "webhook.secret_rotated", "Secret of a webhook rotated"
    WEBHOOK_DELETED = "webhook.deleted", "Webhook deleted"
    STAFF_ADDED = "staff.added", "Added by staff"
    STAFF_CHANGED = "staff.changed", "Changed by staff"
    STAFF_DELETED = "staff.deleted", "Deleted by staff"
    STAFF_RAN = "staff.ran_action", "Action run by staff"
    STAFF_UNDID = "staff.undid", "Undone by staff"
    STAFF_READ = "staff.read_text", "Text read by staff"
    NOTE_ADDED = "staff.noted", "Note added by staff"
    NOTE_DELETED = "staff.deleted_note", "Note deleted by staff"
    CODE_ACCEPTED = "second_factor.code_accepted", "Second factor accepted"
    CODE_REFUSED = "second_factor.code_refused", "Second factor refused"
    RECOVERY_CODE_USED = "second_factor.recovery_code_used", "Recovery code used"
    TOTP_ENROLLED = "second_factor.enrolled", "Second factor set up"
    TOTP_RESET = "second_factor.reset", "Second factor reset"
    PRUNED = "audit.pruned", "Audit pruned"


def about(user_id: int) -> Q:
    """Events about an account: as their subject, or as one of several whose rows staff read."""
    as_one_of_several = AuditSubject.objects.filter(user=user_id).values("event")
    return Q(pk__in=AuditEvent.objects.filter(subject=user_id).values("pk").union(as_one_of_several))


def label(action: str) -> str:
    """The label of an action; an unknown one, which another version has written, is shown as it is."""
    return Action(action).label if action in Action else action


def record(
    action: Action,
    subject: User | None = None,
    *,
    of: Model | None = None,
    email: str = "",
    proven: bool = True,
    **details: Any,
) -> AuditEvent:
    """Write an event about an account, or about an object `of` one.

    The actor of an API request is the subject, unless that is not `proven`; in the admin it is the member of staff.
    `email` is for a subject without an account. In a command, the details name the system user who runs it.
    """
    request = current_request()
    if request is None and not logs.request_id.get():  # in a command, not after a request
        details[OPERATOR] = ""
        with suppress(KeyError, OSError):  # the system knows no name
            details[OPERATOR] = getpass.getuser()
    actor = _actor(request, subject) if proven else None
    return AuditEvent.objects.create(
        at=timezone.now(),
        action=action,
        actor=actor,
        actor_email=actor.email if actor else "",
        subject=subject,
        subject_email=subject.email if subject else email,
        object_type=of._meta.label_lower if of else "",
        object_id=str(of.pk) if of else "",
        address=(client_address(request.META) or None) if request else None,
        request_id=request_id_of(request) if request else logs.request_id.get(),
        details=details,
    )


def record_reading(users: Sequence[User], *, page: str, **rows: Any) -> None:
    """Write that staff read text on a page with several rows: `users` are their owners, one for each row."""
    named = {user.pk: user for user in users}
    if len(named) == 1:
        record(Action.STAFF_READ, users[0], page=page, **rows)
        return
    emails = NEXT.join(str(user) for user in named.values())
    owners = [user.pk for user in users]
    event = record(Action.STAFF_READ, email=emails, page=page, users=[*named], owners=owners, **rows)
    AuditSubject.objects.bulk_create([AuditSubject(event=event, user=user) for user in named.values()])


def _actor(request: HttpRequest | None, subject: User | None) -> User | None:
    if request is None:
        return None
    if not is_in_admin(request):
        return subject
    user = getattr(request, "user", None)
    return user if user is not None and user.is_authenticated else None


def failed_sign_in(user: User | None, email: str, *, admin: bool = False) -> None:
    """Write a failed sign-in, up to the limit; the same work with and without an account, against timing attacks."""
    key = _FAILED_ADMIN_SIGN_INS_KEY if admin else _FAILED_SIGN_INS_KEY
    decision = permits.limiter().take(key, FAILED_SIGN_INS)
    if not decision.is_granted:
        return
    details: dict[str, Any] = {"admin": True} if admin else {}
    if not decision.remaining:
        details["more"] = "will not be written down within this hour"
    shown = "not an e-mail address"  # people type their password into the wrong field
    with suppress(ValidationError):
        validate_email(email)
        shown = email
    with all_users():
        record(Action.SIGN_IN_FAILED, user, email=shown, proven=False, **details)


# --- Pruning ----------------------------------------------------------------------------------------

BATCH = 10_000  # events per transaction, so that it ends before a pooler's timeout
# The right to delete is granted within a transaction and revoked before its commit, so that no other one ever has it.
_PERMIT = (
    "SELECT pg_advisory_xact_lock(hashtext('users_auditevent'));"
    "GRANT DELETE ON users_auditevent TO CURRENT_USER;"
    "SET LOCAL tickbase.prunes_audit = 'on'"
)
_FORBID = "REVOKE DELETE ON users_auditevent FROM CURRENT_USER; SET LOCAL tickbase.prunes_audit = ''"


def prune(days: int) -> int:
    """Delete older events, and write one with their number, also if the run was interrupted.

    No other transaction ever waits for their rows. Returns their number.
    """
    before, pruned = _before(days), 0
    with all_users():
        try:
            while batch := _prune_batch(before):
                pruned += batch
        finally:
            if pruned:
                record(Action.PRUNED, events=pruned, older_than_days=days)
    return pruned


@retried_transaction
def _prune_batch(before: dt.datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_PERMIT)
        cursor.execute(
            "WITH gone AS (DELETE FROM users_auditevent WHERE id IN"
            " (SELECT id FROM users_auditevent WHERE at < %s ORDER BY at LIMIT %s) RETURNING id),"
            " unnamed AS (DELETE FROM users_auditsubject USING gone WHERE event_id = gone.id)"
            " SELECT count(*) FROM gone",
            [before, BATCH],
        )
        pruned: int = cursor.fetchone()[0]
        cursor.execute(_FORBID)
    return pruned


def prunable(days: int) -> int:
    """How many events `prune` would delete."""
    with all_users():
        return AuditEvent.objects.filter(at__lt=_before(days)).count()


def _before(days: int) -> dt.datetime:
    return timezone.now() - dt.timedelta(days=days)
