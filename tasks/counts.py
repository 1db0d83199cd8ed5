"""What a user has in numbers: by project, by tag, and what is due. Each answer is one message to PostgreSQL."""

import datetime as dt
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django.utils import timezone

from config.database.queries import Compiled, Param, Raw, Statement, run_all
from tasks.choices import OPEN, Status
from tasks.projects.models import Project
from tasks.querysets import NEVER
from users.resources import feed
from users.tokens.callers import Actor, standing_of

DAY = dt.timedelta(days=1)
SPELLED = 10  # tasks of a tag that decide on its spelling

_PROJECTS: Compiled[Any] = Compiled(
    lambda: Project.objects.for_user(Param("user")).visible().order_by("position", "pk").columns(("id", "is_archived"))
)
# SQL, as Compiled has no aggregates. Tasks are counted from the indexes alone.
_OPEN = "status IN ({})".format(", ".join(f"'{status}'" for status in OPEN))
_COMPLETED = f"status = '{Status.COMPLETED}'"
_NUMBERS = f"count(*) FILTER (WHERE {_OPEN}) AS open, count(*) FILTER (WHERE {_COMPLETED}) AS completed"
_BY_PROJECT = f"""
    SELECT project_id, {_NUMBERS} FROM tasks_task WHERE user_id = %s AND deleted_at IS NULL GROUP BY project_id
"""  # nosec B608: constants of ours
# Of open tasks, by project: the day, one for all that are long ago, and whether the time is over, null for whole days.
_DUE = f"""
    SELECT project_id, GREATEST(due_date, %s) AS day, due_at < %s AS is_over, count(*) FROM tasks_task
    WHERE user_id = %s AND deleted_at IS NULL AND {_OPEN}
        AND (CASE WHEN due_date IS NULL THEN DATE '{NEVER}' ELSE due_date END) < %s
    GROUP BY project_id, day, is_over
"""  # nosec B608: constants of ours
# By tag, of the tasks that are `counted`. To read them all for their spelling would take several times as long.
_BY_TAG = """
    SELECT numbers.*, (
        SELECT mode() WITHIN GROUP (ORDER BY tag COLLATE "C") FROM (
            SELECT tags[array_position(tag_keys, numbers.tag_key COLLATE "C")] AS tag
            FROM tasks_tasktag AS entry JOIN tasks_task AS task ON task.id = task_id
            WHERE entry.user_id = %s AND entry.tag_key = numbers.tag_key AND task.user_id = %s AND deleted_at IS NULL
            ORDER BY entry.created_at DESC, task_id DESC LIMIT {spelled}
        ) AS newest
    ) FROM (
        SELECT tag_key, {numbers} FROM tasks_tasktag AS entry JOIN tasks_task AS task ON task.id = task_id
        WHERE entry.user_id = %s AND task.user_id = %s AND deleted_at IS NULL AND {counted} GROUP BY tag_key
    ) AS numbers
"""
_TAGS = _BY_TAG.format(spelled=SPELLED, numbers=_NUMBERS, counted="true")
_OPEN_TAGS = _BY_TAG.format(spelled=SPELLED, numbers="count(*)", counted=_OPEN)


class TagCount(NamedTuple):
    tag: str
    open: int
    completed: int


def of_user(user: Actor) -> dict[str, Any]:
    """Open and completed tasks of the inbox and of each project, open ones of each tag; and of open tasks outside of
    archived projects, those that are due today in the user's time zone, and those that are overdue.

    Raises what `Caller.verify` raises.
    """
    now = timezone.now()
    utc = now.date()  # it is this day somewhere, or the one before or after
    reads: list[Statement[Any]] = [
        _PROJECTS.given(user=user.pk),
        Raw(_BY_PROJECT, [user.pk]),
        Raw(_DUE, [utc - 2 * DAY, now, user.pk, utc + 2 * DAY]),
        Raw(_OPEN_TAGS, [user.pk] * 4),
    ]
    while True:
        zone, projects, by_project, due, by_tag = run_all([_zone(user), *reads])
        if zone:
            break
        feed.explain(user)
    counted = {pk: {"open": open_, "completed": completed} for pk, open_, completed in by_project}
    none = {"open": 0, "completed": 0}
    archived = {pk for pk, is_archived in projects if is_archived}
    return {
        "inbox": counted.get(None, none),
        "projects": {str(pk): counted.get(pk, none) for pk, _ in projects},
        "tags": {tag: open_ for _, open_, tag in sorted(by_tag)},
        **_due([row for row in due if row[0] not in archived], now.astimezone(ZoneInfo(zone[0][0])).date()),
    }


def of_tags(user: Actor) -> tuple[int, list[TagCount]]:
    """The change counter, and the tags of all tasks with their numbers, sorted by key.

    Raises what `Caller.verify` raises.
    """
    while True:
        version, by_tag = run_all([feed.version(user), Raw(_TAGS, [user.pk] * 4)])
        if version:
            return version[0][0], [TagCount(tag, *numbers) for _, *numbers, tag in sorted(by_tag)]
        feed.explain(user)


def _zone(user: Actor) -> Raw:
    tables, condition, standing = standing_of(user)
    return Raw(_zone_sql(tables, condition), standing)


@lru_cache(maxsize=16)
def _zone_sql(tables: str, condition: str) -> str:
    return f"SELECT account.timezone FROM {tables} WHERE {condition}"  # nosec B608: constants of ours


def _due(rows: Any, today: dt.date) -> Mapping[str, int]:
    return {
        "today": sum(count for _, day, _, count in rows if day == today),
        "overdue": sum(count for _, day, is_over, count in rows if (day < today if is_over is None else is_over)),
    }
