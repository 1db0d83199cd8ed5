"""The charts and numbers on the first page of the admin."""

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db import OperationalError
from django.http import HttpRequest
from django.urls import reverse

from tasks.choices import Priority
from tasks.dashboard import figures
from tasks.dashboard.figures import DAYS, Figures

BLUE, GREEN, RED = ("var(--chart-blue)", "var(--chart-green)", "var(--chart-red)")
TEXT = "#8b93a1"  # of axes; reads on white and on black


class Series(NamedTuple):
    name: str
    colour: str
    values: list[int]


@dataclass
class Chart:
    """A chart, drawn by unfold's Chart.js; the page also has it as a table, for screen readers."""

    title: str
    labels: list[str]
    series: list[Series]
    kind: str = "bar"
    stacked: bool = False
    horizontal: bool = False
    wide: bool = False

    @property
    def is_empty(self) -> bool:
        return not any(sum(series.values) for series in self.series)

    @property
    def data(self) -> str:
        datasets = [
            {
                "label": series.name,
                "data": series.values,
                "backgroundColor": series.colour,
                "borderColor": series.colour,
                "borderWidth": 2 if self.kind == "line" else 0,
                "borderRadius": 3,
                "pointRadius": 0,
                "pointHitRadius": 12,
                "cubicInterpolationMode": "monotone",  # swings above no point
                "maxBarThickness": 36,
            }
            for series in self.series
        ]
        return json.dumps({"labels": self.labels, "datasets": datasets})

    @property
    def options(self) -> str:
        ticks = {"color": TEXT, "maxRotation": 0, "autoSkipPadding": 12}
        counts = {"stacked": self.stacked, "beginAtZero": True, "ticks": {**ticks, "precision": 0}}
        # Not every day has room for its label; a horizontal bar always has.
        names = {
            "stacked": self.stacked,
            "grid": {"display": False},
            "ticks": {**ticks, "autoSkip": not self.horizontal},
        }
        legend = {"display": len(self.series) > 1, "align": "end", "labels": {"color": TEXT, "boxWidth": 10}}
        return json.dumps(
            {
                "animation": False,
                "responsive": True,
                "maintainAspectRatio": False,
                "indexAxis": "y" if self.horizontal else "x",
                "interaction": {"mode": "index", "intersect": False, "axis": "y" if self.horizontal else "x"},
                "plugins": {"legend": legend},
                "scales": {"x": counts, "y": names} if self.horizontal else {"x": names, "y": counts},
            }
        )

    @property
    def rows(self) -> list[tuple[str, ...]]:
        values = zip(*(series.values for series in self.series), strict=True)
        return [(label, *map(str, row)) for label, row in zip(self.labels, values, strict=True)]


class Number(NamedTuple):
    title: str
    value: str
    link: str


def context(request: HttpRequest) -> dict[str, Any]:
    """For the template `admin/index.html`."""
    try:
        known = figures.current()
    except OperationalError:
        return {"charts": [], "numbers": []}  # which the page says
    may_read = request.user.has_perm("tasks.view_task_text")
    charts = [*_charts(known), *([_tags(known)] if may_read else [])]
    return {"charts": charts, "numbers": _numbers(known), "made_at": known.made_at}


def _charts(known: Figures) -> list[Chart]:
    days = [f"{day:%-d %b}" for day in known.days]
    priorities = [Priority(priority).label for priority in known.open]
    overdue = list(known.overdue.values())
    on_time = [count - late for count, late in zip(known.open.values(), overdue, strict=True)]
    activity = [Series("Created", BLUE, known.created), Series("Completed", GREEN, known.completed)]
    return [
        Chart("Tasks per day", days, activity, kind="line", wide=True),
        Chart(
            "Open tasks by priority",
            priorities,
            [Series("On time", BLUE, on_time), Series("Overdue", RED, overdue)],
            stacked=True,
        ),
        Chart(
            "Age of open tasks",
            list(known.ages),
            [Series("Open tasks", BLUE, list(known.ages.values()))],
            horizontal=True,
        ),
        Chart(
            "Projects by open tasks",
            list(known.sizes),
            [Series("Projects", BLUE, list(known.sizes.values()))],
            horizontal=True,
        ),
        Chart("Sign-ups per day", days, [Series("Sign-ups", GREEN, known.signed_up)]),
    ]


def _tags(known: Figures) -> Chart:
    """For staff who may read the text of tasks."""
    title = f"Busiest tags of the latest {figures.LATEST:,} tasks"
    counts = [Series("Tasks", BLUE, [count for _, count in known.tags])]
    return Chart(title, [tag for tag, _ in known.tags], counts, horizontal=True, wide=True)


def _numbers(known: Figures) -> list[Number]:
    tasks, users, projects = (
        reverse(f"admin:{name}_changelist") for name in ("tasks_task", "users_user", "projects_project")
    )
    open_tasks = sum(known.open.values())
    in_projects = max(0, open_tasks - known.inbox)  # one was counted a moment after the other
    is_open = "status__in=pending,in_progress"
    return [
        Number("Open tasks", f"{open_tasks:,}", f"{tasks}?{is_open}"),
        Number("Overdue", f"{sum(known.overdue.values()):,}", f"{tasks}?overdue=yes"),
        Number("Open tasks in the inbox", f"{known.inbox:,}", f"{tasks}?project=none&{is_open}"),
        Number("Open tasks in projects", f"{in_projects:,}", f"{tasks}?project=any&{is_open}"),
        Number("Projects", f"{known.projects:,}", projects),
        Number("Projects without open tasks", f"{known.sizes[figures.NO_TASKS]:,}", projects),
        Number("Users active in 7 days", f"{known.active[7]:,}", f"{users}?seen=week"),
        Number(f"Users active in {DAYS} days", f"{known.active[DAYS]:,}", f"{users}?seen=month"),
    ]
