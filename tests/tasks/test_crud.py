"""What a task is made of, what a change leaves, and the route that only tasks have."""

from tests.client import Api
from tests.factories import make_task
from users.models import User

MEMBERS = [
    "id", "uid", "user_id", "title", "description", "status", "completed", "priority", "tags",
    "due_date", "due_at", "completed_at", "project_id", "parent_id", "position", "recurrence",
    "completions", "last_completed_at", "reminders", "extra",
    "created_at", "updated_at", "version",
]  # fmt: skip


def test_a_task_has_these_members(as_alice: Api) -> None:
    answer = as_alice.post("/api/me/tasks", {"title": "  Call the dentist  "})
    assert (answer.status_code, list(answer.json()), answer.json()["title"]) == (201, MEMBERS, "Call the dentist")


def test_defaults_of_a_new_task(as_alice: Api, alice: User) -> None:
    body = as_alice.post("/api/me/tasks", {"title": "A"}).json()
    assert body["user_id"] == str(alice.pk)
    assert (body["description"], body["status"], body["priority"], body["tags"]) == ("", "pending", "medium", [])
    assert (body["completed"], body["completed_at"]) == (False, None)
    assert (body["due_date"], body["due_at"]) == (None, None)
    assert body["created_at"] == body["updated_at"]


def test_put_leaves_an_absent_title_untouched(as_alice: Api, alice: User) -> None:
    task = make_task(alice, title="Old")
    answer = as_alice.put(f"/api/me/tasks/{task.pk}", {"priority": "low"})
    task.refresh_from_db()
    assert (answer.status_code, answer.json()["title"]) == (200, "Old")
    assert (task.title, task.priority, task.version) == ("Old", "low", 2)


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


def test_the_answer_can_be_put_back_as_it_is(as_alice: Api, alice: User) -> None:
    task = make_task(alice, status="in_progress", tags=["a"], due_date=None)
    shown = as_alice.get(f"/api/me/tasks/{task.pk}").json()
    answer = as_alice.put(f"/api/me/tasks/{task.pk}", shown)
    assert (answer.status_code, answer.json()) == (200, shown)
