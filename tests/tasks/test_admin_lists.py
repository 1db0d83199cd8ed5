"""The staff's list of tasks: its filters, its actions, and the status that is changed in place."""

import datetime as dt
import re
import uuid
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from tasks import services
from tasks.demo import bulk
from tasks.models import Task
from tests.audited import events, staff_changes
from tests.changes import changed_since
from tests.client import Api
from tests.factories import head_of, make_session, make_task, make_user
from tests.pages import Page, open_page, send, signed_in
from tests.problems import stored
from users import services as accounts
from users.audit import Action
from users.models import User

pytestmark = pytest.mark.thorough

LIST = "/admin/tasks/task/"
Typed = dict[str, str | list[str]]


@pytest.fixture
def staff(carol: User) -> Client:
    return signed_in(carol)


def shown(staff: Client, query: str = "") -> list[str]:
    answer = staff.get(f"{LIST}?{query}")
    assert answer.status_code == 200
    return sorted(task.title for task in answer.context["cl"].result_list)


def row_of(page: Page, task: Task) -> str:
    """The prefix of this task's fields."""
    (name,) = [name for name, value in page.fields.items() if name.endswith("-id") and value == str(task.pk)]
    return name.removesuffix("-id")


def save(staff: Client, page: Page, **statuses: tuple[Task, str]) -> Page:
    typed = {f"{row_of(page, task)}-status": status for task, status in statuses.values()}
    return send(staff, LIST, {**page.fields, **typed, "_save": "Save"})


def act(staff: Client, action: str, *tasks: Task, query: str = "") -> Page:
    chosen: Typed = {"action": action, "_selected_action": [str(task.pk) for task in tasks], "index": "0"}
    return send(staff, f"{LIST}?{query}", chosen)


def test_a_status_changed_in_the_list_is_a_change_that_clients_see(staff: Client, alice: User, bob: User) -> None:
    task, other, third = make_task(alice), make_task(alice), make_task(bob)
    page = save(staff, open_page(staff, LIST), first=(task, "completed"), last=(third, "in_progress"))
    assert "2 tasks were changed successfully." in page.messages
    seen = Api(alice).get(f"/api/me/tasks/{task.pk}").json()
    assert (seen["status"], seen["completed"], seen["version"]) == ("completed", True, 3)
    assert [each.pk for each in changed_since(alice, Task, 2)] == [task.pk]
    assert (head_of(alice), head_of(bob), staff_changes()) == (3, 2, 2)
    other.refresh_from_db()
    assert other.version == 2


def test_saving_the_list_as_it_was_shown_writes_nothing(staff: Client, alice: User) -> None:
    tasks = [make_task(alice), make_task(alice, status="completed")]
    page = open_page(staff, LIST)
    services.update_task(alice, tasks[0].pk, {"status": "completed"})
    before = list(Task.objects.order_by("pk").values())
    assert send(staff, LIST, {**page.fields, "_save": "Save"}).errors == ""
    assert (list(Task.objects.order_by("pk").values()), head_of(alice)) == (before, 3)
    assert staff_changes() == 0


def test_a_status_that_a_client_has_changed_meanwhile_is_not_overwritten(staff: Client, alice: User) -> None:
    task, other = make_task(alice), make_task(alice)
    page = open_page(staff, LIST)
    services.update_task(alice, task.pk, {"status": "completed"})
    answer = save(staff, page, first=(task, "cancelled"), second=(other, "completed"))
    assert "Meanwhile it has become “Completed”; choose again." in answer.errors
    statuses = dict(Task.objects.values_list("pk", "status"))
    assert (statuses, head_of(alice)) == ({task.pk: "completed", other.pk: "pending"}, 3)


def test_another_change_made_meanwhile_stays(staff: Client, alice: User) -> None:
    task = make_task(alice)
    page = open_page(staff, LIST)
    services.update_task(alice, task.pk, {"title": "Meanwhile"})
    save(staff, page, first=(task, "in_progress"))
    task.refresh_from_db()
    assert (task.title, task.status, task.version) == ("Meanwhile", "in_progress", 3)


@pytest.mark.parametrize("whole_account", [True, False])
def test_a_list_with_a_task_that_is_gone_saves_nothing(
    staff: Client, alice: User, bob: User, whole_account: bool
) -> None:
    task, other = make_task(alice), make_task(bob)
    page = open_page(staff, LIST)
    if whole_account:
        accounts.delete_account(alice)
    else:
        services.delete_task(alice, task.pk)
    assert "Nothing was saved: No such task." in save(staff, page, first=(other, "completed")).messages
    other.refresh_from_db()
    assert (other.status, head_of(bob), staff_changes()) == ("pending", 1, 0)


@pytest.mark.parametrize(
    "sent",
    [{"form-TOTAL_FORMS": "x"}, {"form-TOTAL_FORMS": "2", "form-1-status": "completed"}, {"form-0-id": "abc"}],
)
def test_a_list_that_was_tampered_with_changes_nothing(staff: Client, alice: User, sent: Typed) -> None:
    task = make_task(alice)
    page = open_page(staff, LIST)
    fields = {**page.fields, "form-0-status": "completed", "_save": "Save", **sent}
    assert staff.post(LIST, fields).status_code in (200, 302, 400)
    task.refresh_from_db()
    assert (task.status, head_of(alice)) == ("pending", 1)


def test_a_bad_status_in_the_list_is_an_error_of_its_row(staff: Client, alice: User) -> None:
    task = make_task(alice)
    assert "not one of the available choices" in save(staff, open_page(staff, LIST), first=(task, "done")).errors
    assert head_of(alice) == 1


def test_complete_and_reopen_take_numbers_only_where_they_change(staff: Client, alice: User, bob: User) -> None:
    done, begun = make_task(alice, status="completed"), make_task(alice, status="in_progress")
    third = make_task(bob)
    assert "Completed: 2 tasks." in act(staff, "complete", done, begun, third).messages
    assert (head_of(alice), head_of(bob)) == (3, 2)
    assert Task.objects.completed().count() == 3
    services.update_task(alice, begun.pk, {"status": "in_progress"})
    assert "Reopened: 2 tasks." in act(staff, "reopen", done, begun, third).messages
    assert (head_of(alice), head_of(bob)) == (5, 3)
    ran = [event.details["ran"] for event in events(action=Action.STAFF_RAN)]
    assert ran == ["complete"] * 2 + ["reopen"] * 2  # what was so already was not touched
    assert sorted(Task.objects.values_list("status", flat=True)) == ["in_progress", "pending", "pending"]


def test_only_tombstones_of_the_own_are_restored(alice: User, bob: User) -> None:
    task = make_task(alice)
    with pytest.raises(services.TaskNotFound):
        services.restore_task(alice, task.pk)
    services.delete_task(alice, task.pk)
    with pytest.raises(services.TaskNotFound):
        services.restore_task(bob, task.pk)
    assert (head_of(alice), head_of(bob)) == (2, 0)


def test_tombstones_are_not_completed(staff: Client, alice: User) -> None:
    task = make_task(alice)
    services.delete_task(alice, task.pk)
    act(staff, "complete", task, query="deleted=yes")
    assert head_of(alice) == 2


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("tag=home", ["Both", "Home"]),
        ("tag=+home+", ["Both", "Home"]),
        ("tag=hom", []),
        ("tag=", ["Both", "Home", "Neither"]),
        ("tag=%00", []),
        ("tag=" + "x" * 51, []),
        ("tag=home&q=both", ["Both"]),
        ("overdue=yes", ["Both", "Home"]),
        ("overdue=no", ["Neither"]),
        ("overdue=maybe", ["Both", "Home", "Neither"]),
        ("deleted=yes&tag=home", ["Gone"]),
        ("created_at__year=1999", []),
    ],
)
def test_filters(staff: Client, alice: User, query: str, found: list[str]) -> None:
    yesterday = timezone.now() - dt.timedelta(days=1)
    make_task(alice, title="Home", tags=["home"], due_date=yesterday.date())
    make_task(alice, title="Both", tags=["work", "home"], due_at=yesterday)
    make_task(alice, title="Neither", due_date=yesterday.date(), status="completed")
    services.delete_task(alice, make_task(alice, title="Gone", tags=["home"]).pk)
    assert shown(staff, query) == found


def test_the_list_can_be_of_one_user(staff: Client, alice: User, bob: User) -> None:
    make_task(alice, title="Hers")
    make_task(bob, title="His")
    assert shown(staff, f"user__id__exact={alice.pk}") == ["Hers"]


def test_tags_are_filtered_by_those_who_may_read_them(alice: User) -> None:
    make_task(alice, title="Secret", tags=["secret"])
    member = make_user(is_staff=True)
    member.user_permissions.add(Permission.objects.get(codename="view_task"))
    answer = signed_in(member).get(f"{LIST}?tag=secret")
    assert (answer.status_code, answer["Location"]) == (302, f"{LIST}?e=1")
    assert b'name="tag"' not in signed_in(member).get(LIST).content


def test_staff_who_may_only_look_change_nothing_in_the_list(alice: User) -> None:
    task = make_task(alice)
    viewer = make_user(is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_task"))
    client = signed_in(viewer)
    page = client.get(LIST)
    assert (page.context["cl"].formset, page.context["action_form"]) == (None, None)
    rows: Typed = {"form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1", "form-0-id": str(task.pk), "_save": "Save"}
    assert client.post(LIST, {**rows, "form-0-status": "completed"}).status_code == 403
    act(client, "complete", task)
    assert head_of(alice) == 1


# --- Actions on many ----------------------------------------------------------------------------------

HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')


def post(staff: Client, path: str, fields: list[tuple[str, str]]) -> Any:
    """As browsers send a form, all of whose fields count."""
    return staff.post(path, urlencode(fields), content_type="application/x-www-form-urlencoded")


def test_all_tasks_of_a_long_list_are_deleted_at_once(staff: Client, alice: User, bob: User) -> None:
    """More of them than Django takes fields of a form; the page between names a few."""
    kept = make_task(bob)
    like = Task(title="Task", user=alice)
    like.apply({"title": "Task"}, alice, timezone.now())
    bulk.create_rows([bulk.NewRow(alice.pk, like, timezone.now())] * 1_100)
    across = [("action", "delete_selected"), ("_selected_action", "1"), ("select_across", "1"), ("index", "0")]
    page = post(staff, f"{LIST}?user__id__exact={alice.pk}", across).content.decode()
    assert ("Tasks: 1100" in page, "and 1,000 more" in page, len(page) < 250_000) == (True, True, True)
    later = make_task(alice)  # nobody has confirmed that this one goes
    answer = post(staff, LIST, HIDDEN.findall(page))
    assert (answer.status_code, answer["Location"]) == (302, LIST)
    assert "Successfully deleted 1100 tasks" in open_page(staff, LIST).messages
    assert set(Task.objects.visible().values_list("pk", flat=True)) == {kept.pk, later.pk}
    assert (head_of(alice), len(events(action=Action.STAFF_DELETED))) == (2_201, 1_100)
    [shown] = [event for event in events(action=Action.STAFF_READ) if event.details["page"] == "deletion"]
    assert len(shown.details["tasks"]) == 100


def test_whoever_confirms_the_largest_action_sends_no_field_too_many(settings: Settings) -> None:
    assert settings.DATA_UPLOAD_MAX_NUMBER_FIELDS > settings.ADMIN_ACTION_ROWS + 100
    longest = f"_selected_action={uuid.uuid4()}&"
    assert len(longest) * settings.ADMIN_ACTION_ROWS < settings.DATA_UPLOAD_MAX_MEMORY_SIZE / 2


@pytest.mark.parametrize(
    ("path", "action"),
    [
        (LIST, "complete"),
        (f"{LIST}?deleted=yes", "restore"),
        (LIST, "delete_selected"),
        ("/admin/users/user/", "delete_selected"),
        ("/admin/users/user/", "deactivate"),
        ("/admin/users/session/", "delete_selected"),
        ("/admin/auth/group/", "delete_selected"),
    ],
)
@pytest.mark.parametrize("is_across", [True, False])
def test_more_than_an_action_takes_are_refused_before_anything_is_done(
    staff: Client, settings: Settings, path: str, action: str, is_across: bool
) -> None:
    rows: list[Any] = []
    for n in range(4):
        rows.append(make_task(make_session(make_user()).user))
        Group.objects.create(name=f"Group {n}")
    for task in rows[:4] if "deleted" in path else []:
        services.delete_task(task.user, task.pk)
    settings.ADMIN_ACTION_ROWS = 3
    listed = staff.get(path).context["cl"].result_list
    chosen = [("_selected_action", str(row.pk)) for row in listed]
    before = stored()
    answer = post(staff, path, [*chosen, ("action", action), ("select_across", str(int(is_across))), ("index", "0")])
    assert (len(chosen) >= 4, answer.status_code) == (True, 302)
    assert "Nothing was done: an action takes at most 3 rows at once." in open_page(staff, path).messages
    assert stored() == before
    assert events(action=Action.STAFF_RAN) == events(action=Action.STAFF_DELETED) == []


@pytest.mark.parametrize("fields", [{"action": "complete"}, {"action": "delete_selected", "post": "yes"}])
def test_an_action_does_not_load_the_long_texts_of_all_that_it_is_for(
    staff: Client, alice: User, fields: dict[str, str]
) -> None:
    """Those of as many tasks as it takes have room for a gigabyte."""
    chosen = [("_selected_action", str(make_task(alice, description="long", tags=["a"]).pk)) for _ in range(2)]
    with CaptureQueriesContext(connection) as captured:
        assert post(staff, LIST, [*chosen, *fields.items()]).status_code == 302
    read = [
        query["sql"] for query in captured if re.match(r'SELECT "tasks_task"."id".*JOIN "users_user"', query["sql"])
    ]
    assert read
    assert [sql for sql in read if re.search(r'"(description|tags|search_text|tag_keys)"', sql)] == []
    assert {task.deleted_at is not None or task.is_completed for task in Task.objects.all()} == {True}
