"""The seven routes: the happy path, then what is not there."""

import re

from tasks.models import Task
from tests.client import Api, address_in
from tests.factories import make_task
from tests.problems import send
from users.models import User

MEMBERS = [
    "id", "uid", "user_id", "title", "description", "status", "completed", "priority", "tags",
    "due_date", "due_at", "completed_at", "created_at", "updated_at", "version",
]  # fmt: skip


def test_create_answers_the_whole_task_with_its_address_and_version(as_alice: Api, alice: User) -> None:
    answer = as_alice.post("/api/me/tasks", {"title": "  Call the dentist  "})
    body = answer.json()
    assert answer.status_code == 201
    assert list(body) == MEMBERS
    assert answer["Location"] == f"tasks/{body['id']}"
    assert as_alice.get(address_in(answer, "Location")).json() == body
    assert answer["ETag"] == '"1"'
    task = Task.objects.get()
    assert (task.pk, task.user, task.title, task.version) == (body["id"], alice, "Call the dentist", 1)


def test_defaults_of_a_new_task(as_alice: Api, alice: User) -> None:
    body = as_alice.post("/api/me/tasks", {"title": "A"}).json()
    assert body["user_id"] == str(alice.pk)
    assert (body["description"], body["status"], body["priority"], body["tags"]) == ("", "pending", "medium", [])
    assert (body["completed"], body["completed_at"]) == (False, None)
    assert (body["due_date"], body["due_at"]) == (None, None)
    assert body["created_at"] == body["updated_at"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", body["created_at"])
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", body["uid"])


def test_own_id_and_me_name_the_same_list(as_alice: Api, alice: User) -> None:
    task = make_task(alice)
    by_id = as_alice.get(f"/api/{alice.public_id}/tasks").json()
    assert [shown["id"] for shown in by_id] == [task.pk]
    assert as_alice.get("/api/me/tasks").json() == by_id


def test_get_answers_the_task_with_its_version(as_alice: Api, alice: User) -> None:
    task = make_task(alice, title="Read", tags=["books"])
    answer = as_alice.get(f"/api/me/tasks/{task.pk}")
    assert (answer.status_code, answer["ETag"]) == (200, '"1"')
    assert (answer.json()["title"], answer.json()["tags"]) == ("Read", ["books"])


def test_put_leaves_absent_members_untouched(as_alice: Api, alice: User) -> None:
    task = make_task(alice, description="keep me", priority="high")
    answer = as_alice.put(f"/api/me/tasks/{task.pk}", {"title": "New"})
    task.refresh_from_db()
    assert (answer.status_code, answer["ETag"]) == (200, '"2"')
    assert (task.title, task.description, task.priority, task.version) == ("New", "keep me", "high", 2)


def test_put_leaves_an_absent_title_untouched(as_alice: Api, alice: User) -> None:
    task = make_task(alice, title="Old")
    answer = as_alice.put(f"/api/me/tasks/{task.pk}", {"priority": "low"})
    task.refresh_from_db()
    assert (answer.status_code, answer.json()["title"]) == (200, "Old")
    assert (task.title, task.priority, task.version) == ("Old", "low", 2)


def test_a_put_of_nothing_changes_nothing(as_alice: Api, alice: User) -> None:
    task = make_task(alice)
    assert as_alice.put(f"/api/me/tasks/{task.pk}", {})["ETag"] == '"1"'
    assert send(as_alice, "PUT", f"/api/me/tasks/{task.pk}")["ETag"] == '"1"'


def test_the_answer_with_completed_turned_over_can_be_put_back(as_alice: Api, alice: User) -> None:
    task = make_task(alice, status="in_progress")
    shown = as_alice.get(f"/api/me/tasks/{task.pk}").json()
    done = as_alice.put(f"/api/me/tasks/{task.pk}", {**shown, "completed": True})
    assert (done.status_code, done.json()["status"], done.json()["completed"]) == (200, "completed", True)
    open_again = as_alice.put(f"/api/me/tasks/{task.pk}", {**done.json(), "completed": False})
    assert (open_again.status_code, open_again.json()["status"]) == (200, "pending")


def test_patch_changes_what_it_names(as_alice: Api, alice: User) -> None:
    task = make_task(alice, title="Old", description="keep me")
    answer = as_alice.patch(f"/api/me/tasks/{task.pk}", {"status": "in_progress"})
    task.refresh_from_db()
    assert (answer.status_code, answer.json()["status"]) == (200, "in_progress")
    assert (task.status, task.title, task.description) == ("in_progress", "Old", "keep me")


def test_patch_with_null_clears(as_alice: Api, alice: User) -> None:
    task = make_task(alice, description="x", priority="high", tags=["a"])
    cleared = {"description": None, "priority": None, "tags": None}
    body = as_alice.patch(f"/api/me/tasks/{task.pk}", cleared).json()
    task.refresh_from_db()
    assert (body["description"], body["priority"], body["tags"]) == ("", "medium", [])
    assert (task.description, task.priority, task.tags) == ("", "medium", [])


def test_delete_answers_204_and_then_404(as_alice: Api, alice: User) -> None:
    task = make_task(alice)
    assert as_alice.delete(f"/api/me/tasks/{task.pk}").status_code == 204
    assert as_alice.get(f"/api/me/tasks/{task.pk}").status_code == 404
    assert as_alice.delete(f"/api/me/tasks/{task.pk}").status_code == 404
    assert as_alice.get("/api/me/tasks").json() == []
    task.refresh_from_db()
    assert (task.deleted_at is not None, task.version) == (True, 2)


def test_complete_toggles(as_alice: Api, alice: User) -> None:
    task = make_task(alice)
    done = as_alice.client.patch(f"/api/me/tasks/{task.pk}/complete").json()
    assert (done["completed"], done["status"], done["completed_at"]) == (True, "completed", done["updated_at"])
    open_again = as_alice.client.patch(f"/api/me/tasks/{task.pk}/complete").json()
    task.refresh_from_db()
    assert (open_again["completed"], open_again["completed_at"]) == (False, None)
    assert (task.status, task.completed_at, task.version) == ("pending", None, 3)


def test_complete_with_a_body_sets_and_repeats_harmlessly(as_alice: Api, alice: User) -> None:
    task = make_task(alice)
    path = f"/api/me/tasks/{task.pk}/complete"
    first = as_alice.patch(path, {"completed": True}).json()
    assert as_alice.patch(path, {"completed": True}).json() == first
    task.refresh_from_db()
    assert (task.status, task.version) == ("completed", 2)


def test_a_change_to_what_is_stored_takes_no_number(as_alice: Api, alice: User) -> None:
    task = make_task(alice, title="Same", tags=["a"])
    answer = as_alice.patch(f"/api/me/tasks/{task.pk}", {"title": "Same", "tags": ["a"]})
    assert (answer.status_code, answer["ETag"]) == (200, '"1"')
    assert as_alice.get("/api/me/tasks")["ETag"] == '"1"'


def test_the_answer_can_be_put_back_as_it_is(as_alice: Api, alice: User) -> None:
    task = make_task(alice, status="in_progress", tags=["a"], due_date=None)
    shown = as_alice.get(f"/api/me/tasks/{task.pk}").json()
    answer = as_alice.put(f"/api/me/tasks/{task.pk}", shown)
    assert (answer.status_code, answer.json()) == (200, shown)


def test_options_answers_the_methods_and_nothing_else(as_alice: Api) -> None:
    answer = send(as_alice, "OPTIONS", "/api/me/tasks", b"")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer["Allow"] == "GET, POST, HEAD, OPTIONS"
