"""Models of accounts, sessions, tokens, the audit, the change counter and the log, by subject."""

from users.models.accounts import (
    EMAIL_TAKEN,
    MAX_NOTE,
    AccountNote,
    ClosedAccount,
    EmailChange,
    SpentInvitation,
    User,
    UserManager,
)
from users.models.audit import AuditEvent, AuditSubject
from users.models.log import Change, ChangeQuerySet, Epoch, Feed, Kind
from users.models.preferences import MAX_REMINDER_MINUTES, Channel
from users.models.sessions import MAX_TOKEN_NAME, IdempotencyKey, PersonalToken, Session, new_session_id

__all__ = [
    "EMAIL_TAKEN",
    "MAX_NOTE",
    "MAX_REMINDER_MINUTES",
    "MAX_TOKEN_NAME",
    "AccountNote",
    "AuditEvent",
    "AuditSubject",
    "Change",
    "ChangeQuerySet",
    "Channel",
    "ClosedAccount",
    "EmailChange",
    "Epoch",
    "Feed",
    "IdempotencyKey",
    "Kind",
    "PersonalToken",
    "Session",
    "SpentInvitation",
    "User",
    "UserManager",
    "new_session_id",
]
