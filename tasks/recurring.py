"""Recurring tasks: how the series of a row is stored, and what completing, skipping and reopening make of the row.

`Task.take_over` calls `apply`, so that a task advances whichever way completion is said.
"""

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError

from config.errors import Invalid
from tasks import completions
from tasks.choices import OPEN, Status
from tasks.completions import Completion, Step
from tasks.recurrence import calendar, rules, series, words
from tasks.recurrence.calendar import Due
from tasks.recurrence.series import Advance, Series
from users.models import Kind
from users.text import validate_timezone

if TYPE_CHECKING:
    from tasks.models import Task
    from users.tokens.callers import Actor

FROM_DUE, FROM_COMPLETION = "due", "completion"
# In PostgreSQL's order. Beside them are stored the anchor, and what is left of COUNT.
SHOWN = ("from", "rule", "zone")


class RecurrenceNeedsDue(Invalid):
    code = "recurrence_needs_due"


# --- As it is stored --------------------------------------------------------------------------------


def stored(found: Series) -> dict[str, Any]:
    return {
        "rule": found.rule.text,
        "zone": found.zone.key,
        "from": FROM_COMPLETION if found.from_completion else FROM_DUE,
        "anchor": found.anchor.isoformat(),
        "left": found.left,
    }


def series_of(task: "Task") -> Series | None:
    found = task.recurrence
    if found is None:
        return None
    zone, anchor = ZoneInfo(found["zone"]), dt.datetime.fromisoformat(found["anchor"])
    is_timed = "T" in found["anchor"]
    return Series(
        rules.parse(found["rule"], zone),
        zone,
        anchor if is_timed else anchor.date(),
        found["from"] == FROM_COMPLETION,
        found["left"],
    )


def due_of(task: "Task") -> Due | None:
    return task.due_date if task.due_at is None else task.due_at.astimezone(dt.UTC)


def set_due(task: "Task", due: Due, user: "Actor") -> None:
    is_timed = isinstance(due, dt.datetime)
    task.due_at = due if is_timed else None
    task.due_date = calendar.local_date(due, user.zone) if is_timed else due


def anchored(sent: Mapping[str, Any], due: Due | None, user: "Actor") -> Series:
    """What was sent, as a series that begins with this due.

    Raises RecurrenceNeedsDue, RuleUnsupported, RuleNever, and Invalid for what is no time zone.
    """
    if due is None:
        raise RecurrenceNeedsDue("What recurs has a due; send due_date or due_at, too.", pointer="/recurrence")
    from_completion = sent.get("from", FROM_DUE) == FROM_COMPLETION
    return series.start(sent["rule"], zone_of(sent, user), due, from_completion=from_completion)


def zone_of(sent: Mapping[str, Any], user: "Actor") -> ZoneInfo:
    """The one that was sent, or the user's."""
    if not sent.get("zone"):
        return user.zone
    try:
        validate_timezone(sent["zone"])
    except ValidationError as error:
        raise Invalid(error.messages[0], pointer="/recurrence/zone") from error
    return ZoneInfo(sent["zone"])


def preview(found: Series, due: Due, limit: int) -> dict[str, Any]:
    """The next dues and the rule, also in words."""
    shown = series.preview(found, due, limit)
    return {
        "rule": found.rule.text,
        "occurrences": shown.occurrences,
        "ends": shown.ends,
        "text": words.describe(found),
    }


def occurrences(task: "Task", limit: int) -> dict[str, Any]:
    """`preview` of a task, nothing of one that does not recur or is closed."""
    found, due = series_of(task), due_of(task)
    if found is None or due is None or task.status not in OPEN:
        return {"rule": None, "occurrences": [], "ends": True, "text": ""}
    return preview(found, due, limit)


# --- The rules of a row -----------------------------------------------------------------------------


def apply(task: "Task", sent: Mapping[str, Any], status: str, user: "Actor", now: dt.datetime) -> None:
    """Hold the rules of a task whose other members were just assigned, and whose status was `status`.

    Raises what `anchored` raises.
    """
    if "recurrence" in sent:
        _set_rule(task, sent["recurrence"], user)
    if task.recurrence is not None and task.due_date is None:
        raise RecurrenceNeedsDue("It recurs, so it has a due; to end that, send recurrence: null.", pointer="/due_date")
    if sent.get("is_skipped"):
        _skip(task, user, now)
    elif status != Status.COMPLETED and task.is_completed:
        # A new task that is completed is so for good: it comes from where that was decided.
        _complete(task, user, now, ends_series=sent.get("ends_series", False) or task._state.adding)
    elif status == Status.COMPLETED and task.status in OPEN:
        _reopen(task)


def _set_rule(task: "Task", sent: Mapping[str, Any] | None, user: "Actor") -> None:
    """Anchored on the present due, unless it is the rule that is stored."""
    if sent is None:
        task.recurrence = None
    elif not _is_stored(task, sent, user):
        task.recurrence = stored(anchored(sent, due_of(task), user))


def _is_stored(task: "Task", sent: Mapping[str, Any], user: "Actor") -> bool:
    found = task.recurrence
    if found is None or found["from"] != sent.get("from", FROM_DUE):
        return False
    zone = zone_of(sent, user)
    return (zone.key, rules.parse(sent["rule"], zone).text) == (found["zone"], found["rule"])


def _complete(task: "Task", user: "Actor", now: dt.datetime, *, ends_series: bool) -> None:
    found, due = series_of(task), due_of(task)
    date, at, missed, kind = task.due_date, task.due_at, 0, Kind.COMPLETED
    if found is not None and due is not None and not ends_series:
        advance = series.complete(found, due, now)
        missed = advance.missed
        if _move_on(task, advance, user):
            kind = Kind.ADVANCED
    task.completions, task.last_completed_at = task.completions + 1, now
    task.step = Step(kind, date, at, missed)


def _skip(task: "Task", user: "Actor", now: dt.datetime) -> None:
    """The last occurrence, too: then the series is over."""
    found, due = series_of(task), due_of(task)
    assert found is not None and due is not None, "the service has looked"
    date, at, advance = task.due_date, task.due_at, series.skip(found, due, now)
    if not _move_on(task, advance, user):
        task.status = Status.COMPLETED
    task.step = Step(Kind.SKIPPED, date, at, advance.missed)


def _move_on(task: "Task", advance: Advance, user: "Actor") -> bool:
    """To the next occurrence, if there is one."""
    if advance.series is None or advance.due is None:
        return False
    task.status, task.recurrence = Status.PENDING, stored(advance.series)
    set_due(task, advance.due, user)
    return True


def _reopen(task: "Task") -> None:
    """Take back the completion that has closed it."""
    row, before = completions.closing(task)
    if row is not None and row.kind == Completion.Kind.COMPLETED:
        task.completions, task.last_completed_at = max(0, task.completions - 1), before
    task.step = Step(Kind.REOPENED, revoked=row.pk if row else None)


def days_passed(task: "Task", before: Mapping[str, Any]) -> tuple[int, ZoneInfo]:
    """Of a task that has moved on, from the due of before to the present one, in local days of its time zone."""
    found, due = series_of(task), due_of(task)
    was: Due | None = before["due_date"] if before["due_at"] is None else before["due_at"]
    assert found is not None and due is not None and was is not None
    return (calendar.local_date(due, found.zone) - calendar.local_date(was, found.zone)).days, found.zone


def begin_again(task: "Task", days: int, zone: ZoneInfo, user: "Actor") -> None:
    """Open a done task for the next occurrence of the one that it is within; its completion stands."""
    task.status, task.completed_at = Status.PENDING, None
    if (due := due_of(task)) is not None:
        set_due(task, calendar.shift(due, days, zone), user)
        task.count_reminders(user)
