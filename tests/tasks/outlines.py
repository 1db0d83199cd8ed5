"""What has parents and an order, tasks and projects: how a test makes, moves and reads them."""

from collections.abc import Callable
from typing import Any, NamedTuple

from tasks.models import Task
from tasks.placed import Placed
from tasks.projects.models import Project
from tests.client import Answer, Api
from tests.factories import make_project, make_task
from tests.problems import problem_of
from users.models import Change, User


class Outline(NamedTuple):
    """The tasks or the projects: one of the two kinds of rows that have parents and an order."""

    plural: str
    model: Any  # its class
    make: Callable[..., Any]
    label: str  # the member that each has to have

    def move(self, api: Api, row: Placed, body: Any = None, **headers: str) -> Answer:
        return api.post(f"/api/me/{self.plural}/{row.pk}/move", {} if body is None else body, **headers)

    def row(self, user: User, number: int, **fields: Any) -> Any:
        """One with a position of its own, in the order of the numbers."""
        return self.make(user, **{"position": f"a{number}", **fields})

    def chain(self, user: User, levels: int) -> list[Any]:
        """Each within the one before."""
        rows = [self.row(user, 1)]
        while len(rows) < levels:
            rows.append(self.row(user, 1, parent_id=rows[-1].pk))
        return rows

    def patch(self, api: Api, row: Placed, body: Any, **headers: str) -> Answer:
        return api.patch(f"/api/me/{self.plural}/{row.pk}", body, **headers)

    def order(self, user: User, parent: Placed | None = None) -> list[int]:
        rows = self.model.objects.for_user(user).visible().filter(parent=parent)
        return [*rows.order_by("position", "pk").values_list("pk", flat=True)]

    @property
    def max_depth(self) -> int:
        depth: int = self.model.tree().max_depth
        return depth


OUTLINES = [Outline("tasks", Task, make_task, "title"), Outline("projects", Project, make_project, "name")]


def entries(user: User, operation: int) -> list[Change]:
    return [*Change.objects.for_user(user).filter(operation=operation).order_by("version")]


def refused(answer: Answer) -> tuple[str, str]:
    """The code and the pointer of a 400."""
    (error,) = problem_of(answer, 400)["errors"]
    return error["code"], error["pointer"]
