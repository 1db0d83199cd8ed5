"""The figures of the staff's dashboard, of all users: each in one query that an index answers."""

import datetime as dt
import threading
from collections import Counter
from dataclasses import dataclass
from typing import Any

from django.core.cache import cache
from django.db.models import Count, Q, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from tasks.choices import Priority
from tasks.completions import Completion
from tasks.models import Task
from tasks.projects.models import Project
from tasks.querysets import TaskQuerySet, is_past_due
from tasks.text import tag_key
from users.models import Session, User

DAYS = 30
LATEST = 10_000  # tasks whose tags are counted
TAGS = 10
AGES = {"Today": 1, "2–7 days": 7, "8–30 days": 30, "31–90 days": 90, "Older": 10**6}  # days, exclusive

SIZES = {"1–5": 5, "6–20": 20, "21–100": 100, "More": 10**6}  # open tasks of a project, inclusive
NO_TASKS = "None"

FRESH = dt.timedelta(minutes=1)
_KEPT = "tickbase.figures"
_KEPT_SECONDS = 3600  # for which old figures are shown while new ones are made
_making = threading.Lock()


@dataclass
class Figures:
    made_at: dt.datetime
    days: list[dt.date]
    created: list[int]  # for each day
    completed: list[int]
    signed_up: list[int]
    open: dict[str, int]  # by priority
    overdue: dict[str, int]
    ages: dict[str, int]
    tags: list[tuple[str, int]]
    active: dict[int, int]  # users, by the number of days
    projects: int
    inbox: int  # open tasks that are in no project
    sizes: dict[str, int]  # projects, by the number of their open tasks


def current() -> Figures:
    """Figures of the last minute, or older ones while a thread makes new ones, once for all requests."""
    kept: Figures | None = cache.get(_KEPT)
    if kept is not None and is_fresh(kept):
        return kept
    if not _making.acquire(blocking=kept is None) and kept is not None:
        return kept
    try:
        meanwhile: Figures | None = cache.get(_KEPT)
        if meanwhile is not None and is_fresh(meanwhile):
            return meanwhile
        made = make(timezone.now())
        cache.set(_KEPT, made, _KEPT_SECONDS)
        return made
    finally:
        _making.release()


def is_fresh(figures: Figures) -> bool:
    return timezone.now() - figures.made_at < FRESH


def make(now: dt.datetime) -> Figures:
    today = now.date()
    days = [today - dt.timedelta(days=ago) for ago in reversed(range(DAYS))]
    start = dt.datetime.combine(days[0], dt.time(), dt.UTC)
    tasks = Task.objects.visible()
    open_tasks, overdue = _by_priority(tasks.open(), now)
    ages = dict.fromkeys(AGES, 0)
    for day, count in tasks.open().values_list(TruncDate("created_at")).annotate(count=Count("*")):
        ages[next(age for age, end in AGES.items() if (today - day).days < end)] += count
    return Figures(
        made_at=now,
        days=days,
        created=_per_day(tasks.filter(created_at__gte=start), "created_at", days),
        completed=_per_day(Completion.objects.counted().filter(at__gte=start), "at", days),
        signed_up=_per_day(User.objects.filter(created_at__gte=start), "created_at", days),
        open=open_tasks,
        overdue=overdue,
        ages=ages,
        tags=_busiest_tags(tasks),
        active=_active(now),
        **_projects(tasks.open()),
    )


def _per_day(rows: Any, column: str, days: list[dt.date]) -> list[int]:
    counts = dict(rows.values_list(TruncDate(column)).annotate(count=Count("*")))
    return [counts.get(day, 0) for day in days]


def _by_priority(tasks: TaskQuerySet, now: dt.datetime) -> tuple[dict[str, int], dict[str, int]]:
    """Open tasks, and the overdue ones among them, by priority; whole days end in UTC here."""
    overdue = Count("pk", filter=is_past_due(now, now.date()))
    counted = tasks.values_list("priority").annotate(open=Count("*"), overdue=overdue)
    rows = {priority: counts for priority, *counts in counted}
    found = {priority: rows.get(priority, [0, 0]) for priority in reversed(Priority.values)}
    return {name: counts[0] for name, counts in found.items()}, {name: counts[1] for name, counts in found.items()}


def _projects(open_tasks: TaskQuerySet) -> dict[str, Any]:
    """How many projects there are, and how many open tasks they have. Those of archived ones count with the others."""
    ranges = zip([0, *SIZES.values()], SIZES.values(), strict=False)
    sizes = {f"up_to_{most}": Count("project", filter=Q(tasks__gt=least, tasks__lte=most)) for least, most in ranges}
    by_project = open_tasks.values("project").annotate(tasks=Count("*"))
    found = by_project.aggregate(inbox=Sum("tasks", filter=Q(project=None)), **sizes)
    counts = {size: found[f"up_to_{most}"] for size, most in SIZES.items()}
    projects = Project.objects.visible().count()
    return {
        "projects": projects,
        "inbox": found["inbox"] or 0,
        "sizes": {NO_TASKS: max(0, projects - sum(counts.values())), **counts},
    }


def _busiest_tags(tasks: TaskQuerySet) -> list[tuple[str, int]]:
    """The busiest tags of the latest tasks, each in the spelling of the oldest of these."""
    latest = tasks.order_by("-pk").values_list("tags", flat=True)[:LATEST]
    spellings = {tag_key(tag): tag for tags in latest for tag in tags}
    busiest = Counter(tag_key(tag) for tags in latest for tag in tags).most_common(TAGS)
    return [(spellings[key], count) for key, count in busiest]


def _active(now: dt.datetime) -> dict[int, int]:
    """Users with a session that was refreshed within the last days."""
    within = {days: Q(last_used_at__gt=now - dt.timedelta(days=days)) for days in (7, DAYS)}
    counts = {f"within_{days}": Count("user", distinct=True, filter=rule) for days, rule in within.items()}
    found = Session.objects.filter(within[DAYS]).aggregate(**counts)
    return {days: found[f"within_{days}"] for days in within}
