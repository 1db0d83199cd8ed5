"""Deletes expired rows in small transactions, while the service runs.

Each function yields the number of rows that a transaction has deleted. Locked rows are left to the next run.
"""

import datetime as dt
from collections.abc import Callable, Collection, Iterator
from typing import Any

from django.contrib.sessions.models import Session as AdminSession
from django.db.models import BooleanField, Model, QuerySet
from django.db.models.expressions import RawSQL

from config.database.isolation import all_users
from config.database.transactions import retried_transaction
from users.models import EmailChange, IdempotencyKey, Session, SpentInvitation, User

BATCH = 1000
KEPT_EMAIL_CHANGES = dt.timedelta(days=7)
USERS = 100  # per transaction; each has few sessions

# Looks up the ids of each answer: a regular expression of a hundred thousand ids takes all memory.
_SHOWN = r"""EXISTS (SELECT FROM regexp_matches(body, '"id":([0-9]+)', 'g') AS id WHERE id[1] = ANY(%s::text[]))"""


# By name: rows of other apps that are kept as long as the log, as rows from before a moment.
kept_as_the_log: dict[str, Callable[[dt.datetime], QuerySet[Any]]] = {}


def expired_sessions() -> QuerySet[Session]:
    return Session.objects.expired()


def expired_idempotency_keys(now: dt.datetime) -> QuerySet[IdempotencyKey]:
    return IdempotencyKey.objects.filter(expires_at__lte=now)


def expired_invitations(now: dt.datetime) -> QuerySet[SpentInvitation]:
    return SpentInvitation.objects.filter(expires_at__lte=now)


def old_email_changes(now: dt.datetime) -> QuerySet[EmailChange]:
    """Whose mails have left, or never will."""
    return EmailChange.objects.filter(requested_at__lte=now - KEPT_EMAIL_CHANGES)


def expired_admin_sessions(now: dt.datetime) -> QuerySet[AdminSession]:
    return AdminSession.objects.filter(expire_date__lte=now)


def prune_sessions(users: int = USERS) -> Iterator[int]:
    """User by user, since every change of a session locks its user first."""
    owners = list(expired_sessions().order_by("user_id").values_list("user_id", flat=True).distinct())
    for start in range(0, len(owners), users):
        yield _prune_sessions_of(owners[start : start + users])


@retried_transaction
def _prune_sessions_of(owners: list[int]) -> int:
    users = User.objects.select_for_update(no_key=True, skip_locked=True).filter(pk__in=owners).order_by("pk")
    locked = list(users.values_list("pk", flat=True))
    return expired_sessions().filter(user_id__in=locked).delete()[1].get("users.Session", 0)


def prune_rows(expired: QuerySet[Any], batch: int = BATCH) -> Iterator[int]:
    """For tables without a lock order: all but sessions."""
    while removed := _prune_rows(expired, batch):
        yield removed


@retried_transaction
def _prune_rows(expired: QuerySet[Any], batch: int) -> int:
    model: type[Model] = expired.model
    some = expired.select_for_update(skip_locked=True).values_list("pk", flat=True)[:batch]
    return model._default_manager.filter(pk__in=list(some)).delete()[0]


def forget_answers(user_id: int, object_ids: Collection[int]) -> None:
    """Delete the user's idempotency keys whose answers may show these objects, whatever their type."""
    shown = RawSQL(_SHOWN, [[*map(str, object_ids)]], BooleanField())  # nosec B611: a constant
    IdempotencyKey.objects.filter(shown, user_id=user_id).delete()


@all_users()
def sweep_idempotency_keys(digest: str, now: dt.datetime) -> None:
    """For one key in a hundred, delete a batch of expired ones, except those that are locked."""
    if int(digest, 16) % 100 == 0:
        expired = expired_idempotency_keys(now).exclude(pk=digest)
        some = expired.select_for_update(skip_locked=True).values_list("pk", flat=True)[:1000]
        IdempotencyKey.objects.filter(pk__in=list(some)).delete()
