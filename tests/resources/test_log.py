"""Every service of every resource writes an entry for each row that it changes."""

import datetime as dt
import sys
from collections.abc import Callable
from inspect import isfunction
from typing import Any

import pytest

from tasks import services as tasks
from tasks.models import Task
from tasks.projects import services as projects
from tasks.projects.models import Project
from tests.factories import head_of, make_project
from tests.replica import Replica, state
from tests.resources.declared import each, label, make, named
from users.models import Change, User
from users.resources import undo, writes
from users.resources.models import OwnedModel
from users.resources.resource import Resource

Call = Callable[[Resource, User, list[int]], Any]  # with the ids of two rows, and of one in the trash

DECLARED: dict[str, Call] = {
    "create": lambda resource, user, ids: make(resource, user),
    "create_many": lambda resource, user, ids: resource.create_many(
        user, [resource.serializer.validated(named(resource, text)) for text in "AB"]
    ),
    "update": lambda resource, user, ids: resource.update(user, ids[0], {label(resource): "New"}),
    "delete": lambda resource, user, ids: resource.delete(user, ids[0]),
    "restore": lambda resource, user, ids: resource.restore(user, ids[2]),
    "delete_many": lambda resource, user, ids: resource.delete_many(user, ids),
    "restore_many": lambda resource, user, ids: resource.restore_many(user, ids),
}
OTHERS: dict[str, Call] = {
    "undo": lambda resource, user, ids: undo.undo(user, head_of(user)),
    "erase": lambda resource, user, ids: writes.erase(user, [resource.model.objects.all()]),
}
# By module and function, what is no part of a declaration.
OWN: dict[str, Call] = {
    "tasks.services.complete_task": lambda resource, user, ids: tasks.complete_task(user, ids[0]),
    "tasks.services.complete_tasks": lambda resource, user, ids: tasks.complete_tasks(user, ids, True),
    "tasks.services.move_task": lambda resource, user, ids: tasks.move_task(user, ids[0], {"after_id": ids[1]}),
    "tasks.projects.services.move_project": lambda resource, user, ids: projects.move_project(
        user, ids[0], {"parent_id": ids[1]}
    ),
    "tasks.services.complete_as_sent": lambda resource, user, ids: tasks.complete_as_sent(user, ids[0], {}),
    "tasks.services.move_tasks": lambda resource, user, ids: tasks.move_tasks(
        user, ids[:2], Project.objects.get(user=user).pk
    ),
    "tasks.services.rename_tag": lambda resource, user, ids: tasks.rename_tag(user, "old", "new"),
    "tasks.services.delete_tag": lambda resource, user, ids: tasks.delete_tag(user, "old"),
    "tasks.projects.services.archive_projects": lambda resource, user, ids: projects.archive_projects(
        user, ids[:2], archived=True
    ),
    "tasks.services.skip_task": lambda resource, user, ids: tasks.skip_task(user, ids[0]),
    "tasks.services.recompute_days": lambda resource, user, ids: tasks.recompute_days(eastern(user)),
}


def eastern(user: User) -> User:
    """At the other end of the world, where it is another day."""
    user.timezone = "Pacific/Kiritimati"
    return user


def name_of(service: Callable[..., Any]) -> str:
    return f"{service.__module__}.{service.__name__}"


def services_of(resource: Resource) -> list[str]:
    """The public functions of the module that its declaration takes its services from."""
    module = sys.modules[resource.create.__module__]
    found = [each for each in vars(module).values() if isfunction(each) and each.__module__ == module.__name__]
    return [name_of(each) for each in found if not each.__name__.startswith("_")]


def calls(resource: Resource) -> dict[str, Call]:
    own = {name: call for name, call in OWN.items() if name in services_of(resource)}
    return {**DECLARED, **OTHERS, **own}


def test_every_service_is_called_here(resource: Resource) -> None:
    """Whoever adds one says above how to call it."""
    declared = {name_of(getattr(resource, name)) for name in DECLARED}
    assert set(services_of(resource)) == declared | {name for name in OWN if name in services_of(resource)}


@pytest.mark.django_db
@each(calls)
def test_an_entry_is_written_for_each_row_that_changes(resource: Resource, alice: User, case: Call) -> None:
    ids = [make(resource, alice).pk for _ in range(3)]
    if resource.model is Task:
        make_project(alice)
        due = dt.datetime(2026, 12, 1, 12, tzinfo=dt.UTC)
        tasks.update_task(alice, ids[0], {"due_at": due, "recurrence": {"rule": "FREQ=DAILY"}, "tags": ["old"]})
    resource.delete(alice, ids[2])
    models: set[type[OwnedModel]] = {resource.model, Project}  # into one of which tasks move
    replica = Replica(alice, *models)
    replica.check()
    before, head = state(alice, *models), head_of(alice)
    case(resource, alice, ids)
    changed = {key: row["version"] for key, row in state(alice, *models).items() if row != before.get(key)}
    entries = Change.objects.for_user(alice).filter(version__gt=head).order_by("version")
    assert changed == {(entry.type, entry.object_id): entry.version for entry in entries}
    assert [entry.version for entry in entries] == list(range(head + 1, head_of(alice) + 1)) != []
    assert {entry.operation for entry in entries} == {head_of(alice)}
    assert {entry.previous for entry in entries} <= {None, *(row["version"] for row in before.values())}
    replica.check()


def test_what_is_undone_again_and_again_is_followed(resource: Resource, alice: User, row: OwnedModel) -> None:
    replica = Replica(alice, resource.model)
    resource.update(alice, row.pk, {label(resource): "New"})
    for number in range(2, 7):
        undo.undo(alice, number)
        replica.check()
    assert len(replica.rows) == 1
