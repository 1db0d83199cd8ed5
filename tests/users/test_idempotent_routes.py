"""Every route that takes an Idempotency-Key, and what it does when it is sent twice."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from django.conf import settings

from tasks.models import Task
from tasks.projects import services as projects
from tasks.projects.models import Project
from tasks.services import delete_task, update_task
from tests.client import Api
from tests.factories import PASSWORD, make_session, make_task, make_token, make_webhook
from tests.problems import problem_of, stored
from tests.resources.declared import make, provide, required
from tests.users.test_idempotency import TASK, is_replayed
from users.models import PersonalToken, User
from users.resources.resource import Resource, registered
from users.tokens import mailed

pytestmark = pytest.mark.thorough

# A ticket is used once, whoever got it: a second one does no harm.
# With the account, all of its keys are deleted.
WITHOUT_KEY = {"createStreamTicket", "deleteMe"}
SHOWN_ONCE = {
    "createToken": "token",
    "createWebhook": "secret",
    "rotateWebhookSecret": "secret",
}  # what it has made: the second answer has null


def idempotent_operations() -> list[str]:
    document = yaml.safe_load((settings.BASE_DIR / "docs/openapi.yaml").read_text())
    return sorted(
        operation["operationId"]
        for methods in document["paths"].values()
        for method, operation in methods.items()
        if any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", []))
    )


def deleted(task: Task) -> int:
    delete_task(task.user, task.pk)
    return task.pk


def tagged(task: Task) -> str:
    update_task(task.user, task.pk, {"tags": ["old"]})
    return "old"


def project(user: User | None = None, *, is_deleted: bool = False) -> Project:
    owner = user or User.objects.get()
    made = projects.create_project(owner, name="Home")
    return projects.delete_project(owner, made.pk) if is_deleted else made


def token() -> PersonalToken:
    make_token(User.objects.get(), "tasks:read")
    return PersonalToken.objects.get()


def webhook() -> str:
    return f"/api/me/webhooks/{make_webhook(User.objects.get()).pk}"


DAILY = {"recurrence": {"rule": "FREQ=DAILY"}}


def daily() -> Task:
    task = Task.objects.get()
    return update_task(task.user, task.pk, {"due_date": dt.date(2026, 12, 1), "recurrence": DAILY["recurrence"]})


def reminded() -> Task:
    task = Task.objects.get()
    return update_task(task.user, task.pk, {"reminders": [{"uid": "a", "minutes_before": 30}]})


ROUTES: dict[str, Callable[[Api], tuple[str, str, Any]]] = {
    "createWebhook": lambda api: ("post", "/api/me/webhooks", {"url": "https://1.1.1.1/hook"}),
    "updateWebhook": lambda api: ("patch", webhook(), {"active": False}),
    "deleteWebhook": lambda api: ("delete", webhook(), None),
    "testWebhook": lambda api: ("post", f"{webhook()}/test", None),
    "rotateWebhookSecret": lambda api: ("post", f"{webhook()}/rotate-secret", None),
    "replayWebhook": lambda api: ("post", f"{webhook()}/replay", {"version": 0}),
    "createProject": lambda api: ("post", "/api/me/projects", {"name": "Home"}),
    "updateProject": lambda api: ("patch", f"/api/me/projects/{project().pk}", {"name": "New"}),
    "putProject": lambda api: ("put", f"/api/me/projects/{project().pk}", {"name": "New"}),
    "deleteProject": lambda api: ("delete", f"/api/me/projects/{project().pk}", None),
    "moveProject": lambda api: ("post", f"/api/me/projects/{project().pk}/move", {"before_id": project().pk}),
    "putProjectByUid": lambda api: ("put", "/api/me/projects/by-uid/new", {"name": "Home"}),
    "updateProjectByUid": lambda api: ("patch", f"/api/me/projects/by-uid/{project().uid}", {"name": "New"}),
    "deleteProjectByUid": lambda api: ("delete", f"/api/me/projects/by-uid/{project().uid}", None),
    "restoreProject": lambda api: ("post", f"/api/me/projects/{project(is_deleted=True).pk}/restore", None),
    "eraseProject": lambda api: ("delete", f"/api/me/trash/project/{project(is_deleted=True).pk}", None),
    "moveTask": lambda api: ("post", f"/api/me/tasks/{Task.objects.get().pk}/move", {"project_id": project().pk}),
    "renameTag": lambda api: ("post", "/api/me/tags/rename", {"from": tagged(Task.objects.get()), "to": "new"}),
    "deleteTag": lambda api: ("delete", f"/api/me/tags/{tagged(Task.objects.get())}", None),
    "batch": lambda api: ("post", "/api/me/batch", {"operations": [{"op": "create", "type": "task", "body": TASK}]}),
    "pushTasks": lambda api: ("post", "/api/me/sync/tasks/0/push", [{"newDocumentState": {"uid": "new", **TASK}}]),
    "pushProjects": lambda api: (
        "post", "/api/me/sync/projects/0/push", [{"newDocumentState": {"uid": "new", "name": "Home"}}],
    ),
    "importTasks": lambda api: (
        "post", "/api/me/imports", {"format": "tickbase", "version": 1, "projects": [], "tasks": []},
    ),
    "createTask": lambda api: ("post", "/api/me/tasks", TASK),
    "updateTask": lambda api: ("patch", f"/api/me/tasks/{Task.objects.get().pk}", {"title": "New"}),
    "completeTask": lambda api: ("patch", f"/api/me/tasks/{Task.objects.get().pk}/complete", None),
    "skipTask": lambda api: ("post", f"/api/me/tasks/{daily().pk}/skip", None),
    "snoozeReminder": lambda api: ("post", f"/api/me/tasks/{reminded().pk}/reminders/a/snooze", {"minutes": 5}),
    "previewRecurrence": lambda api: ("post", "/api/me/recurrence/preview", {"due_date": "2026-12-01", **DAILY}),
    "putTask": lambda api: ("put", f"/api/me/tasks/{Task.objects.get().pk}", {"title": "New"}),
    "deleteTask": lambda api: ("delete", f"/api/me/tasks/{Task.objects.get().pk}", None),
    "putTaskByUid": lambda api: ("put", "/api/me/tasks/by-uid/new", TASK),
    "updateTaskByUid": lambda api: ("patch", f"/api/me/tasks/by-uid/{Task.objects.get().uid}", {"title": "New"}),
    "deleteTaskByUid": lambda api: ("delete", f"/api/me/tasks/by-uid/{Task.objects.get().uid}", None),
    "restoreTask": lambda api: ("post", f"/api/me/tasks/{deleted(Task.objects.get())}/restore", None),
    "eraseTask": lambda api: ("delete", f"/api/me/trash/task/{deleted(Task.objects.get())}", None),
    "emptyTrash": lambda api: ("delete", "/api/me/trash", None),
    "undo": lambda api: ("post", "/api/me/undo", {"operation": 1}),
    "updateMe": lambda api: ("patch", "/api/users/me", {"name": "New"}),
    "changePassword": lambda api: (
        "post", "/api/users/me/password", {"current_password": PASSWORD, "new_password": "staple the battery"},
    ),
    "createToken": lambda api: ("post", "/api/users/me/tokens", {"name": "New", "scopes": ["tasks:read"]}),
    "updateToken": lambda api: ("patch", f"/api/users/me/tokens/{token().pk}", {"name": "New"}),
    "changeEmail": lambda api: ("post", "/api/users/me/email", {"email": "new@example.com", "password": PASSWORD}),
    "endSession": lambda api: ("delete", f"/api/users/me/sessions/{make_session(User.objects.get()).pk}", None),
    "endOtherSessions": lambda api: ("delete", "/api/users/me/sessions", None),
    "revokeToken": lambda api: ("delete", f"/api/users/me/tokens/{token().pk}", None),
    "sendVerification": lambda api: ("post", "/api/users/me/verification", None),
    "register": lambda api: ("post", "/api/auth/register", {"email": "new@example.com", "password": PASSWORD}),
    "login": lambda api: ("post", "/api/auth/login", {"email": User.objects.get().email, "password": PASSWORD}),
    "refreshTokens": lambda api: ("post", "/api/auth/refresh", {"refresh": api.tokens.refresh}),
    "logout": lambda api: ("post", "/api/auth/logout", {"refresh": api.tokens.refresh}),
    "forgotPassword": lambda api: ("post", "/api/auth/forgot-password", {"email": User.objects.get().email}),
    "resetPassword": lambda api: (
        "post",
        "/api/auth/reset-password",
        {"token": mailed.PASSWORD_RESET.make(User.objects.get()), "password": "staple the battery"},
    ),
    "verifyEmail": lambda api: (
        "post", "/api/auth/verify-email", {"token": mailed.EMAIL_VERIFICATION.make(User.objects.get())},
    ),
}  # fmt: skip


def routes_of(resource: Resource) -> dict[str, Callable[[Api], tuple[str, str, Any]]]:
    """Those that every resource has."""

    def row(*, is_deleted: bool = False) -> Any:
        user = User.objects.get()
        provide(resource.model, user)
        made = make(resource, user)
        return resource.delete(user, made.pk) if is_deleted else made

    def new() -> dict[str, Any]:
        provide(resource.model, User.objects.get())
        return required(resource)

    title, at = resource.title, f"/api/me/{resource.plural}"
    changed = {resource.text[0]: "New"}
    return {
        f"create{title}": lambda api: ("post", at, new()),
        f"update{title}": lambda api: ("patch", f"{at}/{row().pk}", changed),
        f"put{title}": lambda api: ("put", f"{at}/{row().pk}", changed),
        f"delete{title}": lambda api: ("delete", f"{at}/{row().pk}", None),
        f"restore{title}": lambda api: ("post", f"{at}/{row(is_deleted=True).pk}/restore", None),
        f"erase{title}": lambda api: ("delete", f"/api/me/trash/{resource.name}/{row(is_deleted=True).pk}", None),
        f"put{title}ByUid": lambda api: ("put", f"{at}/by-uid/new", new()),
        f"update{title}ByUid": lambda api: ("patch", f"{at}/by-uid/{row().uid}", changed),
        f"delete{title}ByUid": lambda api: ("delete", f"{at}/by-uid/{row().uid}", None),
        f"push{resource.titles}": lambda api: (
            "post", f"/api/me/sync/{resource.plural}/0/push", [{"newDocumentState": {"uid": "new", **new()}}],
        ),
    }  # fmt: skip


for other in registered():
    if other.name not in ("task", "project"):
        ROUTES |= routes_of(other)


def test_every_write_takes_a_key() -> None:
    document = yaml.safe_load((settings.BASE_DIR / "docs/openapi.yaml").read_text())
    written = [
        operation["operationId"]
        for methods in document["paths"].values()
        for method, operation in methods.items()
        if method in {"post", "patch", "put", "delete"}
    ]
    assert sorted({*written} - WITHOUT_KEY) == idempotent_operations() == sorted(ROUTES)


@pytest.mark.parametrize("operation", ROUTES)
def test_each_of_them_takes_effect_once_and_answers_alike(as_alice: Api, alice: User, operation: str) -> None:
    make_task(alice)
    method, path, body = ROUTES[operation](as_alice)
    send = getattr(as_alice, method)
    first = send(path, body, idempotency_key="k1")
    after = stored()
    second = send(path, body, idempotency_key="k1")
    assert (first.status_code < 300, is_replayed(first), is_replayed(second)) == (True, False, True)
    assert second.status_code == first.status_code
    if operation in SHOWN_ONCE:
        assert second.json() == first.json() | {SHOWN_ONCE[operation]: None} != first.json()
    else:
        assert second.content == first.content
    assert stored() == after


@pytest.mark.parametrize("operation", ROUTES)
def test_each_of_them_refuses_another_body(as_alice: Api, alice: User, operation: str) -> None:
    make_task(alice)
    method, path, body = ROUTES[operation](as_alice)
    getattr(as_alice, method)(path, body, idempotency_key="k1")
    after = stored()
    problem_of(getattr(as_alice, method)(path, {"another": "body"}, idempotency_key="k1"), 422)
    assert stored() == after
