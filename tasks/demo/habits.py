"""Recurring tasks, and when somebody has done them over the last weeks."""

import datetime as dt
import random
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from tasks import recurring
from tasks.completions import Completion
from tasks.demo.bulk import Done
from tasks.recurrence import calendar, series
from tasks.recurrence.calendar import Due

WEEKS = 7
MORNING = dt.time(7)
HOURS = (0, 11, 1)  # after a due until it is done: at least, at most, and mostly
FORGOTTEN, SKIPPED = 0.06, 0.05  # of the occurrences; forgotten ones are done a day later


class Habit(NamedTuple):
    rule: str
    time: dt.time | None = None  # of the day; without one it is due the whole day
    from_completion: bool = False

    def lived(self, zone: ZoneInfo, now: dt.datetime, dice: random.Random) -> tuple[Due, list[Done]]:
        """The present due, and what was done before."""
        began = now - dt.timedelta(weeks=WEEKS)
        first = self._due(calendar.local_date(began, zone), zone)
        advance = series.skip(series.start(self.rule, zone, first, from_completion=self.from_completion), first, began)
        done: list[Done] = []
        while True:
            assert advance.series is not None and advance.due is not None, "none of the habits ends"
            due, day = advance.due, calendar.local_date(advance.due, zone)
            at = due if isinstance(due, dt.datetime) else calendar.to_utc(dt.datetime.combine(day, MORNING), zone)
            at += dt.timedelta(hours=dice.triangular(*HOURS), days=dice.random() < FORGOTTEN)
            if at >= now:
                return due, done
            is_skipped = dice.random() < SKIPPED
            advance = (series.skip if is_skipped else series.complete)(advance.series, due, at)
            kind = Completion.Kind.SKIPPED if is_skipped else Completion.Kind.COMPLETED
            done.append(Done(at, day, due if isinstance(due, dt.datetime) else None, kind, advance.missed))

    def _due(self, day: dt.date, zone: ZoneInfo) -> Due:
        return day if self.time is None else calendar.to_utc(dt.datetime.combine(day, self.time), zone)

    def fields(self, due: Due) -> dict[str, Any]:
        """For `Task.apply`."""
        source = recurring.FROM_COMPLETION if self.from_completion else recurring.FROM_DUE
        member = "due_date" if self.time is None else "due_at"
        return {member: due, "recurrence": {"rule": self.rule, "from": source}}


HABITS = (
    Habit("FREQ=DAILY", dt.time(8)),
    Habit("FREQ=WEEKLY;BYDAY=MO,WE,FR", dt.time(18, 30)),
    Habit("FREQ=WEEKLY;BYDAY=TH"),
    Habit("FREQ=DAILY;INTERVAL=4", from_completion=True),
    Habit("FREQ=MONTHLY;BYMONTHDAY=1"),
    Habit("FREQ=MONTHLY;BYDAY=-1FR", dt.time(16)),
)
