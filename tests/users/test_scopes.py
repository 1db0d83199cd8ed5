"""What each scope allows: every operation of the document, with a token of each scope alone, and with all."""

import time
from typing import Any

import pytest

from config.urls import urlpatterns
from tasks import services as tasks
from tasks.formats.drafts import Document
from tasks.transfer.services import import_document
from tests.callers import with_token
from tests.client import Api
from tests.factories import make_session, make_task, make_token, make_user, make_webhook
from tests.problems import problem_of, rolled_back, stored
from tests.resources import declared
from tests.test_isolation import CANARY, OPERATIONS, World, call
from users.api import scopes
from users.models import User
from users.resources.models import WhenDeleted
from users.resources.resource import Resource, registered
from users.tokens import personal

pytestmark = pytest.mark.thorough

SESSION = "a session"
# What each operation needs, in the words of who reviews it; with "or", one of them.
TABLE = """
getMe              | account:read
updateMe           | a session
deleteMe           | a session
exportMe           | account:read and every read
changePassword     | a session
changeEmail        | a session
sendVerification   | a session
listSessions       | account:read
endOtherSessions   | a session
endSession         | a session
listTokens         | account:read
createToken        | a session
updateToken        | a session
revokeToken        | a session
listTrash          | any read
emptyTrash         | any write
listHistory        | any read
undo               | any write
batch              | any write
listChanges        | any read
getStream          | any read
createStreamTicket | any read
getCounts          | projects:read tasks:read
listCompletions    | tasks:read
previewRecurrence  | tasks:read
listWebhooks       | webhooks
createWebhook      | webhooks
getWebhook         | webhooks
updateWebhook      | webhooks
deleteWebhook      | webhooks
testWebhook        | webhooks
rotateWebhookSecret | webhooks
replayWebhook      | webhooks
listWebhookDeliveries | webhooks
listTaskReminders  | tasks:read
snoozeReminder     | tasks:write
importTasks        | import
listImports        | import
getImport          | import
exportTasks        | comments:read projects:read tasks:read
listTags           | tasks:read
renameTag          | tasks:write
deleteTag          | tasks:write
"""
NEEDS = {line.split("|")[0].strip(): line.split("|")[1].strip() for line in TABLE.split("\n")[1:-1]}
READS, WRITES = (sorted(f"{each.plural}:{may}" for each in registered()) for may in ("read", "write"))
EVERY_READ, EVERY_WRITE = " ".join(READS), " ".join(WRITES)
WORDS = {"and every read": EVERY_READ, "any read": " or ".join(READS), "any write": " or ".join(WRITES)}
for words, meant in WORDS.items():
    NEEDS = {name: need.replace(words, meant) for name, need in NEEDS.items()}
READING = ("get", "list")


def _along(resource: Resource) -> str:
    """What goes to the trash with a row, or comes back with it; without what is a part of it, as comments are."""
    models: set[Any] = {resource.model}
    for _ in registered():
        models |= {
            by.model
            for other in registered()
            for by in other.model.references()
            if by.null and by.when_deleted is not WhenDeleted.REFUSE and by.related_model in models
        }
    return " ".join(sorted(each.write_scope for each in registered() if each.model in models))


def _need_of(resource: Resource, name: str) -> str:
    if name.startswith(READING):
        return resource.read_scope
    return _along(resource) if name.startswith(("delete", "restore")) else resource.write_scope


OF_RESOURCES = {name: resource for resource in registered() for name in declared.operations(resource)}
NEEDS |= {name: _need_of(resource, name) for name, resource in OF_RESOURCES.items()}
for each in registered():
    NEEDS |= dict.fromkeys((f"pull{each.titles}", f"stream{each.titles}"), each.read_scope)
    NEEDS[f"push{each.titles}"] = f"{each.read_scope} {_along(each)}"
PUBLIC = {name for name, (_, _, operation) in OPERATIONS.items() if operation["security"] == []}
# What they need if the request does not say which types it is about, or says all.
OF_ALL = {"listTrash": EVERY_READ, "emptyTrash": EVERY_WRITE, "listHistory": EVERY_READ, "listChanges": EVERY_READ}
# Their requests are about tasks, and that for a webhook about all that there is.
OF_TASKS = {"batch": "tasks:write", "undo": "tasks:write", "createWebhook": f"{EVERY_READ} webhooks"}
ALL = scopes.known()


def alternatives(need: str) -> list[set[str]]:
    return [] if need == SESSION else [{*each.split()} for each in need.split(" or ")]


def is_allowed(need: str, granted: set[str]) -> bool:
    return any(each <= granted for each in alternatives(need))


@pytest.fixture
def alice(db: None) -> User:
    user = make_user(CANARY, email=f"{CANARY}@example.com")
    make_task(user, description=CANARY, tags=[CANARY], reminders=[{"uid": CANARY, "minutes_before": 30}])
    tasks.delete_task(user, make_task(user, title=CANARY).pk)
    for each in registered():
        declared.provide(each.model, user)
    make_session(user, user_agent=CANARY)
    make_token(user, "tasks:read", name=CANARY)
    import_document(user, Document(warnings=[CANARY]), "csv")
    make_webhook(user, CANARY)
    return user


def used_token(user: User, *granted: str) -> str:
    """Whose last use is written down, so that a refusal writes nothing at all."""
    token = make_token(user, *granted)
    personal.note_use(user.personal_tokens.latest("created_at").pk, time.time())
    return token


def answer_to(api: Api, name: str, alice: User, world: World) -> Any:
    if name not in OF_RESOURCES:
        return call(api, name, world)
    resource = OF_RESOURCES[name]
    operation, row = declared.operations(resource)[name], declared.make(resource, alice)
    operation.prepare(resource, row)
    return operation.call(api, resource, row.pk)


def test_every_operation_stands_in_the_table_and_the_document_says_the_same() -> None:
    assert {*OPERATIONS} - PUBLIC == {*NEEDS}
    told = {name: [set(each["bearer"]) for each in OPERATIONS[name][2]["security"]] for name in NEEDS}
    assert told == {name: alternatives(need) or [set()] for name, need in NEEDS.items()}


def test_every_view_declares_what_its_methods_need() -> None:
    """One that does not is closed to tokens, but then the document does not say that it was decided."""
    undeclared = []
    for pattern in urlpatterns:
        view: Any = getattr(pattern.callback, "cls", None)
        if view is None or not view.authentication_classes:
            continue
        instance, actions = view(), getattr(pattern.callback, "actions", None)
        instance.action = None
        methods = [each for each in ("get", "post", "put", "patch", "delete") if each in (actions or dir(instance))]
        declared = getattr(instance, "required_scopes", {})
        undeclared += [(pattern.name, each) for each in methods if each.upper() not in declared]
    assert undeclared == []


def test_scopes_are_those_of_the_resources_and_some_more() -> None:
    of_resources = {f"{each.plural}:{may}" for each in registered() for may in ("read", "write")}
    assert {*ALL} == of_resources | {"account:read", "import", "feeds:read", "webhooks"}


@pytest.mark.parametrize("granted", [*([each] for each in ALL), ALL], ids=[*ALL, "all"])
def test_each_operation_is_allowed_exactly_where_its_scopes_are_granted(alice: User, granted: list[str]) -> None:
    world, token = World.of(alice), used_token(alice, *granted)
    allowed = []
    for name in NEEDS:
        need = OF_ALL.get(name) or OF_TASKS.get(name) or NEEDS[name]
        with rolled_back():
            if check(with_token(token), name, alice, world):
                allowed.append(name)
            assert is_allowed(need, {*granted}) == (name in allowed), name


def check(api: Api, name: str, alice: User, world: World) -> bool:
    """Whether a token may call it; if it may not, nothing was told or done."""
    before: list[list[str]] = []
    send = api.client.generic

    def sending(*args: Any, **options: Any) -> Any:
        before.extend(stored())
        return send(*args, **options)

    api.client.generic = sending  # type: ignore[method-assign]
    answer = answer_to(api, name, alice, world)
    if answer.status_code != 403:
        return True
    problem = problem_of(answer, 403)
    assert problem["code"] == ("session_required" if NEEDS[name] == SESSION else "insufficient_scope")
    assert answer["WWW-Authenticate"].startswith('Bearer error="insufficient_scope"')
    assert CANARY not in answer.content.decode()
    assert stored() == before
    return False


@pytest.mark.parametrize("name", [name for name, need in NEEDS.items() if need != SESSION])
def test_the_scopes_of_an_operation_are_enough_for_it(alice: User, name: str) -> None:
    need = OF_ALL.get(name) or OF_TASKS.get(name) or NEEDS[name]
    world = World.of(alice)
    for each in alternatives(need):
        with rolled_back():
            api = with_token(used_token(alice, *each))
            assert answer_to(api, name, alice, world).status_code < 300, each


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("/api/me/changes?types=task", "tasks:read"),
        ("/api/me/changes?types=project", "projects:read"),
        ("/api/me/history?type=task", "tasks:read"),
        ("/api/me/history?type=project", "projects:read"),
        ("/api/me/trash?type=task", "tasks:read"),
        ("/api/me/trash?type=project", "projects:read"),
    ],
)
def test_of_several_types_one_may_be_read_alone(alice: User, path: str, scope: str) -> None:
    for other in ("tasks:read", "projects:read"):
        answer = with_token(used_token(alice, other)).get(path)
        if other == scope:
            assert answer.status_code == 200
        else:
            assert answer["WWW-Authenticate"] == f'Bearer error="insufficient_scope", scope="{scope}"'
            assert CANARY not in answer.content.decode()


def test_a_refusal_says_what_is_missing(alice: User) -> None:
    answer = with_token(used_token(alice, "tasks:read")).get("/api/me/counts")
    problem = problem_of(answer, 403)
    assert problem["detail"].startswith("This token lacks the scope projects:read;")
    assert answer["WWW-Authenticate"] == 'Bearer error="insufficient_scope", scope="projects:read tasks:read"'


def test_what_a_view_has_not_is_told_as_to_a_session(alice: User) -> None:
    api = with_token(used_token(alice, "tasks:read"))
    assert problem_of(api.put("/api/me/tasks"), 405)["code"] == "method_not_allowed"
    assert problem_of(api.get("/api/me/nothing"), 404)["code"] == "not_found"
    answer: Any = api.client.options("/api/me/tasks")
    assert (answer.status_code, answer.content) == (200, b"")
    assert api.client.head("/api/me/tasks").status_code == 200
    assert api.client.head("/api/me/projects").status_code == 403


# --- Operations of several types --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "missing"),
    [
        ({"op": "create", "type": "project", "body": {"name": "Home"}}, "projects:write"),
        ({"op": "update", "type": "project", "id": 1, "body": {"name": "Home"}}, "projects:write"),
        ({"op": "delete", "type": "project", "id": 1}, "projects:write"),
        ({"op": "restore", "type": "project", "uid": "x"}, "projects:write"),
        ({"op": "move", "type": "project", "id": 1, "body": {}}, "projects:write"),
    ],
    ids=lambda value: value if isinstance(value, str) else value["op"],
)
@pytest.mark.parametrize("atomic", [True, False])
def test_a_batch_needs_the_scope_of_each_type_that_it_names(
    alice: User, operation: dict[str, Any], missing: str, atomic: bool
) -> None:
    api = with_token(used_token(alice, "tasks:write", "tasks:read", "projects:read"))
    allowed = {"op": "create", "type": "task", "body": {"title": "New"}}
    before = stored()
    problem = problem_of(api.post("/api/me/batch", {"atomic": atomic, "operations": [allowed, operation]}), 403)
    assert problem["code"] == "insufficient_scope" and missing in problem["detail"]
    assert stored() == before


def test_a_key_replays_no_answer_that_the_token_may_not_get(as_alice: Api, alice: User) -> None:
    body = {"operations": [{"op": "create", "type": "project", "body": {"name": "Secret"}}]}
    assert as_alice.post("/api/me/batch", body, idempotency_key="k").status_code == 200
    answer = with_token(used_token(alice, "tasks:write")).post("/api/me/batch", body, idempotency_key="k")
    assert problem_of(answer, 403)["code"] == "insufficient_scope"
    allowed = with_token(used_token(alice, "projects:write"))
    first, again = (allowed.post("/api/me/batch", body, idempotency_key="k2") for _ in range(2))
    assert (first.status_code, again["Idempotency-Replayed"]) == (200, "true")


def test_who_may_write_projects_alone_deletes_none(alice: User) -> None:
    """With it, its tasks would go to the trash, or to the inbox."""
    api = with_token(used_token(alice, "projects:write", "projects:read"))
    project = api.post("/api/me/projects", {"name": "Home"}).json()
    for query in ("", "?tasks=trash", "?tasks=inbox"):
        answer = api.delete(f"/api/me/projects/{project['id']}{query}")
        assert "tasks:write" in problem_of(answer, 403)["detail"]
    batch = {"operations": [{"op": "delete", "type": "project", "id": project["id"]}]}
    assert "tasks:write" in problem_of(api.post("/api/me/batch", batch), 403)["detail"]
    assert api.patch(f"/api/me/projects/{project['id']}", {"archived": True}).status_code == 200


def test_undo_needs_the_scope_of_each_type_that_the_operation_has_changed(alice: User) -> None:
    session = Api(alice)
    operation = int(session.post("/api/me/projects", {"name": "Home"})["Tickbase-Operation"])
    api = with_token(used_token(alice, "tasks:write"))
    before = stored()
    problem = problem_of(api.post("/api/me/undo", {"operation": operation}), 403)
    assert "projects:write" in problem["detail"]
    assert stored() == before
    assert (
        with_token(used_token(alice, "projects:write")).post("/api/me/undo", {"operation": operation}).status_code
        == 200
    )
