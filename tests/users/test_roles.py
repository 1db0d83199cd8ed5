"""Roles: who may open which page of the admin, and do what there; and who reads the text of tasks."""

from importlib import import_module
from typing import Any, NamedTuple

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.test import Client

from config.errors import InvalidToken
from tasks.models import Task
from tasks.projects.services import create_project
from tests.audited import events, only
from tests.factories import head_of, make_session, make_task, make_tokens, make_user
from tests.pages import open_page, send, signed_in, submit
from users.audit import Action
from users.models import Session, User
from users.resources.resource import Resource, registered
from users.tokens import own

NEW_PASSWORD = "another good passphrase"
SECRETS = ("Biopsy", "oncology", "health-tag")
# What other migrations give to those who have these.
ALONG = {
    "users.view_session": ["mail.view_mail", "webhooks.view_endpoint", "webhooks.view_delivery"],
    "users.delete_session": ["mail.change_mail", "webhooks.change_endpoint"],
    "tasks.view_task_text": ["webhooks.view_endpoint_url"],
}
OTHERS = [each for each in registered() if each.name != "task"]


def of(resource: Resource, permission: str) -> str:
    """The permission that is to a resource what this one is to tasks."""
    name = resource.name if permission.endswith("_text") else str(resource.model._meta.model_name)
    return permission.replace("tasks.", f"{resource.model._meta.app_label}.").replace("_task", f"_{name}")


ROLES_MADE = {
    name: [
        *held,
        *(of(other, each) for other in OTHERS for each in held if each.startswith("tasks.")),
        "transfer.view_import",
        "reminders.view_reminder",
        *(each.replace("session", "personaltoken") for each in held if each.endswith("_session")),
        *(given for each in held for given in ALONG.get(each, ())),
        *("users.support_user", "users.view_accountnote", "users.add_accountnote"),
        *(["users.delete_accountnote"] if "users.delete_user" in held else []),
    ]
    for name, held in import_module("tasks.migrations.0005_roles").ROLES.items()
}
ROLES = ("user", "staff", "support", "operators", "superuser")


def in_role(role: str) -> User:
    user = make_user(role, is_staff=role != "user", is_superuser=role == "superuser")
    if role in ("support", "operators"):
        import_module("tasks.migrations.0005_roles").make_roles(apps, None)  # a flush has taken the groups away
        for other in OTHERS:
            package = other.model.__module__.removesuffix(".models")
            import_module(f"{package}.migrations.0002_roles").extend_roles(apps, None)
        import_module("users.migrations.0018_token_roles").extend_roles(apps, None)
        import_module("users.migrations.0021_support_roles").extend_roles(apps, None)
        for app in ("tasks.transfer", "tasks.reminders", "users.mail", "users.webhooks"):
            import_module(f"{app}.migrations.0002_roles").extend_roles(apps, None)
        user.groups.add(Group.objects.get(name=role))
    return user


@pytest.fixture
def task(alice: User) -> Task:
    return make_task(alice, title=SECRETS[0], description=f"At the {SECRETS[1]}", tags=[SECRETS[2]])


@pytest.fixture
def support(db: None) -> Client:
    return signed_in(in_role("support"))


# --- Who may do what --------------------------------------------------------------------------------


class Place(NamedTuple):
    """A request, and what each of ROLES is answered: 302 leads to the sign-in, 200 is a page, "done" a deed."""

    path: str
    form: dict[str, str] | None
    answers: tuple[int | str, ...]


DELETE = {"post": "yes"}
PASSWORDS = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
NOBODY = (302, 403, 403, 403)
MATRIX = {
    "index": Place("", None, (302, 200, 200, 200, 200)),
    "users": Place("users/user/", None, (302, 403, 200, 200, 200)),
    "user": Place("users/user/{alice}/change/", None, (302, 403, 200, 200, 200)),
    "users history": Place("users/user/{alice}/history/", None, (302, 403, 200, 200, 200)),
    "add a user": Place(
        "users/user/add/", {"email": "n@example.com", "timezone": "UTC", **PASSWORDS}, (302, 403, 403, "done", "done")
    ),
    "change a user": Place("users/user/{alice}/change/", {}, (302, 403, 403, 200, 200)),
    "set a password": Place("users/user/{alice}/password/", PASSWORDS, (302, 403, 403, "done", "done")),
    "delete a user": Place("users/user/{alice}/delete/", DELETE, (302, 403, 403, "done", "done")),
    "change a superuser": Place("users/user/{root}/change/", {}, (*NOBODY, 200)),
    "set a superuser's password": Place("users/user/{root}/password/", PASSWORDS, (*NOBODY, "done")),
    "delete a superuser": Place("users/user/{root}/delete/", DELETE, (*NOBODY, "done")),
    "support a user": Place("users/user/{alice}/support/confirm/", {}, (302, 403, "done", "done", "done")),
    "support a superuser": Place("users/user/{root}/support/confirm/", {}, (*NOBODY, "done")),
    "add a note": Place("users/user/{alice}/notes/", {"text": "Called."}, (302, 403, "done", "done", "done")),
    "delete a note": Place("users/user/{alice}/notes/1/delete/", {}, (302, 403, 403, "done", "done")),
    "ask for an export": Place("users/user/{alice}/export/", None, (302, 403, 403, 200, 200)),
    "invite": Place("users/user/invite/", None, (302, 403, 200, 200, 200)),
    "sessions": Place("users/session/", None, (302, 403, 200, 200, 200)),
    "session": Place("users/session/{session}/change/", None, (302, 403, 200, 200, 200)),
    "add a session": Place("users/session/add/", {}, (302, 403, 403, 403, 403)),
    "change a session": Place("users/session/{session}/change/", {}, (302, 403, 403, 403, 403)),
    "end a session": Place("users/session/{session}/delete/", DELETE, (302, 403, "done", "done", "done")),
    "tasks": Place("tasks/task/", None, (302, 403, 200, 200, 200)),
    "task": Place("tasks/task/{task}/change/", None, (302, 403, 200, 200, 200)),
    "task's history": Place("tasks/task/{task}/history/", None, (302, 403, 200, 200, 200)),
    "add a task": Place("tasks/task/add/", {}, (302, 403, 403, 200, 200)),
    "change a task": Place("tasks/task/{task}/change/", {}, (302, 403, 403, 200, 200)),
    "delete a task": Place("tasks/task/{task}/delete/", DELETE, (302, 403, 403, "done", "done")),
    "projects": Place("projects/project/", None, (302, 403, 200, 200, 200)),
    "project": Place("projects/project/{project}/change/", None, (302, 403, 200, 200, 200)),
    "project's history": Place("projects/project/{project}/history/", None, (302, 403, 200, 200, 200)),
    "add a project": Place("projects/project/add/", {}, (302, 403, 403, 200, 200)),
    "change a project": Place("projects/project/{project}/change/", {}, (302, 403, 403, 200, 200)),
    "delete a project": Place("projects/project/{project}/delete/", DELETE, (302, 403, 403, "done", "done")),
    "audit": Place("users/auditevent/", None, (302, 403, 403, 200, 200)),
    "groups": Place("auth/group/", None, (*NOBODY, 200)),
    "add a group": Place("auth/group/add/", {"name": "Rulers"}, (*NOBODY, "done")),
    "own password": Place("password_change/", None, (302, 200, 200, 200, 200)),
}


@pytest.mark.thorough
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("place", MATRIX.values(), ids=MATRIX)
def test_each_role_is_answered_as_the_matrix_says(alice: User, task: Task, place: Place, role: str) -> None:
    caller, root = in_role(role), make_user("root", is_staff=True, is_superuser=True)
    objects = {"alice": alice.pk, "root": root.pk, "session": make_session(alice).pk, "task": task.pk}
    objects["project"] = create_project(alice, name="Home").pk
    client, path = signed_in(caller), "/admin/" + place.path.format(**objects)
    answer = client.get(path) if place.form is None else client.post(path, place.form)
    leads_to_sign_in = answer.status_code == 302 and answer["Location"].startswith("/admin/login/")
    found = "done" if answer.status_code == 302 and not leads_to_sign_in else answer.status_code
    assert found == place.answers[ROLES.index(role)]


def test_the_migration_makes_the_roles(db: None) -> None:
    in_role("support"), in_role("operators")
    held = {
        group.name: {
            f"{permission.content_type.app_label}.{permission.codename}" for permission in group.permissions.all()
        }
        for group in Group.objects.prefetch_related("permissions__content_type")
    }
    # What they may do with tasks, they may do with projects and what else there is.
    assert held == {name: {*permissions} for name, permissions in ROLES_MADE.items()}
    assert "tasks.view_task_text" not in held["support"]
    for permissions in held.values():
        assert not any(permission.startswith("auth.") or "totp" in permission for permission in permissions)


@pytest.mark.thorough
def test_a_group_of_that_name_that_is_there_already_stays_as_it_is(transactional_db: None) -> None:
    call_command("migrate", "tasks", "0003", verbosity=0)
    Group.objects.all().delete()
    group = Group.objects.create(name="support")
    call_command("migrate", verbosity=0)
    assert list(group.permissions.all()) == []
    assert Group.objects.get(name="operators").permissions.count() == len(ROLES_MADE["operators"])


@pytest.mark.thorough
def test_who_had_a_role_before_there_were_projects_has_it_for_projects(transactional_db: None) -> None:
    call_command("migrate", "tasks", "0019", verbosity=0)
    call_command("migrate", "projects", "zero", verbosity=0)
    Permission.objects.filter(content_type__app_label="projects").delete()
    Group.objects.all().delete()
    import_module("tasks.migrations.0005_roles").make_roles(apps, None)
    readers, others = Group.objects.create(name="readers"), Group.objects.create(name="others")
    readers.permissions.set(Permission.objects.filter(codename__in=["view_task", "view_task_text"]))
    others.permissions.set(Permission.objects.filter(codename="view_user"))
    call_command("migrate", verbosity=0)
    held = {
        group.name: {*group.permissions.filter(content_type__app_label="projects").values_list("codename", flat=True)}
        for group in Group.objects.all()
    }
    every = {f"{may}_project" for may in ("add", "change", "delete", "view")} | {"view_project_text"}
    assert held == {
        "support": {"view_project"},
        "operators": every,
        "readers": {"view_project", "view_project_text"},
        "others": set(),
    }


def test_support_ends_sessions_and_their_tokens(alice: User, support: Client) -> None:
    pair, kept = make_tokens(alice), make_session(make_user())
    session = Session.objects.get(user=alice)
    form = {"action": "delete_selected", "_selected_action": str(session.pk), "post": "yes"}
    assert "Successfully deleted 1 session." in send(support, "/admin/users/session/", dict(form)).messages
    with pytest.raises(InvalidToken):
        own.authenticate(pair.access)
    assert list(Session.objects.all()) == [kept]
    event = only(Action.SESSION_ENDED)
    assert (event.actor_email.startswith("support"), event.subject_id) == (True, alice.pk)


def test_support_ends_no_session_of_those_above(carol: User, support: Client) -> None:
    session = make_session(carol)
    for path, form in (
        ("/admin/users/session/", {"action": "delete_selected", "_selected_action": str(session.pk), "post": "yes"}),
        (f"/admin/users/session/{session.pk}/delete/", {"post": "yes"}),
    ):
        assert support.post(path, form).status_code == 403
    assert "Delete" not in support.get(f"/admin/users/session/{session.pk}/change/").content.decode()
    assert list(Session.objects.all()) == [session]


def test_support_is_offered_no_action_upon_tasks_and_no_export(task: Task, support: Client) -> None:
    """It would hold the text."""
    for path, offered in (("/admin/users/user/", ["send_password_reset"]), ("/admin/tasks/task/", [])):
        form = support.get(path).context["action_form"]
        assert [name for name, _ in form.fields["action"].choices if name] == offered if form else offered == []


def test_operators_grant_no_privileges(alice: User) -> None:
    operator = in_role("operators")
    client = signed_in(operator)
    for user in (alice, operator):
        grants: dict[str, Any] = {"is_superuser": "on", "is_staff": "on", "user_permissions": ["1"], "groups": ["1"]}
        submit(client, f"/admin/users/user/{user.pk}/change/", name="Changed", **grants)
    alice.refresh_from_db()
    assert (alice.name, alice.is_staff, alice.is_superuser, alice.groups.count()) == ("Changed", False, False, 0)
    assert (User.objects.filter(is_superuser=True).count(), operator.groups.count()) == (0, 1)


# --- Who reads the text -----------------------------------------------------------------------------

PAGES = [
    "/admin/tasks/task/",
    "/admin/tasks/task/?o=1",
    "/admin/tasks/task/{task}/change/",
    "/admin/tasks/task/{task}/history/",
    "/admin/tasks/task/{task}/delete/",
    "/admin/users/user/{alice}/change/",
    "/admin/users/user/{alice}/history/",
    "/admin/",
]


def reader_of(*permissions: str) -> Client:
    """Of all that a role may be given but the text."""
    user = make_user(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return signed_in(user)


EVERYTHING_ELSE = ("view_task", "change_task", "delete_task", "add_task", "view_user", "change_user", "delete_user")


@pytest.mark.thorough
@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("permissions", [("view_task", "view_user"), EVERYTHING_ELSE])
def test_no_page_shows_text_to_whom_it_is_not_granted(
    task: Task, alice: User, path: str, permissions: tuple[str, ...]
) -> None:
    submit(signed_in(in_role("superuser")), f"/admin/tasks/task/{task.pk}/change/", priority="high")
    page = reader_of(*permissions).get(path.format(task=task.pk, alice=alice.pk), follow=True).content.decode()
    assert not any(secret in page for secret in SECRETS)


@pytest.mark.parametrize("path", PAGES[:3])
def test_the_pages_of_tasks_show_it_to_whom_it_is_granted(task: Task, path: str) -> None:
    granted = reader_of("view_task", "view_task_text")
    assert SECRETS[0] in granted.get(path.format(task=task.pk)).content.decode()
    assert events(action=Action.STAFF_READ) != []


def test_who_reads_no_text_is_not_said_to_have_read_it(task: Task, support: Client) -> None:
    for path in PAGES[:4]:
        support.get(path.format(task=task.pk))
    assert events() == []


GUESSES = [
    "q={}",
    "title__startswith={}",
    "title={}",
    "description__contains={}",
    "tags__contains={}",
    "search_text__contains={}",
    "tag_keys__contains={}",
    "title_key__gte={}",
    "user__tasks__title__startswith={}",
    "tag={}",
]


@pytest.mark.thorough
@pytest.mark.parametrize("guess", GUESSES)
@pytest.mark.parametrize("path", ["/admin/tasks/task/", "/admin/users/user/"])
def test_nobody_guesses_text_by_what_is_found(task: Task, alice: User, guess: str, path: str) -> None:
    client = reader_of("view_task", "view_user")
    prefix = "tasks__" if path.endswith("user/") and guess[0] not in "qu" else ""

    def found(word: str) -> tuple[int, str]:
        answer = client.get(f"{path}?{prefix}{guess.format(word)}", follow=True)
        changelist = (answer.context or {}).get("cl")
        return answer.status_code, str(changelist and changelist.result_count)

    assert found("biopsy") == found("nothing-such")
    assert found(SECRETS[0]) == found("Nothing such")
    assert found(SECRETS[2]) == found("no-such-tag")


def test_a_role_that_changes_tasks_without_their_text_leaves_it(task: Task, alice: User) -> None:
    client, path = reader_of("view_task", "change_task"), f"/admin/tasks/task/{task.pk}/change/"
    assert not {"title", "description", "tags"} & open_page(client, path).fields.keys()
    page = submit(client, path, status="completed", title="Overwritten", tags="none")
    task.refresh_from_db()
    assert (task.status, task.title, task.tags, head_of(alice)) == ("completed", SECRETS[0], [SECRETS[2]], 2)
    assert ("was changed successfully" in page.messages, SECRETS[0] in page.messages) == (True, False)


def test_a_role_that_deletes_tasks_without_their_text_sees_their_numbers(task: Task, alice: User) -> None:
    client = reader_of("view_task", "delete_task")
    form = {"action": "delete_selected", "_selected_action": str(task.pk)}
    asked = client.post("/admin/tasks/task/", form).content.decode()
    assert (f"Task {task.pk}" in asked, SECRETS[0] in asked) == (True, False)
    page = send(client, f"/admin/tasks/task/{task.pk}/delete/", {"post": "yes"})
    assert ("was deleted successfully" in page.messages, SECRETS[0] in page.messages) == (True, False)


def test_tasks_are_found_by_no_autocomplete(task: Task) -> None:
    query = {"app_label": "tasks", "model_name": "task", "field_name": "id", "term": SECRETS[0]}
    for client in (reader_of("view_task"), signed_in(in_role("superuser"))):
        assert client.get("/admin/autocomplete/", query).status_code == 403
