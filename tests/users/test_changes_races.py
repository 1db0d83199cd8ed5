"""Whoever applies the changes page by page has in the end what is stored, whatever others do meanwhile."""

import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from config.errors import DomainError
from tasks import services
from tasks.models import Task
from tasks.projects import services as projects
from tasks.projects.models import Project
from tests.copies import Copy, live
from tests.factories import head_of, make_user
from tests.writers import Writer
from users.models import User
from users.resources import pruning, writes
from users.resources.undo import undo

pytestmark = pytest.mark.thorough

WRITERS = 8
SECONDS = 2.0


class AnyWriter(Writer):
    """Creates, changes, deletes and restores tasks, alone and several at once."""

    def change(self) -> list[Task]:
        kind = self.random.choice(["create", "create", "update", "complete several", "delete"])
        if kind == "create" or not self.tasks:
            return self.create()
        task_id = self.random.choice(self.tasks)
        if kind == "update":
            return [services.update_task(self.user, task_id, {"title": f"Title {self.random.random()}"})]
        if kind == "complete several":
            return services.complete_tasks(self.user, self.tasks, self.random.random() < 0.5)
        deleted = services.delete_task(self.user, task_id)
        self.committed[deleted.version] = task_id
        if self.random.random() < 0.5:
            return [services.restore_task(self.user, task_id)]
        self.tasks.remove(task_id)
        return [deleted]


class ByTime:
    """The control: who asks for what was updated later than the last one that they have seen."""

    def __init__(self, user: User) -> None:
        self.user, self.versions = user, dict[int, int]()
        self.last = timezone.now()

    def read(self) -> None:
        for task in Task.objects.for_user(self.user).filter(updated_at__gt=self.last).order_by("updated_at"):
            self.versions[task.pk], self.last = task.version, task.updated_at


def versions_of(user: User) -> dict[int, int]:
    return {task.pk: task.version for task in Task.objects.for_user(user)}


@pytest.mark.usefixtures("transactional_db")
def test_a_reader_beside_8_writers_ends_with_what_is_stored() -> None:
    """One that begins amid the writes, too. The control, by `updated_at`, does not: that is no commit order."""
    user = make_user()
    copy, by_time, later = Copy(user), ByTime(user), Copy(user)
    deadline, sizes = time.monotonic() + SECONDS, random.Random(1)
    writers = [AnyWriter(user, deadline, seed) for seed in range(WRITERS)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        copy.read(sizes.randint(1, 20))
        by_time.read()
        if time.monotonic() > deadline - SECONDS / 2:
            later.read(sizes.randint(1, 20))
    by_time.read()
    assert copy.follow().objects == later.follow().objects == live(user)
    assert copy.versions == sorted(set(copy.versions))
    last_seen = {task: version for version, task in sorted(committed_of(writers)) if version in set(copy.versions)}
    assert last_seen == versions_of(user)
    assert by_time.versions != versions_of(user)
    assert all(writer.committed for writer in writers)


def committed_of(writers: list[AnyWriter]) -> list[tuple[int, int]]:
    return [committed for writer in writers for committed in writer.committed.items()]


class Chance:
    """Does anything that a user can do, by the services, and what the operator does with what is old."""

    def __init__(self, user: User, seed: int) -> None:
        self.user, self.random = user, random.Random(seed)
        self.done: Counter[str] = Counter()

    def act(self) -> None:
        name, act = self.random.choice(list(ACTS.items()))
        try:
            act(self)
        except DomainError:
            return  # such as a project in its own child
        self.done[name] += 1

    def any(self, model: Any, *, is_deleted: bool = False) -> int:
        rows = model.objects.for_user(self.user)
        pks = list((rows.trashed() if is_deleted else rows.visible()).values_list("pk", flat=True))
        return self.random.choice(pks) if pks else 0

    def title(self) -> str:
        return f"Title {self.random.random()}"

    def prune(self) -> None:
        list(pruning.cut_log(timezone.now(), batch=10))
        for model in (Task, Project):
            list(pruning.prune_tombstones(model))


ACTS: dict[str, Callable[[Chance], Any]] = {
    "create a task": lambda by: services.create_task(by.user, title=by.title()),
    "create one in a project": lambda by: services.create_task(
        by.user, title=by.title(), project_id=by.any(Project) or None
    ),
    "create a subtask": lambda by: services.create_task(by.user, title=by.title(), parent_id=by.any(Task) or None),
    "create a project": lambda by: projects.create_project(by.user, name=by.title()),
    "update a task": lambda by: services.update_task(by.user, by.any(Task), {"title": by.title()}),
    "update a project": lambda by: projects.update_project(by.user, by.any(Project), {"name": by.title()}),
    "move a task": lambda by: services.update_task(by.user, by.any(Task), {"project_id": by.any(Project) or None}),
    "complete a task": lambda by: services.complete_task(by.user, by.any(Task)),
    "delete a task": lambda by: services.delete_task(by.user, by.any(Task)),
    "delete a project": lambda by: projects.delete_project(by.user, by.any(Project)),
    "restore a task": lambda by: services.restore_task(by.user, by.any(Task, is_deleted=True)),
    "restore a project": lambda by: projects.restore_project(by.user, by.any(Project, is_deleted=True)),
    "undo": lambda by: undo(by.user, max(1, head_of(by.user) - by.random.randint(0, 5))),
    "erase": lambda by: writes.erase(by.user, [Task.objects.filter(pk=by.any(Task, is_deleted=True))]),
    "prune": lambda by: by.prune() if by.random.random() < 0.3 else None,
}


@pytest.mark.parametrize("seed", range(6))
def test_a_copy_that_is_read_in_pages_of_any_size_equals_what_is_stored(alice: User, seed: int) -> None:
    """While anything is done between the pages."""
    by, copy = Chance(alice, seed), Copy(alice)
    for _ in range(8):
        for _ in range(by.random.randint(0, 15)):
            by.act()
            if by.random.random() < 0.4:
                copy.read(by.random.randint(1, 6))
        assert copy.follow(by.random.randint(1, 6)).objects == live(alice)
    assert Copy(alice).follow(by.random.randint(1, 6)).objects == live(alice)


def test_chance_does_everything(alice: User) -> None:
    """And sends readers back to the beginning."""
    by, copy = Chance(alice, 0), Copy(alice)
    for _ in range(250):
        by.act()
        if by.random.random() < 0.1:
            copy.read(2)
    assert set(by.done) == set(ACTS)
    assert copy.restarts
    assert copy.follow().objects == live(alice)
