"""Importing documents: rows, the operation, and what is there already."""

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from config.errors import LimitReached
from tasks import services as tasks
from tasks.completions import Completion
from tasks.formats.drafts import Completed, Document, ProjectDraft, TaskDraft
from tasks.models import MAX_CHILDREN, Task
from tasks.projects.models import Project
from tasks.resource import TASKS
from tasks.transfer import fitting, services
from tasks.transfer.models import Import
from tasks.transfer.report import Report
from tests.factories import head_of, make_task, make_user
from tests.problems import stored
from users.models import Change, User
from users.resources import trash, undo

NOW = dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC)
OLD = dt.datetime(2020, 2, 29, 12, 34, 56, 789, tzinfo=dt.UTC)


def run(user: User, projects: Any = (), tasks: Any = (), source: str = "csv", **options: Any) -> Report:
    document = Document([*projects], [*tasks])
    fitting.fit(document, source, user.zone, timezone.now())
    return services.import_document(user, document, source, **options).report


def project(uid: str, **members: Any) -> ProjectDraft:
    return ProjectDraft(1, uid, **{"name": f"Project {uid}", **members})


def task(uid: str, **members: Any) -> TaskDraft:
    return TaskDraft(1, uid, **{"title": f"Task {uid}", **members})


def test_rows_keep_what_the_file_says(alice: User) -> None:
    report = run(
        alice,
        [project("p", color="#aa00bb", archived=True, position="a5"), project("q", parent="p")],
        [
            task("b", parent="a", title="Child", created_at=OLD, extra={"x": 1}, position="a7"),
            task("a", project="q", tags=["x", "Y"], priority="high", due_date=dt.date(2026, 12, 1)),
            task("c", status="completed", completed_at=OLD, due_at=OLD),
            task("d", status="cancelled", description="Long"),
        ],
    )
    assert (report.created, report.degraded, report.skipped) == (6, [], [])
    rows = {row.uid: row for row in Task.objects.all()}
    projects = {row.uid: row for row in Project.objects.all()}
    assert (projects["p"].is_archived, projects["p"].color, projects["p"].position) == (True, "#aa00bb", "a5")
    assert projects["q"].parent_id == projects["p"].pk
    assert (rows["b"].parent_id, rows["b"].project_id) == (rows["a"].pk, projects["q"].pk)
    assert (rows["b"].created_at, rows["b"].extra, rows["b"].position) == (OLD, {"csv": {"x": 1}}, "a7")
    assert (rows["c"].status, rows["c"].completed_at, rows["c"].completions) == ("completed", OLD, 1)
    assert Completion.objects.values_list("task_id", "at", "occurrence_at").get() == (rows["c"].pk, OLD, OLD)


def test_the_order_of_the_file_is_that_of_the_rows(alice: User) -> None:
    run(alice, tasks=[task(str(number)) for number in range(1200)])
    uids = Task.objects.order_by("position", "pk").values_list("uid", flat=True)
    assert [*uids] == [str(number) for number in range(1200)]


def test_all_of_it_is_one_operation_that_undo_takes_back_and_redo_brings_again(alice: User) -> None:
    before = make_task(alice)
    run(alice, [project("p")], [task("a", project="p", status="completed"), task("b", parent="a"), *many(1100)])
    operation = Import.objects.get().operation
    assert operation is not None
    assert {entry.operation for entry in Change.objects.filter(version__gt=before.version)} == {operation}
    undo.undo(alice, operation)
    assert [*Task.objects.visible()] == [before]
    assert (Project.objects.visible().count(), Completion.objects.exclude(revoked_at=None).count()) == (0, 1)
    undo.undo(alice, head_of(alice))
    assert (Task.objects.visible().count(), Project.objects.visible().count()) == (1103, 1)
    assert Completion.objects.filter(revoked_at=None).count() == 1


def many(count: int, **members: Any) -> list[TaskDraft]:
    return [task(f"many-{number}", **members) for number in range(count)]


def test_the_same_again_changes_nothing(alice: User) -> None:
    def again() -> Report:
        drafts = [task("a", project="p", modified_at=OLD), task("b", parent="a", status="completed")]
        return run(alice, [project("p", modified_at=OLD)], drafts)

    again()
    before = stored(alice.pk)
    report = again()
    assert (report.created, report.updated, report.unchanged) == (0, 0, 3)
    last = Import.objects.latest("pk")
    assert last.operation is None
    last.delete()
    assert stored(alice.pk) == before


def test_what_the_file_has_changed_since_is_changed(alice: User) -> None:
    run(alice, [project("p"), project("q")], [task("a", project="p"), task("b", parent="a"), task("c")])
    later = timezone.now() + dt.timedelta(days=1)
    report = run(
        alice,
        [project("p", name="Renamed", modified_at=later), project("q")],
        [
            task("a", project="q", title="New", modified_at=later, status="completed", completed_at=OLD),
            task("b", parent="a"),
            task("c", parent="b", modified_at=later),
        ],
    )
    assert (report.created, report.updated, report.unchanged) == (0, 2, 3)
    rows = {row.uid: row for row in Task.objects.all()}
    moved = Project.objects.get(uid="q").pk
    assert Project.objects.get(uid="p").name == "Renamed"
    assert (rows["a"].title, rows["a"].completed_at, rows["a"].completions) == ("New", OLD, 1)
    assert [rows[uid].project_id for uid in "abc"] == [moved] * 3
    assert rows["c"].parent_id == rows["b"].pk
    again = run(
        alice, tasks=[task("a", project="q", title="New", modified_at=later, status="completed", completed_at=OLD)]
    )
    assert (again.updated, again.unchanged) == (0, 1)


def test_what_was_changed_here_later_stays(alice: User) -> None:
    run(alice, tasks=[task("a", modified_at=OLD)])
    tasks.update_task(alice, Task.objects.get().pk, {"title": "Mine"})
    assert run(alice, tasks=[task("a", modified_at=OLD)]).unchanged == 1
    assert Task.objects.get().title == "Mine"


def test_what_is_in_the_trash_stays_there_and_is_told(alice: User) -> None:
    run(alice, tasks=[task("a")])
    tasks.delete_task(alice, Task.objects.get().pk)
    report = run(alice, tasks=[task("a"), task("b", parent="a")])
    assert (report.created, [each.row for each in report.skipped]) == (1, [1])
    assert "in the trash since" in report.skipped[0].reason
    assert [each.field for each in report.degraded] == ["parent"]
    assert Task.objects.visible().get().parent_id is None


def test_what_was_erased_comes_anew(alice: User) -> None:
    for round in range(3):
        report = run(alice, tasks=[task("a"), task("b", parent="a")])
        assert report.created == 2, round
        assert run(alice, tasks=[task("a"), task("b", parent="a")]).unchanged == 2
        tasks.delete_task(alice, Task.objects.visible().get(parent=None).pk)
        trash.empty(alice, [TASKS])
    assert Task.objects.count() == 6


def test_children_find_parents_of_an_earlier_file(alice: User) -> None:
    run(alice, [project("p")], [task("a", project="p")])
    run(alice, tasks=[task("b", parent="a"), task("c", project="p")])
    ids = dict(Task.objects.values_list("uid", "pk"))
    assert Task.objects.get(uid="b").parent_id == ids["a"]
    assert {*Task.objects.values_list("project__uid", flat=True)} == {"p"}


def test_beyond_the_limit_nothing_is_written(alice: User, settings: Settings) -> None:
    settings.LIMIT_TASKS = 2
    make_task(alice)
    before = stored(alice.pk)
    with pytest.raises(LimitReached):
        run(alice, [project("p")], [task("a"), task("b")])
    assert stored(alice.pk) == before


def test_tombstones_make_room(alice: User, settings: Settings) -> None:
    settings.LIMIT_TASKS = 3
    for _ in range(6):
        tasks.delete_task(alice, make_task(alice).pk)
    assert run(alice, tasks=[task("a"), task("b")], dry_run=True).created == 2
    assert Task.objects.count() == 6
    assert run(alice, tasks=[task("a"), task("b")]).created == 2


def test_a_dry_run_tells_the_same_and_writes_nothing(alice: User) -> None:
    drafts: Callable[[], Any] = lambda: [task("a", title="x" * 300), task("b", parent="nobody")]  # noqa: E731
    make_task(alice)
    before = stored(alice.pk)
    dry = run(alice, tasks=drafts(), dry_run=True)
    assert stored(alice.pk) == before
    assert dry == run(alice, tasks=drafts())


def test_the_log_replays_to_the_state(alice: User) -> None:
    run(alice, [project("p", archived=True)], [task("a", project="p", status="completed"), task("b", tags=["x"])])
    later = timezone.now() + dt.timedelta(days=1)
    run(alice, tasks=[task("a", project="p", title="Later", modified_at=later)])
    for model in (Task, Project):
        for row in model.objects.all():
            replayed = dict(model.blank())
            for entry in Change.objects.filter(type=model.type_name(), object_id=row.pk).order_by("version"):
                replayed |= {name: new for name, (_, new) in entry.diff.items()}
            fields = {field.attname: field for field in model._meta.concrete_fields}
            shown = {name: getattr(row, name) for name in replayed}
            assert {name: fields[name].to_python(value) for name, value in replayed.items()} == shown


def test_a_series_goes_on_where_it_was(alice: User) -> None:
    due = dt.date(2026, 12, 5)
    recurrence = {"rule": "FREQ=WEEKLY;COUNT=10", "zone": "Europe/Berlin", "anchor": "2026-12-04", "left": "7"}
    done = [Completed(OLD, due_date=due, missed=2), Completed(NOW, skipped=True)]
    run(alice, tasks=[task("a", due_date=due, recurrence=recurrence, completions=done)])
    row = Task.objects.get()
    assert row.recurrence == {
        "rule": "FREQ=WEEKLY;COUNT=10", "zone": "Europe/Berlin", "from": "due", "anchor": "2026-12-04", "left": 7
    }  # fmt: skip
    assert (row.completions, row.last_completed_at) == (1, OLD)
    assert {*Completion.objects.values_list("at", "kind", "missed")} == {(OLD, "completed", 2), (NOW, "skipped", 0)}


def test_the_number_of_queries_does_not_depend_on_the_rows(alice: User) -> None:
    def queries(count: int, prefix: str) -> int:
        with CaptureQueriesContext(connection) as found:
            run(alice, tasks=[task(f"{prefix}{number}", status="completed") for number in range(count)])
        return len(found)

    queries(1, "first")
    assert queries(2, "a") == queries(400, "b")


def test_more_children_than_a_task_may_have_go_to_the_root(alice: User) -> None:
    report = run(alice, tasks=[task("a"), *many(MAX_CHILDREN + 3, parent="a")])
    assert (report.created, len(report.degraded)) == (MAX_CHILDREN + 4, 3)
    assert Task.objects.filter(parent=None).count() == 4


def test_what_takes_too_long_stores_nothing(alice: User) -> None:
    before = stored(alice.pk)
    with pytest.raises(services.TooLargeAtOnce):
        run(alice, tasks=many(10), seconds=-1)
    assert stored(alice.pk) == before


def test_a_file_of_any_size_comes_in_slices(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "SLICE", 3)
    drafts = [task("c", parent="b"), task("b", parent="a"), task("a", project="p"), *many(5)]
    document = Document([project("p")], drafts)
    fitting.fit(document, "csv", alice.zone, NOW)
    outcome = services.import_in_slices(alice, document, "csv")
    assert (outcome.report.created, outcome.row and outcome.row.done) == (9, 9)
    assert Import.objects.values_list("status", "total").get() == ("done", 9)
    assert {*Task.objects.exclude(project=None).values_list("uid", flat=True)} == {"a", "b", "c"}


@pytest.fixture
def conflict(transactional_db: None) -> Iterator[None]:
    """PostgreSQL fails the first statement that stores an import, as after a serialization failure."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE SEQUENCE attempts;"  # which no rollback takes back
            " CREATE FUNCTION fail_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " IF nextval('attempts') = 1 THEN RAISE 'once' USING ERRCODE = 'serialization_failure'; END IF;"
            " RETURN NEW; END $$;"
            " CREATE TRIGGER fail_once BEFORE INSERT ON transfer_import FOR EACH ROW EXECUTE FUNCTION fail_once()"
        )
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION fail_once CASCADE; DROP SEQUENCE attempts")


@pytest.mark.parametrize("store", [services.import_document, services.import_in_slices])
def test_a_retried_import_counts_each_row_once(conflict: None, store: Callable[..., services.Outcome]) -> None:
    user = make_user()
    document = Document([project("p")], [task("a", project="p", status="completed"), *many(3)])
    fitting.fit(document, "csv", user.zone, NOW)
    outcome = store(user, document, "csv")
    assert (outcome.report.created, outcome.row and outcome.row.done) == (5, 5)
    assert Import.objects.values_list("status", "done", "total").get() == ("done", 5, 5)
    assert (Task.objects.count(), Completion.objects.count()) == (4, 1)
    with connection.cursor() as cursor:
        cursor.execute("SELECT last_value FROM attempts")
        assert cursor.fetchone() == (2,)
