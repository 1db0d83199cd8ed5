"""Random operations by every service of tasks: the log tells of each, and undo takes each back."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from config.errors import DomainError
from tasks import services
from tasks.choices import Priority, Status
from tasks.completions import Completion
from tasks.models import Task
from tasks.projects import services as projects
from tasks.projects.models import Project
from tests.factories import head_of, make_task, make_user
from tests.races import short_and_full
from tests.replica import Replica
from users import services as accounts
from users.models import User
from users.resources import writes
from users.resources.models import OwnedModel
from users.resources.undo import ChangedSince, NothingToUndo, undo

pytestmark = pytest.mark.thorough

NOON = dt.datetime(2026, 12, 1, 12, tzinfo=dt.UTC)
ZONES = ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"]
ALL = list(range(99))
texts = st.sampled_from(["", "Milk", "Zürich", "報告"])
fields: dict[str, st.SearchStrategy[Any]] = {
    "title": texts.filter(bool),
    "description": texts,
    "status": st.sampled_from([each.value for each in Status]),
    "priority": st.sampled_from([each.value for each in Priority]),
    "tags": st.lists(texts.filter(bool), max_size=2, unique=True),
    "extra": st.sampled_from([{}, {"a": 1}, {"a": True}]),
    "due_date": st.none() | st.dates(dt.date(2026, 11, 30), dt.date(2026, 12, 2)),
}
timed = st.fixed_dictionaries({"due_at": st.none() | st.just(NOON)})
rules = st.sampled_from(["FREQ=DAILY", "FREQ=WEEKLY;COUNT=2"])
recurring = st.fixed_dictionaries(
    {
        "recurrence": st.fixed_dictionaries({"rule": rules, "from": st.sampled_from(["due", "completion"])}),
        "due_date": st.dates(dt.date(2026, 11, 30), dt.date(2026, 12, 2)),
    }
)
changes = st.fixed_dictionaries({}, optional=fields) | timed | recurring
picks = st.lists(st.integers(0, 4), min_size=1, max_size=3)

Row = dict[str, Any]
Rows = dict[tuple[str, int], Row]  # by type and id


class World:
    """A user, what their tasks were before each operation, and who follows the log."""

    def __init__(self) -> None:
        self.user: User = make_user()
        self.replica = Replica(self.user, Task, Project)
        self.done: list[tuple[int, str, Rows]] = []  # the number, what it was, and the rows before
        self.zones: dict[int, str] = {}  # by the number of the operation that has recomputed the days, the zone before

    def rows(self) -> Rows:
        """Each byte but what every change writes."""
        ignored = {"version", "updated_at"}
        rows: Any = [row for model in (Task, Project) for row in self.of(model)]
        return {
            (row.type_name(), row.pk): {
                field.attname: getattr(row, field.attname)
                for field in row._meta.concrete_fields
                if field.attname not in ignored
            }
            | (self.counted(row.pk) if isinstance(row, Task) else {})
            for row in rows
        }

    def counted(self, task_id: int) -> Row:
        """The completions that count."""
        rows = Completion.objects.for_user(self.user).filter(task=task_id, revoked_at=None).order_by("pk")
        return {"counted": list(rows.values_list("pk", "kind"))}

    def of(self, model: type[OwnedModel]) -> list[OwnedModel]:
        return list(model.objects.for_user(self.user).order_by("pk"))

    def ids(self, picked: list[int], model: type[OwnedModel] = Task) -> list[int]:
        ids = [row.pk for row in self.of(model)]
        return [ids[pick] for pick in picked if pick < len(ids)]

    def parent(self, ids: list[int]) -> int | None:
        return ids[1] if len(ids) > 1 else None

    def run(self, name: str, sent: Any, picked: list[int]) -> None:
        before, head, zone, ids = self.rows(), head_of(self.user), self.user.timezone, self.ids(picked)
        try:
            OPERATIONS[name](self, sent, ids)
        except (DomainError, IndexError):  # there is no such task, or it does not fit
            assert (self.rows(), head_of(self.user)) == (before, head)
        self.replica.check()
        if head_of(self.user) > head:
            self.done.append((head_of(self.user), name, before))
            self.zones[head_of(self.user)] = zone
        elif self.user.timezone != zone:
            self.done.append((0, name, before))
            self.zones[0] = zone

    def move(self, zone: str) -> None:
        self.user = accounts.update_account(self.user, timezone=zone)

    def undo_some(self, picked: list[int]) -> None:
        numbers = [number for number, *_ in self.done if number]
        undo(self.user, numbers[-1 - picked[0]])


Run = Callable[[World, Any, list[int]], Any]
OPERATIONS: dict[str, Run] = {
    "create": lambda world, sent, ids: services.create_task(world.user, **{"title": "New", **sent}),
    "update": lambda world, sent, ids: services.update_task(world.user, ids[0], sent),
    "complete": lambda world, sent, ids: services.complete_task(world.user, ids[0]),
    "skip": lambda world, sent, ids: services.skip_task(world.user, ids[0]),
    "delete": lambda world, sent, ids: services.delete_task(world.user, ids[0]),
    "restore": lambda world, sent, ids: services.restore_task(world.user, ids[0]),
    "complete several": lambda world, sent, ids: services.complete_tasks(world.user, world.ids(ALL), len(ids) % 2 == 0),
    "delete several": lambda world, sent, ids: services.delete_tasks(world.user, ids),
    "restore several": lambda world, sent, ids: services.restore_tasks(world.user, world.ids(ALL)),
    "nest": lambda world, sent, ids: services.update_task(world.user, ids[0], {"parent_id": world.parent(ids)}),
    "create within": lambda world, sent, ids: services.create_task(
        world.user, **{"title": "New", **sent, "parent_id": ids[0]}
    ),
    "create a project": lambda world, sent, ids: projects.create_project(world.user, name="New"),
    "to a project": lambda world, sent, ids: services.move_task(
        world.user, ids[0], {"parent_id": None, "project_id": world.ids(ALL, Project)[0]}
    ),
    "nest a project": lambda world, sent, ids: projects.update_project(
        world.user, world.ids(ALL, Project)[-1], {"parent_id": world.ids(ALL, Project)[0]}
    ),
    "delete a project": lambda world, sent, ids: projects.delete_project(
        world.user, world.ids(ALL, Project)[0], tasks="inbox" if len(ids) > 1 else "trash"
    ),
    "restore projects": lambda world, sent, ids: projects.restore_projects(world.user, world.ids(ALL, Project)),
    "move": lambda world, sent, ids: world.move(ZONES[len(ids) % 3]),
    "undo": lambda world, sent, ids: world.undo_some(ids and [ids[0] % 4]),
    "erase": lambda world, sent, ids: writes.erase(world.user, [Task.objects.all()]),
}
RARE = ["restore", "nest", "nest", "nest a project", "restore projects"]  # they fit less often than others
REVERSIBLE = [name for name in OPERATIONS if name != "erase"]


def operations_of(names: list[str]) -> st.SearchStrategy[Any]:
    """Of two projects and three tasks, of which one is deleted; then each operation, in any order."""
    begin = ["create a project", "create a project", "create", "create", "create", "delete"]
    orders = st.permutations([*names, *(each for each in RARE if each in names)])
    return orders.flatmap(
        lambda order: st.tuples(*(st.tuples(st.just(name), changes, picks) for name in begin + order))
    )


def undo_everything(world: World) -> set[str]:
    """The last one first; returns what was undone. What was created is in the trash, and everything else as before."""
    undone = set()
    while world.done:
        number, name, before = world.done.pop()
        if name == "move":
            world.move(world.zones[number])
        else:
            undo(world.user, number)
        world.replica.check()
        now = world.rows()
        assert {pk: row for pk, row in now.items() if pk in before} == before
        assert all(row["deleted_at"] for pk, row in now.items() if pk not in before)
        undone.add(name)
    return undone


@pytest.mark.django_db
@pytest.mark.parametrize("examples", short_and_full(8, 25))
def test_operations_that_are_undone_in_reverse_order_leave_nothing(examples: int) -> None:
    undone: set[str] = set()

    @settings(max_examples=examples, phases=[Phase.generate], derandomize=True)
    @given(steps=operations_of(REVERSIBLE))
    def check(steps: list[Any]) -> None:
        world = World()
        for step in steps:
            world.run(*step)
        undone.update(undo_everything(world))

    check()
    assert undone == set(REVERSIBLE), "not every operation was tested"


@pytest.mark.django_db
@pytest.mark.parametrize("examples", short_and_full(12, 20))
def test_whoever_follows_the_log_has_the_fresh_state_also_of_what_was_erased(examples: int) -> None:
    erased = 0

    @settings(max_examples=examples, phases=[Phase.generate], derandomize=True)
    @given(steps=operations_of(["update", "delete several", "erase", "restore several", "undo"]))
    def check(steps: list[Any]) -> None:
        nonlocal erased
        world = World()
        for step in steps:
            world.run(*step)
        for number, name, _ in world.done:
            if name == "erase":
                erased += 1
                before = world.rows()
                with pytest.raises(NothingToUndo):
                    undo(world.user, number)
                assert world.rows() == before
        late = Replica(world.user, Task, Project)
        late.check()

    check()
    assert erased > 5, "nothing was tested"


def test_a_date_that_a_time_has_taken_over_is_not_put_back_in_part(alice: User) -> None:
    monday, tuesday = dt.date(2026, 11, 30), NOON.date()
    task = make_task(alice, title="One", due_date=monday)
    number = services.update_task(alice, task.pk, {"title": "Two", "due_date": tuesday}).version
    services.update_task(alice, task.pk, {"due_at": NOON})
    with pytest.raises(ChangedSince) as refused:
        undo(alice, number)
    assert refused.value.conflicts == {("task", task.pk): ["due_at"]}
    task.refresh_from_db()
    assert (task.title, task.due_date, task.due_at) == ("Two", tuesday, NOON)


def test_a_restore_into_another_time_zone_is_undone_and_redone(alice: User) -> None:
    task = make_task(alice, due_at=NOON)
    services.delete_task(alice, task.pk)
    alice = accounts.update_account(alice, timezone="Pacific/Kiritimati")
    (restored,) = services.restore_tasks(alice, [task.pk])
    for _ in range(3):
        (restored,) = undo(alice, restored.version)  # type: ignore[assignment]
    task.refresh_from_db()
    assert (task.deleted_at is None, task.due_date) == (False, NOON.date())
