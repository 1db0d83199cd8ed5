"""What tasks have in the admin beyond every resource: their members, search and filters."""

import datetime as dt

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tasks import services
from tasks.models import MAX_TAGS, Task
from tests.factories import head_of, make_task, make_user
from tests.pages import open_page, send, signed_in, submit
from users.models import Change, User
from users.resources import undo

LIST = "/admin/tasks/task/"
ADD = "/admin/tasks/task/add/"
TAGS_21 = "\n".join(str(number) for number in range(21))
Typed = dict[str, str | list[str]]


def change(task: Task) -> str:
    return f"{LIST}{task.pk}/change/"


def delete_selected(*tasks: Task) -> Typed:
    return {"action": "delete_selected", "_selected_action": [str(task.pk) for task in tasks]}


@pytest.fixture
def staff(carol: User) -> Client:
    return signed_in(carol)


def new_task(user: User, **typed: str | list[str]) -> Typed:
    return {"user": str(user.pk), "title": "New", **typed}


def test_add_creates_a_task_of_its_owner(staff: Client, alice: User, carol: User) -> None:
    typed = new_task(
        alice, title="  Post  ", description="a\r\nb", tags="x, y\r\n\r\n x \r\n\u2800\r\nX", priority="high"
    )
    page = submit(staff, ADD, **typed)
    task = Task.objects.get()
    assert "was added successfully" in page.messages
    assert (task.user, task.title, task.description, task.tags) == (alice, "Post", "a\nb", ["x, y", "x"])
    assert (task.priority, task.version, head_of(alice), head_of(carol)) == ("high", 1, 1, 0)
    assert task.search_text == "post\x1fa\nb\x1fx, y\x1fx"


def test_times_are_utc_and_the_due_date_is_the_owners_day(staff: Client) -> None:
    owner = make_user("owner", timezone="Asia/Karachi")
    submit(staff, ADD, **new_task(owner, due_at_0="2026-11-25", due_at_1="20:30:00"))
    task = Task.objects.get()
    assert task.due_at == dt.datetime(2026, 11, 25, 20, 30, tzinfo=dt.UTC)
    assert task.due_date == dt.date(2026, 11, 26)
    assert b"In UTC." in staff.get(ADD).content


def test_change_takes_the_next_number_and_leaves_the_rest(staff: Client, alice: User) -> None:
    task = make_task(alice, description="keep\nme", tags=["a, b"], due_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    page = submit(staff, change(task), title="Changed", status="completed")
    stored = Task.objects.get()
    assert "was changed successfully" in page.messages
    assert (stored.title, stored.status, stored.version, head_of(alice)) == ("Changed", "completed", 2, 2)
    assert stored.completed_at == stored.updated_at
    assert (stored.description, stored.tags, stored.due_at) == (task.description, task.tags, task.due_at)


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"title": "two\nlines", "description": "a\r\nb\rc\n", "tags": ["a,b", "c\nd", "e"]},
        {"description": "\n\nindented", "due_date": dt.date(2026, 1, 2), "priority": "high"},
        {"due_at": dt.datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=dt.UTC), "status": "completed"},
    ],
)
def test_saving_what_was_shown_takes_no_number(staff: Client, alice: User, stored: dict[str, object]) -> None:
    task = make_task(alice, **stored)
    before = Task.objects.values().get()
    submit(staff, change(task))
    assert Task.objects.values().get() == before
    assert head_of(alice) == 1


def test_saving_an_old_page_undoes_nothing(staff: Client, alice: User) -> None:
    task = make_task(alice, title="Old")
    page = open_page(staff, change(task))
    services.update_task(alice, task.pk, {"title": "Meanwhile"})
    send(staff, change(task), {**page.fields, "priority": "low"})
    task.refresh_from_db()
    assert (task.title, task.priority, task.version) == ("Meanwhile", "low", 3)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ({"title": "   "}, "This field is required."),
        ({"title": "\u3164"}, "Nothing of it can be seen."),
        ({"title": "x" * 201}, "at most 200 characters (it has 201)"),
        ({"title": "a\0b"}, "Null characters are not allowed."),
        ({"description": "x" * 20_001}, "at most 20000 characters (it has 20001)"),
        ({"description": "a\0b"}, "Null characters are not allowed."),
        ({"tags": TAGS_21}, "List contains 21 items, it should contain no more than 20."),
        ({"tags": "x" * 51}, "at most 50 characters (it has 51)"),
        ({"tags": "a\0b"}, "Null characters are not allowed."),
        ({"status": "done"}, "done is not one of the available choices."),
        ({"priority": ""}, "This field is required."),
        ({"due_date": "tomorrow"}, "Enter a valid date."),
        ({"due_date": "9999-12-31"}, "less than or equal to 2999-12-31"),
        ({"due_date": "0001-01-01"}, "greater than or equal to 1900-01-01"),
        ({"due_at_0": "9999-12-31", "due_at_1": "23:59"}, "less than or equal to 2999-12-30"),
        ({"due_at_0": "0001-01-01", "due_at_1": "00:00"}, "greater than or equal to 1900-01-02"),
        ({"due_at_0": "2026-01-02"}, "Enter a valid time."),
        ({"due_date": "2026-01-05", "due_at_0": "2026-01-02", "due_at_1": "09:00"}, "due_at falls on 2026-01-02"),
    ],
)
@pytest.mark.parametrize("adding", [True, False])
def test_bad_input_is_a_form_error(staff: Client, alice: User, typed: Typed, message: str, adding: bool) -> None:
    task = make_task(alice)
    page = submit(staff, ADD, **new_task(alice, **typed)) if adding else submit(staff, change(task), **typed)
    assert message in page.errors.replace("&#x27;", "'")
    assert page.messages == ""
    assert list(Task.objects.values_list("title", "version")) == [(task.title, 1)]
    assert head_of(alice) == 1


@pytest.mark.parametrize("typed", [{"title": "😀" * 200}, {"description": "a\r\n" * 5_000}, {"tags": TAGS_21[:-3]}])
def test_the_limits_themselves_are_fine(staff: Client, alice: User, typed: Typed) -> None:
    page = submit(staff, ADD, **new_task(alice, **typed))
    assert page.errors == ""
    assert Task.objects.count() == 1


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=CAFE", ["Café"]),
        ("q=报告", ["完成季度报告"]),
        ("q=errand+cafe", ["Café"]),
        ("q=100%25", []),
        ("status__exact=completed", ["Done"]),
        ("priority__exact=high", ["完成季度报告"]),
        ("due_date__isnull=False", ["Done"]),
        ("q=%00", ["Café", "完成季度报告", "Done"]),
    ],
)
def test_search_and_filters(staff: Client, alice: User, query: str, found: list[str]) -> None:
    make_task(alice, title="Done", status="completed", due_date=dt.date(2026, 1, 1))
    make_task(alice, title="完成季度报告", priority="high")
    make_task(alice, title="Café", tags=["errands"])
    answer = staff.get(f"{LIST}?{query}")
    assert answer.status_code == 200
    assert sorted(task.title for task in answer.context["cl"].result_list) == sorted(found)


def test_the_list_sorts_titles_without_case_and_priorities_by_rank(staff: Client, alice: User) -> None:
    for title, priority in [("b", "low"), ("A", "high"), ("C", "medium")]:
        make_task(alice, title=title, priority=priority)
    by_title = staff.get(f"{LIST}?o=1").context["cl"].result_list
    by_priority = staff.get(f"{LIST}?o=-4").context["cl"].result_list
    assert [task.title for task in by_title] == ["A", "b", "C"]
    assert [task.priority for task in by_priority] == ["high", "medium", "low"]


@pytest.mark.parametrize("path", [LIST, f"{LIST}?q=task"])
def test_the_list_takes_as_many_queries_for_30_rows_as_for_3(staff: Client, path: str) -> None:
    counts = []
    for more in (3, 27):
        for _ in range(more):
            make_task(make_user())
        with CaptureQueriesContext(
            connection,
        ) as queries:
            rows = len(staff.get(path).context["cl"].result_list)
        counts.append((rows, len(queries)))
    assert counts == [(3, counts[0][1]), (30, counts[0][1])]


def test_the_owner_is_found_by_autocomplete(staff: Client, alice: User) -> None:
    query = {"app_label": "tasks", "model_name": "task", "field_name": "user", "term": alice.email.upper()}
    assert staff.get("/admin/autocomplete/", query).json()["results"] == [{"id": str(alice.pk), "text": alice.email}]
    assert staff.get("/admin/autocomplete/", {**query, "term": "a\0b"}).json()["results"] == []


LOOK_UPS = [
    "status__exact=%00",
    "status__in=%00,a",
    "due_date__year=0",
    "due_date__year=10000",
    "title__regex=[",
    "q=%00",
]


@pytest.mark.parametrize("query", [*LOOK_UPS, "tags__contains=a", "tags__99999999999=a", "tag_keys__contains=a"])
@pytest.mark.usefixtures("transactional_db")  # as served: an error must not spoil the test's own transaction
def test_a_look_up_that_cannot_be_is_no_server_error(client: Client, query: str) -> None:
    carol = make_user(is_staff=True, is_superuser=True)
    make_task(carol)
    client.force_login(carol)
    assert client.get(f"/admin/tasks/task/?{query}").status_code in (200, 302, 400)
    assert client.get("/admin/tasks/task/?e=1").status_code == 200


def test_more_lines_than_tags_can_be_are_not_even_split(staff: Client, alice: User) -> None:
    page = submit(staff, ADD, **new_task(alice, tags="a\n" * 100_000))
    assert f"Write at most {MAX_TAGS} tags." in page.errors
    assert not Task.objects.exists()


@pytest.mark.parametrize(
    ("action", "before", "after"), [("complete", "pending", "completed"), ("reopen", "completed", "pending")]
)
def test_completing_is_one_operation_for_each_owner_and_undone_as_one(
    staff: Client, alice: User, bob: User, carol: User, action: str, before: str, after: str
) -> None:
    """A task that is so already is passed over."""
    tasks = [
        make_task(owner, status=status)
        for owner, status in [(alice, before), (bob, before), (alice, before), (alice, after)]
    ]
    chosen = [str(task.pk) for task in tasks]
    page = send(staff, LIST, {"action": action, "_selected_action": chosen, "index": "0"})
    assert ": 3 tasks." in page.messages
    entries = Change.objects.filter(actor=f"staff:{carol.pk}").order_by("user", "version")
    assert [(entry.user_id, entry.operation, entry.object_id) for entry in entries] == [
        (alice.pk, 5, tasks[0].pk),
        (alice.pk, 5, tasks[2].pk),
        (bob.pk, 2, tasks[1].pk),
    ]
    undo.undo(alice, 5)
    statuses = Task.objects.order_by("pk").values_list("status", flat=True)
    assert list(statuses) == [before, after, before, after]


def test_a_change_in_the_list_is_an_operation_of_staff(staff: Client, alice: User, carol: User) -> None:
    task = make_task(alice)
    fields = {**open_page(staff, LIST).fields, "form-0-status": "completed", "_save": "Save"}
    send(staff, LIST, fields)
    entry = Change.objects.get(version=2)
    assert (entry.object_id, entry.kind, entry.actor) == (task.pk, "completed", f"staff:{carol.pk}")


def test_a_task_that_recurs_says_so_in_words(staff: Client, alice: User) -> None:
    first = dt.datetime(2096, 1, 31, 9, tzinfo=dt.UTC)
    rent = make_task(alice, due_at=first, recurrence={"rule": "FREQ=MONTHLY", "zone": "Asia/Karachi"})
    page = staff.get(change(rent)).content.decode()
    assert "every month on the last day (Asia/Karachi)" in page
    assert "2096-01-31 09:00, 2096-02-29 09:00, 2096-03-31 09:00, 2096-04-30 09:00, 2096-05-31 09:00" in page
    assert "every" not in staff.get(change(make_task(alice))).content.decode()


def test_completing_in_the_admin_goes_on_to_the_next_due(staff: Client, alice: User) -> None:
    listed, opened = (make_task(alice, due_date=dt.date(2096, 1, 1), recurrence={"rule": "FREQ=DAILY"}) for _ in "ab")
    send(staff, LIST, {"action": "complete", "_selected_action": [str(listed.pk)]})
    submit(staff, change(opened), status="completed")
    for task in (listed, opened):
        task.refresh_from_db()
        assert (task.status, task.due_date, task.completions) == ("pending", dt.date(2096, 1, 2), 1)
