"""Tells of reminders and digests when they are due, and keeps them in step with an account's settings."""

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, TypeVar

from django.core import signing
from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from config.database.isolation import as_user
from config.database.queries import Compiled, Param, Raw, run, run_all
from config.database.transactions import retried_transaction
from config.errors import Conflict, Invalid, LimitReached, NotFound
from config.operations import work
from config.values import LAST_INSTANT, nfc
from tasks import reminding
from tasks.models import Task
from tasks.recurrence import calendar
from tasks.reminders import mails
from tasks.reminders.models import Digest, Reminder
from users import services as accounts
from users.models import Channel, User
from users.resources import feed
from users.resources.querysets import one_of
from users.tokens.callers import Actor
from users.webhooks import services as webhooks

T = TypeVar("T")

MISSED_AFTER = dt.timedelta(hours=24)  # later than that, a reminder is missed
MOST_MOVED = 20_000  # reminders by a change of settings: they take two seconds, for which the account is locked
AT_ONCE = 2_000  # more reminders of a user who has filled a batch: others do not wait for somebody's thousands


def _notify(told: Mapping[User, Sequence[Reminder]], now: dt.datetime) -> list[int]:
    """Without text, which would outlive the task in the events."""
    wanting = webhooks.notify_each("reminder.due", {account: map(_shown, rows) for account, rows in told.items()})
    return [each.pk for account in wanting for each in told[account]]


def _shown(reminder: Reminder) -> dict[str, Any]:
    task = reminder.task
    shown = {"id": task.pk, "uid": task.uid, "project_id": task.project_id}
    due_at, remind_at = (moment and reminding.as_text(moment) for moment in (task.due_at, reminder.remind_at))
    shown |= {"due_date": task.due_date and task.due_date.isoformat(), "due_at": due_at}
    return {"object": shown, "reminder": {"uid": reminder.uid, "remind_at": remind_at}}


# Tells users, in the transaction that notes it, of some of their reminders, each with its `task`, at a moment. Returns
# the ids of those that it has sent. By the name in `User.reminder_channels`.
channels: dict[str, Callable[[Mapping[User, Sequence[Reminder]], dt.datetime], Collection[int]]] = {
    Channel.MAIL: mails.queue,
    Channel.WEBHOOK: _notify,
}

# Claimed ones that nothing has changed since: what changes one takes its lease away.
_HELD: Compiled[Reminder] = Compiled(
    lambda: (
        Reminder.objects.filter(one_of("pk", Param("pks")), due_at__isnull=False, leased_until__isnull=False)
        .with_task()
        .select_for_update(of=("self",))
        .order_by("pk")
    )
)
_SETTLE = """
    UPDATE reminders_reminder SET settled_for = remind_at, due_at = NULL, leased_until = NULL,
        sent_at = %s::timestamptz, missed_at = %s::timestamptz
    WHERE id = ANY(%s)
"""
_RECOUNT = """
    UPDATE tasks_task AS task SET remind_from = day.at
    FROM unnest(%s::date[], %s::timestamptz[]) AS day (date, at)
    WHERE task.user_id = %s AND task.due_date = day.date AND task.due_at IS NULL AND task.remind_from <> day.at
"""


class ReminderNotFound(NotFound):
    code = "reminder_not_found"
    title = "No such reminder"


class ReminderMuted(Conflict):
    code = "reminder_muted"
    title = "The task is not reminded of"


@retried_transaction
def snooze(
    user: Actor, task_id: int, uid: str, *, minutes: int | None = None, until: dt.datetime | None = None
) -> Reminder:
    """Let a reminder of a visible task fire again, or later. Raises ReminderNotFound, ReminderMuted and Invalid."""
    now = timezone.now()
    row = Reminder.objects.for_user(user).filter(task=task_id, uid=nfc(uid)).select_for_update().first()
    if row is None:
        raise no_such_reminder()
    if row.is_muted:
        raise ReminderMuted("It is closed, in the trash or in an archived project.")
    if until is None:
        until = now + dt.timedelta(minutes=minutes or 0)
    if not now < until <= LAST_INSTANT:
        raise Invalid("Send a moment that is still to come.", pointer="/until")
    Reminder.objects.filter(pk=row.pk).update(snoozed_until=until)
    row.refresh_from_db()  # what the trigger has made of it
    return row


def no_such_reminder() -> ReminderNotFound:
    return ReminderNotFound("The task has no reminder with this uid.")


# --- The worker's part ------------------------------------------------------------------------------


def fire(claimed: list[Reminder]) -> None:
    """Tell of claimed reminders, and settle them.

    At least once: what a channel does is stored in the transaction that settles them. Users share one, as it costs as
    much as a mail. Where one is in trouble, each has their own: that one is tried again later, and nobody waits for it.
    """
    try:
        _fire(claimed)
    except (OperationalError, InterfaceError):
        raise  # it would be the same for each
    except Exception:
        by_user = groupby(sorted(claimed, key=attrgetter("user_id", "pk")), key=attrgetter("user_id"))
        _one_by_one(_fire, [list(rows) for _, rows in by_user])


def _one_by_one(run: Callable[[T], object], parts: Iterable[T]) -> None:
    """What fails keeps no other waiting; it is raised at the end, and tried again later."""
    failure: Exception | None = None
    for part in parts:
        try:
            run(part)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            failure = error
    if failure is not None:
        raise failure


@retried_transaction
def _fire(claimed: list[Reminder]) -> None:
    """A task that was closed or changed meanwhile has taken the lease away from its reminders; one that is being
    changed waits for the lock on them, or is waited for."""
    attempts = {row.pk: row.attempts for row in claimed}
    rows = [row for row in run(_HELD.given(pks=[*attempts])) if row.attempts == attempts[row.pk]]
    if not rows:
        return
    now = timezone.now()
    if len(claimed) >= work.MOST and len({row.user_id for row in claimed}) == 1:
        rows += _more(rows[0].user, now)
    in_time: dict[User, list[Reminder]] = {}
    for row in rows:
        if row.user.is_active and row.remind_at is not None and now - row.remind_at <= MISSED_AFTER:
            in_time.setdefault(row.user, []).append(row)
    sent: set[int] = set()
    for name, tell in channels.items():
        if told := {user: each for user, each in in_time.items() if name in user.reminder_channels}:
            sent |= {*tell(told, now)}
    missed = [row.pk for row in rows if row.pk not in sent]
    outcomes = [([*sent], now, None), (missed, None, now)]
    run_all([Raw(_SETTLE, [sent_at, missed_at, pks]) for pks, sent_at, missed_at in outcomes if pks], commit=True)


def _more(account: User, now: dt.datetime) -> list[Reminder]:
    """Due ones that nobody has claimed: locked, until they are settled in this transaction."""
    due = Reminder.objects.for_user(account).due(now).with_task()
    return list(due.select_for_update(of=("self",), skip_locked=True).order_by("due_at")[:AT_ONCE])


def fire_digests(claimed: list[Digest]) -> None:
    _one_by_one(_fire_digest, claimed)


@retried_transaction
def _fire_digest(row: Digest) -> None:
    """Mail what is due today and overdue, if anything is, and plan the next one."""
    account, now, due_at = User.objects.filter(pk=row.user_id).first(), timezone.now(), row.due_at
    if account is None:  # deleted meanwhile
        return
    following = next_digest(account, now)
    is_sent = False
    if account.is_active and due_at is not None and now - due_at <= MISSED_AFTER:
        today = now.astimezone(account.zone).date()
        is_sent = mails.queue_digest(account, today)
    if not row.settle(following, **({"sent_at": now} if is_sent else {})):
        transaction.set_rollback(True)  # another worker, or another time was set meanwhile


# --- Settings ---------------------------------------------------------------------------------------


def recount(account: User) -> None:
    """Plan reminders of whole days anew, after the account's time zone or `reminder_time` has changed.

    The tasks take no versions, as none of their members changes; those in the trash follow, too. Raises LimitReached.
    """
    feed.lock(account)  # no writer plans by the settings of before
    of_days = Task.objects.for_user(account).filter(due_at=None).exclude(remind_from=None)
    moved = Reminder.objects.for_user(account).filter(task__in=of_days).count()
    if moved > MOST_MOVED:
        raise LimitReached(
            f"{moved:,} reminders of whole days would move along, and {MOST_MOVED:,} may; take some away first.",
            limit=MOST_MOVED,
        )
    accounts.count_moved(account, of_days.count())
    days = of_days.order_by("due_date").values_list("due_date", flat=True).distinct()
    starts = {day: reminding.start_of(day, account) for day in days if day is not None}
    if starts:
        run(Raw(_RECOUNT, [[*starts], [*starts.values()], account.pk]))


def plan_digest(account: User) -> None:
    """After the account's time zone or `digest_time` has changed."""
    following = next_digest(account, timezone.now())
    if following is None:
        Digest.objects.filter(user=account).delete()
    else:
        planned = {"due_at": following, "leased_until": None}
        Digest.objects.update_or_create(user=account, defaults=planned)


def next_digest(account: User, after: dt.datetime) -> dt.datetime | None:
    """None for who wants none."""
    if account.digest_time is None:
        return None
    today = after.astimezone(account.zone).date()
    days = (today + dt.timedelta(days=number) for number in range(3))
    moments = (calendar.to_utc(dt.datetime.combine(day, account.digest_time), account.zone) for day in days)
    return next(moment for moment in moments if moment > after)


def unsubscribed_by(token: str) -> tuple[int, str] | None:
    """The user and the kind of mail that a token of `mails` names; None for another one. It does not expire: mails are
    kept for years."""
    try:
        user_id, kind = signing.loads(token, salt=mails.UNSUBSCRIBE)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    return int(user_id), str(kind)


@retried_transaction
def unsubscribe(user_id: int, kind: str) -> None:
    """Send no more mails of this kind; of an account that is deleted, nothing."""
    with as_user(user_id):
        account = User.objects.select_for_update(no_key=True).filter(pk=user_id).first()
        if account is None:
            return
        if kind == mails.DIGEST:
            accounts.update_account(account, digest_time=None)
        else:
            rest = [name for name in account.reminder_channels if name != Channel.MAIL]
            accounts.update_account(account, reminder_channels=rest)
