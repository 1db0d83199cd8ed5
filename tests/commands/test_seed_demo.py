"""`manage.py seed_demo`: what it makes is what the services would have made, one by one."""

import datetime as dt
import json
import unicodedata
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import Settings

from config.http.json import to_json
from tasks import recurring, services
from tasks.completions import Completion
from tasks.demo import bulk
from tasks.demo.content import LANGUAGES, PLANS, Author
from tasks.demo.habits import HABITS, WEEKS
from tasks.models import Task
from tasks.projects import services as projects
from tasks.projects.models import COLOR, Project
from tasks.recurrence import calendar, series
from tests.changes import changed_since
from tests.client import Api
from tests.factories import PASSWORD, head_of, make_task, make_user
from users.models import Change, Feed, User
from users.resources import undo
from users.services import AccountGone

PROJECTS = len(PLANS)  # of each person
SCRIPTS = {"LATIN", "CYRILLIC", "ARABIC", "CJK", "HIRAGANA", "KATAKANA", "DEVANAGARI", "HANGUL"}
DERIVED = (
    "title", "description", "status", "priority", "tags", "due_date", "due_at", "tag_keys", "search_text",
    "title_key", "deleted_at", "project_id", "parent_id", "position", "extra", "recurrence",
)  # fmt: skip


pytestmark = [
    pytest.mark.thorough,
    pytest.mark.django_db(transaction=True),  # its threads see only what is committed
]


def seed(*arguments: str) -> str:
    out = StringIO()
    call_command("seed_demo", *arguments, stdout=out)
    return out.getvalue()


def demo(number: int) -> User:
    return User.objects.get(email=f"demo{number}@example.com")


def test_every_number_of_each_feed_is_one_row(transactional_db: None) -> None:
    seed("--users=9", "--tasks=30")
    assert (Task.objects.count(), Project.objects.count()) == (270, 9 * PROJECTS)
    for user in User.objects.all():
        versions = [
            version
            for model in (Project, Task)
            for version in model.objects.for_user(user).order_by("created_at").values_list("version", flat=True)
        ]
        assert versions == list(range(1, PROJECTS + 31))
        feed = Feed.objects.get(user=user)
        assert (feed.head, feed.floor, feed.live, feed.stored) == (PROJECTS + 30, 0, 30, 30)
        operations = Change.objects.for_user(user).order_by("operation").values_list("operation", "actor", "kind")
        assert list(operations.distinct()) == [
            (PROJECTS, "command", "created"),
            (PROJECTS + 30, "command", "created"),
        ]


def test_the_log_holds_what_is_stored(transactional_db: None) -> None:
    seed("--users=2", "--tasks=60")
    rows = {
        (model.type_name(), row.pk): row for model in (Project, Task) for row in model.objects.select_related("user")
    }
    entries = Change.objects.all()
    assert len(entries) == len(rows)
    for entry in entries:
        row = rows[entry.type, entry.object_id]
        assert entry.version == row.version
        assert entry.diff == json.loads(to_json(row.content())), row


def test_everybody_has_projects_with_one_within_another_and_one_archived(transactional_db: None) -> None:
    seed("--users=8", "--tasks=200")
    for user in User.objects.all():
        own = {project.pk: project for project in Project.objects.for_user(user)}
        assert len({project.name for project in own.values()}) == len(own) == PROJECTS
        assert all(COLOR.match(str(project.color)) for project in own.values())
        assert [project.parent_id in own for project in own.values() if project.parent_id] == [True]
        [archived] = [project for project in own.values() if project.is_archived]
        assert archived.archived_at == archived.updated_at
        assert user.created_at < archived.updated_at < timezone.now()
        tasks = Task.objects.for_user(user)
        assert not tasks.open().filter(project=archived).exists()
        assert {*tasks.values_list("project", flat=True)} == {*own, None}


def test_some_tasks_have_a_checklist_and_people_have_moved_some(transactional_db: None) -> None:
    seed("--users=8", "--tasks=200")
    steps = Task.objects.exclude(parent=None).select_related("parent")
    assert steps.count() >= 50
    for step in steps:
        parent = step.parent
        assert parent is not None
        assert (step.user_id, step.project_id) == (parent.user_id, parent.project_id)
        assert step.created_at > parent.created_at
        assert not parent.is_completed or step.is_completed
    for user in User.objects.all():
        tasks = [*Task.objects.for_user(user).order_by("created_at")]
        by_position = sorted(tasks, key=lambda task: task.position)
        assert len({task.position for task in tasks}) == 200
        assert sum(task.parent_id is None for task in tasks if tasks.index(task) != by_position.index(task)) > 0


def test_what_was_done_is_what_the_rules_make_of_it(transactional_db: None) -> None:
    """Each occurrence follows from how the one before was done, and the present due from the last one."""
    seed("--users=8", "--tasks=100")
    for task in Task.objects.exclude(recurrence=None):
        found, due = recurring.series_of(task), recurring.due_of(task)
        rows = [*task.completion_rows.order_by("at")]
        assert found is not None and due is not None
        dues: list[Any] = [row.occurrence_at or row.occurrence_date for row in rows]
        for row, present, following in zip(rows, dues, [*dues, due][1:], strict=True):
            begun = replace(found, anchor=calendar.to_wall(present, found.zone) if row.occurrence_at else present)
            step = series.skip if row.kind == "skipped" else series.complete
            assert step(begun, present, row.at)[1:] == (following, row.missed)
        assert task.completions == sum(row.kind == "completed" for row in rows)


def test_everybody_has_habits_and_a_past_of_some_weeks(transactional_db: None) -> None:
    seed("--users=8", "--tasks=100")
    assert Task.objects.exclude(recurrence=None).count() == 8 * len(HABITS)
    assert Completion.objects.filter(kind="skipped").exists() and Completion.objects.filter(missed__gt=0).exists()
    now = timezone.now()
    for user in User.objects.filter(created_at__lt=now - dt.timedelta(weeks=WEEKS)):
        rows = Completion.objects.for_user(user)
        for week in range(WEEKS - 1):
            end = now - dt.timedelta(weeks=week)
            assert rows.filter(at__lte=end, at__gt=end - dt.timedelta(weeks=1)).count() >= 8
    shown = Api(demo(1)).get("/api/me/completions?limit=100").json()
    assert len({each["task_id"] for each in shown}) > len(HABITS)
    done = Task.objects.completed().filter(parent=None).first()
    assert done is not None
    assert done.completion_rows.get().occurrence_at == done.due_at


def test_people_can_take_back_that_their_tasks_were_made_and_redo_it(transactional_db: None) -> None:
    seed("--users=1", "--tasks=60")
    user = demo(1)
    counted = Completion.objects.counted().count()
    done = undo.undo(user, head_of(user))
    assert (len(done), Task.objects.visible().count(), Project.objects.visible().count()) == (60, 0, PROJECTS)
    assert not Completion.objects.counted().exists()
    undo.undo(user, head_of(user))
    assert Completion.objects.counted().count() == counted > 60
    assert Task.objects.visible().exclude(parent=None).exists()
    assert Task.objects.visible().count() == 60


def test_each_task_is_what_the_service_makes_of_the_same_values(transactional_db: None) -> None:
    seed("--users=8", "--tasks=40")
    for task in list(Task.objects.select_related("user")):
        due: dict[str, Any] = {"due_at": task.due_at} if task.due_at else {"due_date": task.due_date}
        made = services.create_task(
            task.user, title=task.title, description=task.description, status=task.status, priority=task.priority,
            tags=task.tags, project_id=task.project_id, parent_id=task.parent_id,
            position=task.position, recurrence=task.recurrence_json, **due,
        )  # fmt: skip
        made.refresh_from_db()
        assert [getattr(task, name) for name in DERIVED] == [getattr(made, name) for name in DERIVED]
        assert (task.completed_at is None) == (made.completed_at is None)
        assert task.created_at <= task.updated_at <= made.updated_at
        assert task.is_completed <= (task.completions == 1 and task.last_completed_at == task.completed_at)
        assert task.updated_at == max([task.created_at, *task.completion_rows.values_list("at", flat=True)])


def test_projects_are_what_the_service_makes_of_the_same_values(transactional_db: None) -> None:
    seed("--users=8", "--tasks=1")
    names = ("name", "color", "parent_id", "position", "is_archived")
    for project in list(Project.objects.select_related("user")):
        made = projects.create_project(project.user, **{name: getattr(project, name) for name in names})
        made.refresh_from_db()
        same = {*Project.mutable} - {"archived_at"}
        assert {name: getattr(project, name) for name in same} == {name: getattr(made, name) for name in same}
        assert project.is_archived == made.is_archived


def test_tasks_come_in_many_scripts_and_states(transactional_db: None) -> None:
    seed("--users=8", "--tasks=60")
    titles = "".join(Task.objects.values_list("title", flat=True))
    assert {unicodedata.name(each, "").split(" ")[0] for each in titles} >= SCRIPTS
    assert "🎁" in titles
    tasks = Task.objects.all()
    for name, least in {"status": 4, "priority": 3, "due_date": 30, "due_at": 30, "tags": 20}.items():
        assert len(set(map(str, tasks.values_list(name, flat=True)))) >= least, name
    assert tasks.filter(due_date__lt=timezone.now()).exists()


def test_people_can_sign_in_and_search(transactional_db: None) -> None:
    printed = seed("--users=5", "--tasks=50")
    assert "demo1@example.com to demo5@example.com" in printed
    assert f"Password: {PASSWORD}" in printed
    answer = Api().post("/api/auth/login", {"email": "demo5@example.com", "password": PASSWORD}).json()
    assert (answer["user"]["name"], answer["user"]["email_verified"]) == ("王小明", True)
    assert Api(demo(5)).get("/api/me/tasks?search=度报").json()


def test_postgresql_knows_what_has_come(transactional_db: None) -> None:
    seed("--users=8", "--tasks=40")
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples, relallvisible > 0 FROM pg_class WHERE relname = 'tasks_task'")
        assert cursor.fetchone() == (320, True)


def test_a_second_run_adds_more(transactional_db: None) -> None:
    seed("--users=2", "--tasks=3")
    before = set(Task.objects.values_list("pk", "uid"))
    assert "demo3@example.com to demo4@example.com" in seed("--users=2", "--tasks=3")
    assert (User.objects.count(), Task.objects.count()) == (4, 12)
    assert before < set(Task.objects.values_list("pk", "uid"))


def test_batches_of_one_user_go_on_counting(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.management.commands.seed_demo.BATCH", 7)
    seed("--users=2", "--tasks=10")
    for number in (1, 2):
        versions = Task.objects.for_user(demo(number)).values_list("version", flat=True)
        assert sorted(versions) == list(range(PROJECTS + 1, PROJECTS + 11))


def test_bulk_goes_on_where_other_writes_were(alice: User, bob: User) -> None:
    make_task(alice)
    now = timezone.now()
    author = Author(LANGUAGES[0], now)
    bulk.create_rows([*author.tasks(alice, 3), *author.tasks(bob, 2), *author.tasks(alice, 1)])
    assert (head_of(alice), head_of(bob)) == (5, 2)
    assert sorted(task.version for task in changed_since(alice, Task, 1)) == [2, 3, 4, 5]
    assert make_task(alice).version == 6


def test_nothing_is_stored_for_an_account_that_is_gone(alice: User) -> None:
    gone = make_user()
    tasks = [
        *Author(LANGUAGES[0], timezone.now()).tasks(alice, 2),
        *Author(LANGUAGES[0], timezone.now()).tasks(gone, 2),
    ]
    gone.delete()
    with pytest.raises(AccountGone), transaction.atomic():
        bulk.create_rows(tasks)
    assert (Task.objects.count(), head_of(alice)) == (0, 0)


def test_production_needs_a_password_of_its_own(transactional_db: None, settings: Settings) -> None:
    settings.PRODUCTION = True
    with pytest.raises(CommandError, match="choose one with --password"):
        seed()
    assert "Password: as you said" in seed("--users=1", "--tasks=1", "--password=staple the battery")


@pytest.mark.parametrize("password", ["short", "password1234", "demo@example.com"])
def test_weak_passwords_are_refused(transactional_db: None, password: str) -> None:
    with pytest.raises(CommandError):
        seed("--password", password)
    assert not User.objects.exists()
