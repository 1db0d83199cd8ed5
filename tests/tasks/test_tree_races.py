"""Trees under concurrent writers: no cycle, no orphan, no lost update, and the log replays to what is stored."""

import random
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from config.database.isolation import as_user
from config.errors import DomainError
from tasks import services
from tasks.models import Task
from tasks.projects import services as projects
from tasks.projects.models import Project
from tests.factories import head_of, make_project, make_task, make_user
from tests.races import at_once, short_and_full
from tests.replica import Replica, as_json
from tests.trees import violations
from users.models import Change, User
from users.resources.undo import undo

pytestmark = pytest.mark.thorough

THREADS, TASKS, PROJECTS = 8, 30, 4


class Mover:
    """Does what it likes with everybody's tasks until the deadline, and notes the operations that have succeeded."""

    done: list[int]  # shared with the others, for undo

    def __init__(self, user: User, tasks: list[int], projects: list[int], done: list[int], seed: int) -> None:
        self.user, self.tasks, self.projects, self.done = user, tasks, projects, done
        self.random = random.Random(seed)
        self.succeeded: list[tuple[str, int]] = []  # what it was, and the operation
        self.refused: Counter[str] = Counter()

    def run(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        with as_user(self.user.pk):
            while time.monotonic() < deadline:
                name = self.random.choice([*STEPS])
                try:
                    row = STEPS[name](self)
                except DomainError as refusal:
                    self.refused[refusal.code] += 1
                    continue
                if row is not None and row.operation is not None:
                    self.succeeded.append((name, row.operation))
                    self.done.append(row.operation)

    def task(self) -> int:
        return self.random.choice(self.tasks)

    def project(self) -> int:
        return self.random.choice(self.projects)

    def place(self) -> Any:
        """Anywhere: a task within another, or at the root of a project or the inbox."""
        if self.random.random() < 0.7:
            return {"parent_id": self.task()}
        return {"parent_id": None, "project_id": self.random.choice([None, self.project()])}

    def move(self) -> Any:
        sibling: Any = {} if self.random.random() < 0.5 else {"after_id": self.task()}
        place: Any = {**self.place(), **sibling}
        return services.move_task(self.user, self.task(), place)

    def several(self, many: Callable[..., list[Any]]) -> Any:
        rows = many(self.user, self.random.sample(self.tasks, 2))
        return rows[0] if rows else None

    def undo(self) -> Any:
        rows = undo(self.user, self.random.choice(self.done[-20:])) if self.done else []
        return rows[0] if rows else None


STEPS: dict[str, Callable[[Mover], Any]] = {
    "move": Mover.move,
    "nest": lambda it: services.update_task(it.user, it.task(), it.place()),
    "rename": lambda it: services.update_task(it.user, it.task(), {"title": str(it.random.random())}),
    "complete": lambda it: services.complete_task(it.user, it.task(), True),
    "reopen": lambda it: services.complete_task(it.user, it.task(), False),
    "delete": lambda it: services.delete_task(it.user, it.task()),
    "restore": lambda it: services.restore_task(it.user, it.task()),
    "restore again": lambda it: services.restore_task(it.user, it.task()),
    "complete several": lambda it: it.several(partial(services.complete_tasks, completed=it.random.random() < 0.5)),
    "delete several": lambda it: it.several(services.delete_tasks),
    "restore several": lambda it: it.several(services.restore_tasks),
    "nest a project": lambda it: projects.update_project(it.user, it.project(), {"parent_id": it.project()}),
    "move a project": lambda it: projects.move_project(it.user, it.project(), {"parent_id": None}),
    "delete a project": lambda it: projects.delete_project(
        it.user, it.project(), tasks=it.random.choice(["trash", "inbox", "inbox"])
    ),
    "restore a project": lambda it: projects.restore_project(it.user, it.project()),
    "restore projects": lambda it: (projects.restore_projects(it.user, it.projects) or [None])[0],  # type: ignore[list-item]
    "undo": Mover.undo,
}


def check_each_change_begins_where_the_last_one_ended(user: User) -> None:
    """A lost update would be an entry whose old values are not those that the entries before have left."""
    known: dict[tuple[str, int], dict[str, Any]] = {}
    for entry in Change.objects.filter(user=user).order_by("version"):
        row = known.setdefault((entry.type, entry.object_id), {})
        before = {name: old for name, (old, _) in entry.diff.items() if name in row}
        assert as_json(before) == {name: row[name] for name in before}, entry.version
        row |= {name: new for name, (_, new) in entry.diff.items()}


@pytest.mark.usefixtures("transactional_db")
@pytest.mark.parametrize("seconds", short_and_full(4, 20))
def test_whatever_8_threads_do_to_the_same_trees_at_once(seconds: float) -> None:
    """Why trees are changed under the lock of the feed: with FOR KEY SHARE in place of FOR UPDATE in
    `feed.lock_and_read`, two operations take the same versions. Without the check for cycles, no thread ends."""
    user = make_user()
    all_projects = [make_project(user).pk for _ in range(PROJECTS)]
    tasks = [make_task(user, project_id=random.Random(n).choice(all_projects)).pk for n in range(TASKS)]
    done: list[int] = []
    movers = [Mover(user, tasks, all_projects, done, seed) for seed in range(THREADS)]
    at_once(partial(mover.run, seconds) for mover in movers)
    assert violations() == {}
    succeeded = [operation for mover in movers for _, operation in mover.succeeded]
    logged = set(Change.objects.filter(user=user).values_list("operation", flat=True))
    assert set(succeeded) <= logged and len(set(succeeded)) == len(succeeded)
    assert len(logged) == len(succeeded) + TASKS + PROJECTS
    check_each_change_begins_where_the_last_one_ended(user)
    Replica(user, Task, Project).check()
    assert max(logged) <= head_of(user)
    assert {name for mover in movers for name, _ in mover.succeeded} == STEPS.keys()
    refused = sum((mover.refused for mover in movers), Counter())
    print(f"{len(succeeded)} operations, refused: {dict(refused)}")  # noqa: T201 (`pytest -s` shows it)
    assert refused.keys() >= {"cycle", "unknown_parent", "task_not_found", "changed_since"}
