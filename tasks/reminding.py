"""Reminders in a task: how they are stored, and from which instant they count.

When each fires is kept by PostgreSQL, in rows of `tasks.reminders`.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from config.errors import Invalid
from config.values import FIRST_INSTANT, LAST_INSTANT, JsonList, is_storable, nfc
from tasks.recurrence import calendar
from users.models import MAX_REMINDER_MINUTES, User
from users.resources.models import MAX_UID, new_uid

if TYPE_CHECKING:
    from tasks.models import Task
    from users.tokens.callers import Actor

MAX_REMINDERS = 10

Stored = dict[str, Any]  # `{"at", "uid"}` or `{"uid", "minutes_before"}`, in PostgreSQL's order of members


def stored(sent: Sequence[Mapping[str, Any]], before: Sequence[Stored]) -> JsonList:
    """What was sent, as it is stored, with a uid for each; one that says the same as before keeps its uid.

    Raises Invalid.
    """
    if len(sent) > MAX_REMINDERS:
        raise Invalid(f"A task has up to {MAX_REMINDERS} reminders.", pointer="/reminders")
    plans = [_plan(number, each) for number, each in enumerate(sent)]
    uids = [nfc(each["uid"]) if each.get("uid") else None for each in sent]
    for number, uid in enumerate(uids):
        if uid is not None and (uid in uids[:number] or len(uid) > MAX_UID or not is_storable(uid)):
            raise Invalid("Each reminder of a task has a uid of its own.", pointer=f"/reminders/{number}/uid")
    free = [each for each in before if each["uid"] not in uids]
    found = JsonList()
    for plan, uid in zip(plans, uids, strict=True):
        if uid is None:
            same = next((each for each in free if plan.items() <= each.items()), None)
            uid = new_uid() if same is None else free.pop(free.index(same))["uid"]
        found.append({**plan, "uid": uid} if "at" in plan else {"uid": uid, **plan})
    return found


def _plan(number: int, sent: Mapping[str, Any]) -> Stored:
    place, at, minutes = f"/reminders/{number}", sent.get("at"), sent.get("minutes_before")
    if (at is None) == (minutes is None):
        raise Invalid("A reminder has one of at and minutes_before.", pointer=place)
    if at is None:
        if type(minutes) is not int or not 0 <= minutes <= MAX_REMINDER_MINUTES:
            raise Invalid(f"minutes_before is 0 to {MAX_REMINDER_MINUTES}.", pointer=f"{place}/minutes_before")
        return {"minutes_before": minutes}
    if not FIRST_INSTANT <= at <= LAST_INSTANT:
        raise Invalid(f"A reminder lies between {FIRST_INSTANT} and {LAST_INSTANT}.", pointer=f"{place}/at")
    return {"at": as_text(at)}


def as_text(instant: dt.datetime) -> str:
    """As the API writes it."""
    return instant.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def by_default(minutes: int | None) -> list[Stored]:
    """The reminders of a new task that has a due and names none, by its owner's setting."""
    return [] if minutes is None else [{"minutes_before": minutes}]


def counted_from(task: "Task", user: "Actor") -> dt.datetime | None:
    """The instant before which `minutes_before` count; None if there are none, or no due."""
    if task.due_date is None or not any("minutes_before" in each for each in task.reminders):
        return None
    return task.due_at or start_of(task.due_date, user.account)


def start_of(day: dt.date, account: User) -> dt.datetime:
    """From when a whole day counts: the owner's `reminder_time` in their time zone, also of a task that recurs in
    another one, as that is when they want to hear of a day. A gap of DST moves it forward; of a fold it is the first.
    """
    return calendar.to_utc(dt.datetime.combine(day, account.reminder_time), account.zone)
