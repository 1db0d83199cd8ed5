"""What is exported by us and imported by us is the same again."""

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

from tasks import services as tasks
from tasks.comments.models import Comment
from tasks.comments.services import create_comment, delete_comment
from tasks.completions import Completion
from tasks.models import Task
from tasks.projects.models import Project
from tasks.projects.services import archive_projects
from tasks.transfer import exports, services
from tests.factories import make_project, make_task
from users.models import User


def everything(user: User) -> list[Any]:
    """All but ids, versions and when it was changed."""
    unlike = {"id", "user_id", "version", "updated_at", "parent_id", "project_id", "task_id"}
    places = {Task: ("parent__uid", "project__uid"), Project: ("parent__uid",), Comment: ("task__uid",)}
    shown: list[Any] = []
    for model in (Project, Task, Comment):
        names = [field.attname for field in model._meta.concrete_fields if field.attname not in unlike]
        shown += model.objects.for_user(user).visible().order_by("uid").values(*names, *places[model])
    columns = ("task__uid", "at", "occurrence_date", "occurrence_at", "kind", "missed")
    return [*shown, *Completion.objects.for_user(user).filter(revoked_at=None).order_by("at").values(*columns)]


def moved(user: User, to: User, name: str = "tickbase") -> services.Outcome:
    data = b"".join(exports.write(user, user.zone, exports.WRITABLE[name]))
    return services.import_document(to, *services.read(data, "", name, to.zone))


def furnish(user: User) -> None:
    outer = make_project(user, color="#123456", extra={"a": {"b": [1, 2.5, None]}}, description="Long\nago")
    inner = make_project(user, parent_id=outer.pk)
    archive_projects(user, [inner.pk], archived=True)
    make_task(user, project_id=inner.pk, priority="high", tags=["Ä", "b"], description="x\n\ny")
    parent = make_task(user, project_id=outer.pk, due_date=dt.date(2026, 12, 1), extra={"mine": {"c": True}})
    make_task(user, parent_id=parent.pk, position="a0")
    create_comment(user, task_id=parent.pk, text="Mind\nthe wet paint")
    create_comment(user, task_id=parent.pk, text="Done by noon", uid="mine")
    delete_comment(user, create_comment(user, task_id=parent.pk, text="Never mind").pk)
    rule = {"rule": "FREQ=WEEKLY;COUNT=9", "zone": "Europe/Berlin"}
    series = make_task(user, due_date=dt.date(2026, 11, 2), recurrence=rule)
    tasks.complete_task(user, series.pk, completed=True)
    tasks.skip_task(user, series.pk, {})
    timed = make_task(
        user,
        due_at=dt.datetime(2026, 11, 29, 9, tzinfo=dt.UTC),
        recurrence={"rule": "FREQ=MONTHLY", "from": "completion"},
    )
    tasks.complete_task(user, timed.pk, completed=True)
    make_task(user, due_at=timed.due_at, reminders=[{"minutes_before": 30}, {"uid": "mine", "at": timed.due_at}])
    make_task(user, status="completed")
    make_task(user, status="cancelled")
    tasks.delete_task(user, make_task(user).pk)


def test_all_of_an_account_comes_back_in_another(alice: User, bob: User) -> None:
    bob.timezone = alice.timezone = "Europe/Berlin"
    furnish(alice)
    outcome = moved(alice, bob)
    assert (outcome.report.degraded, outcome.report.skipped, outcome.report.warnings) == ([], [], [])
    assert everything(bob) == everything(alice)
    assert moved(bob, alice).report.created == 0
    assert ZoneInfo("Europe/Berlin") == bob.zone


def test_every_format_that_is_written_is_read(alice: User, bob: User) -> None:
    furnish(alice)
    count = Task.objects.for_user(alice).visible().open().count()  # others, Todoist's CSV has no place for
    for name in exports.WRITABLE:
        outcome = moved(alice, bob, name)
        assert outcome.report.format == name
        assert outcome.report.tasks >= count, name
