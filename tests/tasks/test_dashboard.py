"""The first page of the admin: what its figures say, and what they cost."""

import datetime as dt
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Permission
from django.core.cache import cache
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from config.database.isolation import all_users
from tasks import services
from tasks.dashboard import figures
from tasks.models import Completion, Task
from tasks.projects import services as projects
from tests.factories import make_session, make_task, make_user
from tests.pages import signed_in
from tests.plans import nodes, statements
from tests.races import at_once
from users.models import Session, User

NOW = timezone.now()


@pytest.fixture(autouse=True)
def nothing_is_kept() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def staff(carol: User) -> Client:
    return signed_in(carol)


def ago(days: float) -> dt.datetime:
    return NOW - dt.timedelta(days=days)


def backdate(task: Task, days: float, **more: Any) -> None:
    Task.objects.filter(pk=task.pk).update(created_at=ago(days), **more)


def test_created_and_completed_are_counted_per_day_of_the_last_30(alice: User, bob: User) -> None:
    for days in (0, 1, 1, 29, 30, 400):
        backdate(make_task(alice), days)
    daily = make_task(bob, due_date=ago(40).date(), recurrence={"rule": "FREQ=DAILY"})
    reopened = services.complete_task(bob, make_task(bob).pk)
    services.complete_task(bob, reopened.pk)
    backdate(reopened, 40)
    for days in (2, 2, 31):
        with time_machine.travel(ago(days)):
            services.complete_task(bob, daily.pk, completed=True)
    backdate(daily, 40)
    services.skip_task(bob, daily.pk)
    services.delete_task(bob, make_task(bob).pk)
    made = figures.make(NOW)
    assert (len(made.days), made.days[-1], made.days[0]) == (30, NOW.date(), ago(29).date())
    assert {ago: count for ago, count in enumerate(reversed(made.created)) if count} == {0: 1, 1: 2, 29: 1}
    assert {ago: count for ago, count in enumerate(reversed(made.completed)) if count} == {2: 2}


def test_open_and_overdue_are_counted_by_priority(alice: User) -> None:
    make_task(alice, priority="high", due_date=ago(2).date())
    make_task(alice, priority="high", due_at=ago(-1))
    make_task(alice, priority="low", due_at=ago(0.1), status="in_progress")
    make_task(alice, priority="low", due_date=ago(2).date(), status="completed")
    make_task(alice, priority="low", due_date=NOW.date())
    make_task(alice, status="cancelled")
    made = figures.make(NOW)
    assert made.open == {"high": 2, "medium": 0, "low": 2}
    assert made.overdue == {"high": 1, "medium": 0, "low": 1}
    assert sum(made.overdue.values()) == Task.objects.overdue(NOW, NOW.date()).count()


def test_ages_of_open_tasks_fall_into_their_ranges(alice: User) -> None:
    for days in (0, 1, 6, 7, 29, 30, 89, 90, 5000):
        backdate(make_task(alice), days)
    assert list(figures.make(NOW).ages.values()) == [1, 2, 2, 2, 2]


def test_tags_are_those_of_the_latest_tasks(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "LATEST", 3)
    for tags in (["old"], ["home", "work"], ["home"], []):
        make_task(alice, tags=tags)
    assert figures.make(NOW).tags == [("home", 2), ("work", 1)]


def test_tags_are_counted_without_case_and_shown_as_first_sent(alice: User, bob: User) -> None:
    for user, tags in ((alice, ["Caf\u00e9"]), (bob, ["CAFE\u0301", "x"]), (alice, ["caf\u00e9"])):
        make_task(user, tags=tags)
    assert figures.make(NOW).tags == [("Caf\u00e9", 3), ("x", 1)]


def test_users_are_counted_by_sign_up_and_by_use(alice: User, bob: User) -> None:
    User.objects.filter(pk=bob.pk).update(created_at=ago(3))
    for user, days in ((alice, 0), (alice, 1), (bob, 10), (make_user(), 31)):
        session = make_session(user)
        Session.objects.filter(pk=session.pk).update(last_used_at=ago(days))
    made = figures.make(NOW)
    assert (made.signed_up[-1], made.signed_up[-4], made.active) == (2, 1, {7: 1, 30: 2})


def test_projects_are_counted_by_the_number_of_their_open_tasks(alice: User, bob: User) -> None:
    for user, count in ((alice, 0), (alice, 1), (bob, 5), (bob, 6)):
        project = projects.create_project(user, name="Project")
        for number in range(count):
            make_task(user, project_id=project.pk, status="pending" if number else "in_progress")
        make_task(user, project_id=project.pk, status="completed")
    projects.delete_project(bob, projects.create_project(bob, name="Gone").pk)
    make_task(alice), make_task(bob), make_task(bob, status="cancelled")
    made = figures.make(NOW)
    assert (made.projects, made.inbox, sum(made.open.values())) == (4, 2, 14)
    assert made.sizes == {"None": 1, "1–5": 2, "6–20": 1, "21–100": 0, "More": 0}


def test_the_page_tells_inbox_and_projects_apart_and_names_none(staff: Client, alice: User) -> None:
    make_task(alice), make_task(alice)
    make_task(alice, project_id=projects.create_project(alice, name="Secret plan").pk)
    answer = staff.get("/admin/")
    numbers = {number.title: number.value for number in answer.context["numbers"]}
    assert (numbers["Open tasks in the inbox"], numbers["Open tasks in projects"], numbers["Projects"]) == (
        "2",
        "1",
        "1",
    )
    assert "Secret" not in answer.content.decode()
    for number in answer.context["numbers"]:
        assert staff.get(number.link).status_code == 200, number


def test_the_page_draws_them_and_has_them_as_tables(staff: Client, alice: User) -> None:
    make_task(alice, tags=["<b>"], due_date=ago(9).date())
    text = staff.get("/admin/").content.decode()
    assert text.count('<canvas class="chart"') == text.count("<details>") == 5
    assert '<th scope="row">&lt;b&gt;</th><td>1</td>' in text
    assert '<th scope="row">Medium</th><td>0</td><td>1</td>' in text


def test_an_empty_service_has_a_page_too(staff: Client) -> None:
    text = staff.get("/admin/").content.decode()
    assert (text.count("Nothing yet."), text.count('<canvas class="chart"')) == (5, 1)  # carol has signed up


def test_tags_are_shown_to_those_who_may_read_tasks(alice: User) -> None:
    make_task(alice, tags=["private matter"])
    member = make_user(is_staff=True)
    member.user_permissions.add(Permission.objects.get(codename="view_task"))
    text = signed_in(member).get("/admin/").content.decode()
    assert ("Open tasks by priority" in text, "private matter" in text) == (True, False)


def test_the_page_takes_few_queries_and_fewer_for_a_minute(staff: Client, alice: User) -> None:
    make_task(alice)
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            staff.get("/admin/")
        counts.append(len(queries))
    assert counts == [18, 9]  # four of deferred work, which is as it is now
    kept = cache.get("tickbase.figures")
    kept.made_at -= figures.FRESH
    cache.set("tickbase.figures", kept)
    make_task(alice)
    assert sum(figures.current().open.values()) == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("transactional_db")
def test_many_who_ask_at_once_are_answered_by_one_count(monkeypatch: pytest.MonkeyPatch) -> None:
    made, make = [], figures.make

    def count(now: dt.datetime) -> figures.Figures:
        made.append(now)
        return make(now)

    monkeypatch.setattr(figures, "make", count)
    answers = at_once([figures.current] * 8)
    assert [answer.made_at for answer in answers] == made * 8


@pytest.mark.django_db(transaction=True)
def test_old_figures_are_shown_while_new_ones_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    old = figures.current()
    old.made_at -= figures.FRESH
    cache.set("tickbase.figures", old)
    begun, go_on, make = threading.Event(), threading.Event(), figures.make

    def slowly(now: dt.datetime) -> figures.Figures:
        begun.set()
        assert go_on.wait(20)
        return make(now)

    def ask_meanwhile() -> figures.Figures:
        assert begun.wait(20)
        try:
            return figures.current()
        finally:
            go_on.set()

    monkeypatch.setattr(figures, "make", slowly)
    new, shown = at_once([figures.current, ask_meanwhile])
    assert (shown.made_at, new.made_at > old.made_at) == (old.made_at, True)


def test_figures_that_take_too_long_leave_a_page(carol: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(now: dt.datetime) -> figures.Figures:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = '10ms'; SELECT pg_sleep(1)")
        raise AssertionError("it should have been stopped")

    monkeypatch.setattr(figures, "make", slow)
    answer = signed_in(carol).get("/admin/")
    assert (answer.status_code, "took too long" in answer.content.decode()) == (200, True)


INDEXES = [
    ("created", '("tasks_task"."created_at" AT TIME ZONE', 'created_at" >=', "tasks_task_list"),
    ("completed", '("tasks_completion"."at" AT TIME ZONE', "kind", "tasks_completion_counted"),
    ("open", '"tasks_task"."priority"', "COUNT", "tasks_task_open"),
    ("age", '("tasks_task"."created_at" AT TIME ZONE', "status", "tasks_task_open"),
    ("sizes", 'SUM("tasks") FILTER', "tasks_task", "tasks_task_open"),
    ("all projects", "COUNT(*)", "projects_project", "projects_project_list"),
    ("tags", '"tasks_task"."tags"', "LIMIT", "tasks_task_pkey"),
    ("sign-ups", '("users_user"."created_at" AT TIME ZONE', "COUNT", "users_user_created"),
    ("active", 'COUNT(DISTINCT "users_session"."user_id")', "COUNT", "users_session_last_used"),
]


@pytest.fixture
def new_files(transactional_db: None) -> None:
    """Of tables and indexes: what earlier tests left in them would count in the plans."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE users_user CASCADE")


@pytest.mark.usefixtures("new_files")
def test_each_figure_comes_out_of_an_index(walter: User) -> None:
    """Of the index alone, but for the tags of the latest: a table of a million tasks is not read."""
    used = (ago(hours / 24) for hours in range(2000))
    Session.objects.bulk_create(Session(user=walter, created_at=ago(90), last_used_at=at) for at in used)
    Completion.objects.bulk_create(
        Completion(user=walter, task=task, at=task.created_at, kind=Completion.Kind.COMPLETED, version=task.version)
        for task in Task.objects.for_user(walter).order_by("pk")[:2000]
    )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE tasks_task, tasks_completion, projects_project, users_user, users_session")
    sent = statements(lambda: figures.make(NOW), containing="FROM")
    found = {}
    for figure, begins, has, _ in INDEXES:
        (sql,) = [sql for sql in sent if sql.startswith(f"SELECT {begins}") and has in sql]
        plan = nodes(explain_for_all(sql))
        found[figure] = [(node["Node Type"], node["Index Name"]) for node in plan if "Index Name" in node]
    kinds = {"tasks_task_pkey": "Index Scan"}
    assert found == {figure: [(kinds.get(index, "Index Only Scan"), index)] for figure, *_, index in INDEXES}


def explain_for_all(sql: str) -> dict[str, Any]:
    """As the service's role, for staff. Without a sequential scan, which is quickest in a small table."""
    with all_users(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN (COSTS OFF, FORMAT JSON) {sql}")
        (answer,) = cursor.fetchone()
    plan: dict[str, Any] = (json.loads(answer) if isinstance(answer, str) else answer)[0]["Plan"]
    return plan
