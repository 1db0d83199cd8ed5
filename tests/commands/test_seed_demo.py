"""`manage.py seed_demo`: what it makes is what the services would have made, one by one."""

import unicodedata
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import Settings

from tasks import services
from tasks.demo import bulk
from tasks.demo.content import LANGUAGES, Author
from tasks.models import Task
from tests.changes import changed_since
from tests.client import Api
from tests.factories import PASSWORD, head_of, make_task, make_user
from users.models import Change, Feed, User
from users.services import AccountGone

SCRIPTS = {"LATIN", "CYRILLIC", "ARABIC", "CJK", "HIRAGANA", "KATAKANA", "DEVANAGARI", "HANGUL"}
DERIVED = (
    "title", "description", "status", "priority", "tags", "due_date", "due_at", "tag_keys", "search_text",
    "title_key", "deleted_at",
)  # fmt: skip


pytestmark = pytest.mark.django_db(transaction=True)  # its threads see only what is committed


def seed(*arguments: str) -> str:
    out = StringIO()
    call_command("seed_demo", *arguments, stdout=out)
    return out.getvalue()


def demo(number: int) -> User:
    return User.objects.get(email=f"demo{number}@example.com")


def test_every_number_of_each_feed_is_one_task(transactional_db: None) -> None:
    seed("--users=9", "--tasks=30")
    assert Task.objects.count() == 270
    for user in User.objects.all():
        versions = Task.objects.for_user(user).order_by("created_at").values_list("version", flat=True)
        assert list(versions) == list(range(1, 31))
        assert (head_of(user), Feed.objects.get(user=user).floor) == (30, 0)
        [operation] = Change.objects.for_user(user).values_list("operation", "actor", "kind").distinct()
        assert operation == (30, "command", "created")


def test_each_task_is_what_the_service_makes_of_the_same_values(transactional_db: None) -> None:
    seed("--users=8", "--tasks=40")
    for task in list(Task.objects.select_related("user")):
        due: dict[str, Any] = {"due_at": task.due_at} if task.due_at else {"due_date": task.due_date}
        made = services.create_task(
            task.user, title=task.title, description=task.description, status=task.status, priority=task.priority,
            tags=task.tags, **due,
        )  # fmt: skip
        made.refresh_from_db()
        assert [getattr(task, name) for name in DERIVED] == [getattr(made, name) for name in DERIVED]
        assert (task.completed_at is None) == (made.completed_at is None)
        assert task.created_at <= task.updated_at <= made.updated_at
        assert task.updated_at == (task.completed_at or task.created_at)


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
        assert sorted(versions) == list(range(1, 11))


def test_bulk_goes_on_where_other_writes_were(alice: User, bob: User) -> None:
    make_task(alice)
    now = timezone.now()
    author = Author(LANGUAGES[0], now)
    bulk.create_tasks([*author.tasks(alice, 3), *author.tasks(bob, 2), *author.tasks(alice, 1)])
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
        bulk.create_tasks(tasks)
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
