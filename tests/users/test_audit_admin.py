"""The audit in the admin: what staff does is written down there, and who may reads it."""

import json
import re
from typing import Any

import pytest
from django.utils import timezone

from tasks.admin import TaskAdmin
from tests.audited import events, only
from tests.client import Api
from tests.factories import PASSWORD, make_task
from tests.pages import send, signed_in, submit
from users import services
from users.audit import Action
from users.models import AuditEvent, User

pytestmark = pytest.mark.thorough

NEW_PASSWORD = "another good passphrase"
# --- What staff does --------------------------------------------------------------------------------


def test_a_change_of_an_account_tells_old_and_new_values(alice: User, carol: User) -> None:
    submit(signed_in(carol), f"/admin/users/user/{alice.pk}/change/", name="Alicia", is_active=[])
    deactivated, changed = events()
    assert (deactivated.action, deactivated.actor_id) == (Action.DEACTIVATED, carol.pk)
    assert (changed.action, changed.actor_email, changed.subject_id) == (Action.STAFF_CHANGED, carol.email, alice.pk)
    assert (changed.object_type, changed.object_id) == ("users.user", str(alice.pk))
    assert changed.details == {"fields": {"name": ["alice", "Alicia"], "is_active": [True, False]}}
    assert (changed.address, len(changed.request_id)) == ("127.0.0.1", 36)


def test_saving_what_was_shown_is_no_event(alice: User, carol: User) -> None:
    submit(signed_in(carol), f"/admin/users/user/{alice.pk}/change/")
    assert events() == []


def test_staff_opens_resets_and_deletes_an_account(alice: User, carol: User) -> None:
    client, typed = signed_in(carol), {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    submit(client, "/admin/users/user/add/", email="new@example.com", **typed)
    submit(client, f"/admin/users/user/{alice.pk}/password/", **typed)
    send(client, f"/admin/users/user/{alice.pk}/delete/", {"post": "yes"})
    assert [(event.action, event.actor_id, event.subject_email) for event in events()] == [
        (Action.REGISTERED, carol.pk, "new@example.com"),
        (Action.PASSWORD_SET, carol.pk, alice.email),
        (Action.DELETED, carol.pk, alice.email),
    ]
    text = str([vars(event) for event in events()])
    assert not any(secret in text for secret in (NEW_PASSWORD, "md5$", alice.password))


def test_a_change_of_a_group_is_an_event_of_no_account(carol: User) -> None:
    submit(signed_in(carol), "/admin/auth/group/add/", name="Helpers")
    event = only(Action.STAFF_ADDED)
    assert (event.object_type, event.subject_id, event.details["fields"]["name"]) == (
        "auth.group",
        None,
        [None, "Helpers"],
    )


def test_of_a_tasks_text_only_that_it_changed_is_written_down(alice: User, carol: User) -> None:
    task = make_task(alice, title="A secret")
    typed = {"title": "Another secret", "priority": "high"}
    submit(signed_in(carol), f"/admin/tasks/task/{task.pk}/change/", **typed)
    event = only(Action.STAFF_CHANGED)
    assert event.details == {"fields": {"title": None, "priority": ["medium", "high"]}}
    assert (event.subject_id, event.object_type, event.object_id) == (alice.pk, "tasks.task", str(task.pk))
    assert "secret" not in json.dumps([each.details for each in events()])


def test_adding_and_deleting_tasks_are_events_of_their_owners(alice: User, bob: User, carol: User) -> None:
    client, tasks = signed_in(carol), [make_task(alice), make_task(bob)]
    submit(client, "/admin/tasks/task/add/", user=str(alice.pk), title="New")
    chosen = [str(task.pk) for task in tasks]
    send(client, "/admin/tasks/task/", {"action": "delete_selected", "_selected_action": chosen, "post": "yes"})
    assert only(Action.STAFF_ADDED).subject_id == alice.pk
    deleted = events(action=Action.STAFF_DELETED)
    assert {(event.subject_id, event.object_id) for event in deleted} == {
        (task.user_id, str(task.pk)) for task in tasks
    }


def test_an_action_is_an_event_for_each_object(
    alice: User, bob: User, carol: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def touch(admin: Any, request: Any, queryset: Any) -> None:
        assert queryset.count() == 2

    monkeypatch.setattr(TaskAdmin, "actions", [touch])
    tasks = [make_task(alice), make_task(bob), make_task(bob)]
    chosen = [str(task.pk) for task in tasks[:2]]
    send(signed_in(carol), "/admin/tasks/task/", {"action": "touch", "_selected_action": chosen})
    ran = events(action=Action.STAFF_RAN)
    assert {(event.subject_id, event.object_id) for event in ran} == {
        (task.user_id, str(task.pk)) for task in tasks[:2]
    }
    assert ran[0].details == {"ran": "touch"}


def test_what_an_action_says_of_an_object_is_written_down(
    alice: User, carol: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def touch(admin: Any, request: Any, queryset: Any) -> None:
        admin.log_change(request, queryset.get(), "Touched.")

    monkeypatch.setattr(TaskAdmin, "actions", [touch])
    form: dict[str, Any] = {"action": "touch", "_selected_action": str(make_task(alice).pk)}
    send(signed_in(carol), "/admin/tasks/task/", form)
    assert only(Action.STAFF_CHANGED).details == {"said": "Touched."}


def test_reading_the_text_of_another_is_an_event(alice: User, carol: User) -> None:
    task, own, client = make_task(alice), make_task(carol), signed_in(carol)
    client.get(f"/admin/tasks/task/{own.pk}/change/")
    assert events() == []
    client.get(f"/admin/tasks/task/{task.pk}/change/")
    client.get(f"/admin/tasks/task/{task.pk}/delete/")
    assert [(event.subject_id, event.object_id, event.details) for event in events(action=Action.STAFF_READ)] == [
        (alice.pk, str(task.pk), {"page": "task"}),
        (alice.pk, str(task.pk), {"page": "deletion"}),
    ]


def test_a_page_of_the_list_is_one_event_of_whose_titles_it_shows(alice: User, bob: User, carol: User) -> None:
    tasks = [make_task(alice), make_task(bob), make_task(bob)]
    make_task(carol)
    signed_in(carol).get("/admin/tasks/task/")
    event = only(Action.STAFF_READ)
    assert event.details == {
        "page": "list",
        "tasks": [task.pk for task in reversed(tasks)],
        "users": [bob.pk, alice.pk],
        "owners": [bob.pk, bob.pk, alice.pk],
    }
    assert (event.subject_id, event.subject_email) == (None, f"{bob.email}\n{alice.email}")


def test_the_history_of_an_object_is_told_without_its_text(alice: User, carol: User) -> None:
    task, client = make_task(alice, title="A secret"), signed_in(carol)
    submit(client, f"/admin/tasks/task/{task.pk}/change/", title="Another secret")
    page = client.get(f"/admin/tasks/task/{task.pk}/history/").content.decode()
    assert ("Changed by staff: title" in page, carol.email in page) == (True, True)


# --- How it is read ---------------------------------------------------------------------------------

LIST = "/admin/users/auditevent/"


@pytest.fixture
def some(alice: User, bob: User, carol: User) -> list[AuditEvent]:
    """In their order: alice signs in, bob fails to, carol reads a task of bob's."""
    for user, password in [(alice, PASSWORD), (bob, "wrong")]:
        Api().post("/api/auth/login", {"email": user.email, "password": password})
    signed_in(carol).get(f"/admin/tasks/task/{make_task(bob).pk}/change/")
    return events()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [2, 1, 0]),
        ("q=alice", [0]),
        ("q=BOB", [2, 1]),
        ("q=tasks.task", [2]),
        ("q=127.0.0.1", [2, 1, 0]),
        ("q=nothing", []),
        ("action=account.sign_in_failed", [1]),
        ("actor=nobody", [1]),
        ("at__gte=2000-01-01+00:00:00%2B00:00", [2, 1, 0]),
        ("at__lt=2000-01-01+00:00:00%2B00:00", []),
    ],
)
def test_search_and_filters(some: list[AuditEvent], carol: User, query: str, found: list[int]) -> None:
    result = signed_in(carol).get(f"{LIST}?{query}").context["cl"].result_list
    assert list(result) == [some[number] for number in found]


def column(carol: User, name: str) -> list[str]:
    page = signed_in(carol).get(LIST).content.decode()
    return re.findall(rf'<td class="field-{name}[^>]*>\s*([^<]*?)\s*</td>', page)


def test_actions_are_shown_by_their_labels(some: list[AuditEvent], carol: User) -> None:
    assert column(carol, "action_label") == ["Text read by staff", "Sign-in failed", "Signed in"]
    client = signed_in(carol)
    offered = client.get(LIST).context["cl"].filter_specs[0].lookup_choices
    assert ("account.sign_in_failed", "Sign-in failed") in offered
    assert "Text read by staff" in client.get(f"{LIST}{some[2].pk}/change/").content.decode()


def test_an_action_of_another_version_is_shown_as_it_is(carol: User) -> None:
    AuditEvent.objects.create(at=timezone.now(), action="account.merged")
    assert column(carol, "action_label") == ["account.merged"]


@pytest.mark.parametrize(("count", "shown"), [(1, "{0}"), (2, "{1}, {0}"), (7, "{6}, {5}, {4}, {3}, {2} and 2 more")])
def test_a_reading_names_the_tasks_that_were_read(alice: User, carol: User, count: int, shown: str) -> None:
    tasks = [make_task(alice).pk for _ in range(count)]
    signed_in(carol).get("/admin/tasks/task/")
    assert column(carol, "object_name") == [f"tasks.task {shown.format(*tasks)}"]


def test_the_filter_by_actor_offers_the_staff(some: list[AuditEvent], carol: User) -> None:
    client = signed_in(carol)
    assert list(client.get(f"{LIST}?actor={carol.pk}").context["cl"].result_list) == [some[2]]
    assert carol.email in client.get(LIST).content.decode()


@pytest.mark.parametrize("query", ["actor=x", "actor=99999999999999999999", "action=x", "q=%00", "at__gte=x"])
def test_a_bad_filter_is_no_server_error(some: list[AuditEvent], carol: User, query: str) -> None:
    assert signed_in(carol).get(f"{LIST}?{query}").status_code in (200, 302)


def test_an_event_is_shown_whole_also_when_its_accounts_are_gone(alice: User, carol: User) -> None:
    submit(signed_in(carol), f"/admin/users/user/{alice.pk}/change/", name="<b>Alicia</b>")
    event = only(Action.STAFF_CHANGED)
    services.delete_account(alice)
    page = signed_in(carol).get(f"{LIST}{event.pk}/change/").content.decode()
    assert all(text in page for text in (alice.email, carol.email, event.request_id, "&lt;b&gt;Alicia&lt;/b&gt;"))


def test_no_page_changes_it(some: list[AuditEvent], carol: User) -> None:
    client = signed_in(carol)
    for path in (f"{LIST}add/", f"{LIST}{some[0].pk}/change/", f"{LIST}{some[0].pk}/delete/"):
        assert client.post(path, {"action": "x", "post": "yes"}).status_code == 403
    send(client, LIST, {"action": "delete_selected", "_selected_action": [str(some[0].pk)], "post": "yes"})
    assert events() == some
