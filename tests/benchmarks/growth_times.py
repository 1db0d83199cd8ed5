"""How long PostgreSQL takes for what requests ask of it, by the number of the user's tasks."""

import datetime as dt
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from django.db import connection
from django.db.models import F
from django.utils import timezone

from config.database.isolation import as_user
from config.http.pagination import Cursor
from tasks import services
from tasks.choices import Sort
from tasks.models import Task
from tasks.querysets import TaskQuerySet
from tests.client import Api
from tests.plans import explain, statements
from users.models import Change, User
from users.resources import log

TODAY = timezone.now().date()
DAY = dt.timedelta(days=1)
LISTS = {
    "status=pending": "status=pending",
    "status=cancelled (1 in 10,000)": "status=cancelled",
    "priority=high": "priority=high",
    "tag=work": "tag=work",
    "tag=passport (1 in 10,000)": "tag=passport",
    "tag=work and home": "tag=work&tag=home",
    "tag=passport, by title": "tag=passport&sort=title",
    "due_before=today": f"due_before={TODAY}",
    "due_before (1 in 100)": f"due_before={TODAY - 588 * DAY}",
    "due on one day (1 in 1,200)": f"due_after={TODAY - DAY}&due_before={TODAY + DAY}",
    "overdue": "overdue=true",
    "overdue, by due date": "overdue=true&sort=due_date",
    "open, by due date": "status=pending,in_progress&sort=due_date",
    "pending, by priority": "status=pending&sort=-priority",
    "offset=900": "offset=900",
}
SORTS = [direction + sort for sort in Sort.values for direction in ("-", "")]
ABSENT = ["zebra", "unicorn", "quark", "walrus", "xylophone"]  # from the texts

Statement = Callable[[User], str]


def medians(users: dict[int, User], repeats: int) -> list[list[str]]:
    """A row for each kind of read, and one for a write."""
    found = {
        name: _medians([(user, statement(user)) for user in users.values()], repeats)
        for name, statement in _reads().items()
    }
    found["create"] = [_create(user, 10 * repeats) for user in users.values()]
    return [[name, *(f"{time:.2f}" for time in times), f"{times[-1] / times[0]:.1f}"] for name, times in found.items()]


def searches(users: dict[int, User]) -> list[list[str]]:
    """The slowest kind: every task is read."""
    words = [f"{first}+{second}" for first in ABSENT for second in ABSENT if first != second]
    return [["nothing found", *(f"{_p95(user, words):.1f}" for user in users.values())]]


def _medians(asked: list[tuple[User, str]], repeats: int) -> list[float]:
    """In turns, so that whatever else the machine does falls on all of them alike."""
    rounds = [[execution_time(user, sql) for user, sql in asked] for _ in range(repeats)]
    return [statistics.median(times) for times in zip(*rounds, strict=True)]


def execution_time(user: User, sql: str) -> float:
    """Milliseconds in the executor."""
    return float(explain(user, sql, "ANALYZE, TIMING OFF")["Execution Time"])


def _p95(user: User, searches: list[str]) -> float:
    times = sorted(execution_time(user, _list(f"search={words}")(user)) for words in searches)
    return times[len(times) * 95 // 100]


def _reads() -> dict[str, Statement]:
    pages = {f"sort={sort}": _list(f"sort={sort}") for sort in SORTS}
    deep = {f"sort={sort}, behind 9 tenths": partial(_deep, sort=sort) for sort in SORTS}
    lists = {name: _list(query) for name, query in LISTS.items()}
    rest = {"total=true": _total, "get": _get, "trash": _trash, "log.entries, 50 changes": _entries}
    return {**pages, **deep, **lists, **rest}


def _list(query: str) -> Statement:
    return lambda user: statements(lambda: Api(user).get(f"/api/me/tasks?limit=50&{query}"))[0]


def _deep(user: User, sort: str) -> str:
    key, descending = Sort(sort.removeprefix("-")), sort.startswith("-")
    with as_user(user.pk):
        tasks = Task.objects.for_user(user).visible()
        task = tasks.sorted_by(key, descending=descending)[tasks.count() * 9 // 10]
    cursor = Cursor(sort, TaskQuerySet.sort_key(key, descending=descending).to_text(task), task.pk)
    return _list(f"sort={sort}&cursor={cursor.encode()}")(user)


def _total(user: User) -> str:
    _, counted = statements(lambda: Api(user).get("/api/me/tasks?limit=50&total=true"))
    return counted


def _get(user: User) -> str:
    with as_user(user.pk):
        task = Task.objects.for_user(user).visible().order_by("uid")[0]
    return statements(lambda: Api(user).get(f"/api/me/tasks/{task.pk}"))[0]


def _trash(user: User) -> str:
    trashed = Task.objects.for_user(user).trashed().order_by(F("deleted_at").desc(), F("id").desc())
    with as_user(user.pk):
        return statements(lambda: list(trashed[:50]))[0]


def _entries(user: User) -> str:
    with as_user(user.pk):
        after = Change.objects.for_user(user).order_by("-version").values_list("version", flat=True)[50]
        return statements(lambda: log.entries(user, after, 50), containing="users_change")[0]


def _create(user: User, times: int) -> float:
    """As the service waits for its message; the commit is left out, for it waits for the disk."""
    spent: list[float] = []

    def timed(execute: Callable[..., Any], *arguments: Any) -> Any:
        start = time.perf_counter()
        try:
            return execute(*arguments)
        finally:
            spent.append((time.perf_counter() - start) * 1000)

    with as_user(user.pk), connection.execute_wrapper(timed):
        for _ in range(times):
            services.create_task(user, title="Call the dentist", description="About the invoice", tags=["health"])
    return statistics.median(spent)
