"""Every operation of accounts, the trash and tags, for everybody who may call it; those of resources have their own."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from pytest_django import Settings

from config.server.streams import HOLDS
from tasks import services as tasks
from tasks.formats.drafts import Document
from tasks.transfer.services import import_document
from tests.callers import BAD_TOKEN, COLUMNS, Caller, every_caller
from tests.client import Answer, Api
from tests.config.test_openapi import complaints, document, resolved
from tests.factories import PASSWORD, make_session, make_task, make_token, make_tokens, make_user, make_webhook
from tests.issuer import AUDIENCE, ISSUER, SECRET
from tests.problems import exact, problem_of, rolled_back, stored
from tests.resources.declared import needed, operations
from users.models import User
from users.resources.resource import Resource, registered
from users.tokens import mailed

CANARY = "canary"  # in all that alice has
NEW_PASSWORD = "staple the battery"
NEW_FILE = {"format": "tickbase", "version": 1, "projects": [], "tasks": [{"uid": "new", "title": "New"}]}
QUERIES = {"exportTasks": "?format=tickbase"}  # parameters that an operation needs

# Operations, with the status and the code for the owner, for another user, for a user of the external issuer who has
# the owner's id, for who has no token, and for who has a bad one.
TABLE = """
getMe            | 200 | 200                    | 200                    | 401 not_authenticated | 401 invalid_token
updateMe         | 200 | 200                    | 200                    | 401 not_authenticated | 401 invalid_token
deleteMe         | 204 | 204                    | 204                    | 401 not_authenticated | 401 invalid_token
exportMe         | 200 | 200                    | 200                    | 401 not_authenticated | 401 invalid_token
changeEmail      | 202 | 202                    | 403 no_password        | 401 not_authenticated | 401 invalid_token
changePassword   | 200 | 200                    | 403 no_password        | 401 not_authenticated | 401 invalid_token
sendVerification | 202 | 202                    | 202                    | 401 not_authenticated | 401 invalid_token
listSessions     | 200 | 200                    | 200                    | 401 not_authenticated | 401 invalid_token
endOtherSessions | 204 | 204                    | 204                    | 401 not_authenticated | 401 invalid_token
endSession       | 204 | 404 session_not_found  | 404 session_not_found  | 401 not_authenticated | 401 invalid_token
listTokens       | 200 | 200                    | 200                    | 401 not_authenticated | 401 invalid_token
createToken      | 201 | 201                    | 201                    | 401 not_authenticated | 401 invalid_token
updateToken      | 200 | 404 token_not_found    | 404 token_not_found    | 401 not_authenticated | 401 invalid_token
revokeToken      | 204 | 404 token_not_found    | 404 token_not_found    | 401 not_authenticated | 401 invalid_token
register         | 201 | 201                    | 201                    | 201                   | 201
login            | 200 | 200                    | 200                    | 200                   | 200
refreshTokens    | 200 | 200                    | 200                    | 200                   | 200
logout           | 204 | 204                    | 204                    | 204                   | 204
forgotPassword   | 202 | 202                    | 202                    | 202                   | 202
resetPassword    | 204 | 204                    | 204                    | 204                   | 204
verifyEmail      | 204 | 204                    | 204                    | 204                   | 204
listTrash        | 200 | 403 permission_denied  | 200                    | 401 not_authenticated | 401 invalid_token
emptyTrash       | 204 | 403 permission_denied  | 204                    | 401 not_authenticated | 401 invalid_token
listHistory      | 200 | 403 permission_denied  | 200                    | 401 not_authenticated | 401 invalid_token
listCompletions  | 200 | 403 permission_denied  | 200                    | 401 not_authenticated | 401 invalid_token
previewRecurrence | 200 | 403 permission_denied | 200                    | 401 not_authenticated | 401 invalid_token
undo             | 200 | 403 permission_denied  | 404 operation_not_found | 401 not_authenticated | 401 invalid_token
listTaskReminders | 200 | 403 permission_denied | 404 task_not_found    | 401 not_authenticated | 401 invalid_token
snoozeReminder   | 200 | 403 permission_denied  | 404 task_not_found    | 401 not_authenticated | 401 invalid_token
getCounts        | 200 | 403 permission_denied  | 200                    | 401 not_authenticated | 401 invalid_token
listTags         | 200 | 403 permission_denied  | 200                    | 401 not_authenticated | 401 invalid_token
renameTag        | 200 | 403 permission_denied  | 404 tag_not_found      | 401 not_authenticated | 401 invalid_token
deleteTag        | 204 | 403 permission_denied  | 404 tag_not_found      | 401 not_authenticated | 401 invalid_token
batch            | 200 | 403 permission_denied  | 200                    | 401 not_authenticated | 401 invalid_token
listChanges      | 200 | 403 permission_denied  | 200                    | 401 not_authenticated | 401 invalid_token
getStream        | 200 | 403 permission_denied  | 200                    | 401 not_authenticated | 401 invalid_token
createStreamTicket | 201 | 403 permission_denied | 201                   | 401 not_authenticated | 401 invalid_token
listWebhooks     | 200 | 403 permission_denied  | 200                    | 401 not_authenticated | 401 invalid_token
createWebhook    | 201 | 403 permission_denied  | 201                    | 401 not_authenticated | 401 invalid_token
getWebhook       | 200 | 403 permission_denied  | 404 webhook_not_found  | 401 not_authenticated | 401 invalid_token
updateWebhook    | 200 | 403 permission_denied  | 404 webhook_not_found  | 401 not_authenticated | 401 invalid_token
deleteWebhook    | 204 | 403 permission_denied  | 404 webhook_not_found  | 401 not_authenticated | 401 invalid_token
testWebhook      | 202 | 403 permission_denied  | 404 webhook_not_found  | 401 not_authenticated | 401 invalid_token
rotateWebhookSecret | 200 | 403 permission_denied | 404 webhook_not_found | 401 not_authenticated | 401 invalid_token
replayWebhook    | 202 | 403 permission_denied  | 404 webhook_not_found  | 401 not_authenticated | 401 invalid_token
listWebhookDeliveries | 200 | 403 permission_denied | 404 webhook_not_found | 401 not_authenticated | 401 invalid_token
importTasks      | 201 | 403 permission_denied  | 201                    | 401 not_authenticated | 401 invalid_token
listImports      | 200 | 403 permission_denied  | 200                    | 401 not_authenticated | 401 invalid_token
getImport        | 200 | 403 permission_denied  | 404 import_not_found   | 401 not_authenticated | 401 invalid_token
exportTasks      | 200 | 403 permission_denied  | 200                    | 401 not_authenticated | 401 invalid_token
getCalendar      | 404 not_found | 404 not_found | 404 not_found          | 404 not_found         | 404 not_found
getLiveness      | 200 | 200                    | 200                    | 200                   | 200
getReadiness     | 200 | 200                    | 200                    | 200                   | 200
"""
ROWS = {
    name: cells for name, *cells in ([cell.strip() for cell in line.split("|")] for line in TABLE.split("\n")[1:-1])
}
# Each resource has what `listChanges` and `getStream` have.
ROWS |= {f"{verb}{each.titles}": ROWS["listChanges"] for each in registered() for verb in ("pull", "push", "stream")}
# Those of public operations are about dave, whoever calls.
BODIES: dict[str, Callable[[User], Any]] = {
    "updateMe": lambda dave: {"timezone": "Asia/Karachi"},
    "changePassword": lambda dave: {"current_password": PASSWORD, "new_password": NEW_PASSWORD},
    "changeEmail": lambda dave: {"email": "new@example.com", "password": PASSWORD},
    "createToken": lambda dave: {"name": "Script", "scopes": ["tasks:read"]},
    "updateToken": lambda dave: {"name": "Renamed"},
    "register": lambda dave: {"email": "new@example.com", "password": PASSWORD},
    "login": lambda dave: {"email": dave.email, "password": PASSWORD},
    "refreshTokens": lambda dave: {"refresh": make_tokens(dave).refresh},
    "logout": lambda dave: {"refresh": make_tokens(dave).refresh},
    "forgotPassword": lambda dave: {"email": dave.email},
    "resetPassword": lambda dave: {"token": mailed.PASSWORD_RESET.make(dave), "password": NEW_PASSWORD},
    "undo": lambda dave: {"operation": 1},
    "batch": lambda dave: {"operations": [{"op": "create", "type": "task", "body": {"title": "New"}}]},
    "importTasks": lambda dave: NEW_FILE,
    "createWebhook": lambda dave: {"url": "https://1.1.1.1/hook"},
    "updateWebhook": lambda dave: {"active": False},
    "replayWebhook": lambda dave: {"version": 1},
    "renameTag": lambda dave: {"from": CANARY, "to": "renamed"},
    "previewRecurrence": lambda dave: {"recurrence": {"rule": "FREQ=DAILY"}, "due_date": "2026-11-28"},
    "snoozeReminder": lambda dave: {"minutes": 5},
    "verifyEmail": lambda dave: {"token": mailed.EMAIL_VERIFICATION.make(dave)},
}


def _pushing(resource: Resource) -> Callable[[User], Any]:
    if needed(resource.model):  # which nobody here has
        return lambda dave: [{"newDocumentState": {"uid": "new", "_deleted": True}}]
    return lambda dave: [{"newDocumentState": {"uid": "new", **resource.example}}]


BODIES |= {f"push{each.titles}": _pushing(each) for each in registered()}
OPERATIONS = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, methods in document()["paths"].items()
    for method, operation in methods.items()
}
# About the API, and the same for everybody.
UNDOCUMENTED = {("GET", "/api/schema"), ("GET", "/api/docs")}


@pytest.fixture(autouse=True)
def external_issuer(settings: Settings) -> None:
    settings.JWT_EXTERNAL_ISSUER, settings.JWT_EXTERNAL_AUDIENCE = ISSUER, AUDIENCE
    settings.JWT_EXTERNAL_SECRET = SECRET


@pytest.fixture
def alice(db: None) -> User:
    user = make_user(CANARY, email=f"{CANARY}@example.com")
    make_task(user, description=CANARY, tags=[CANARY], reminders=[{"uid": CANARY, "minutes_before": 30}])
    tasks.delete_task(user, make_task(user, title=CANARY).pk)
    make_session(user, user_agent=CANARY)
    import_document(user, Document(warnings=[CANARY]), "csv")
    make_webhook(user, CANARY)
    make_token(user, "tasks:read", name=CANARY)
    return user


class World(NamedTuple):
    """What the requests are about, from before the caller came: things of alice's, and dave for what is public."""

    user_id: str
    session_id: str
    token_id: str
    dave: User
    import_id: int
    webhook_id: int
    task_id: int
    uid: str = CANARY  # of a reminder
    tag: str = CANARY
    token: str = CANARY  # in the path of a calendar; tests/users/test_token_streams.py has real ones

    @classmethod
    def of(cls, user: User) -> "World":
        session = user.sessions.get(user_agent=CANARY)
        token = user.personal_tokens.get()
        return cls(
            user.public_id,
            str(session.pk),
            str(token.pk),
            make_user("dave"),
            user.imports.get().pk,
            user.webhooks.get().pk,
            user.reminders.get().task_id,
        )


def call(api: Api, name: str, world: World, **changes: Any) -> Answer:
    """The same request for everybody; `session_id="0"` calls another path."""
    method, path, _ = OPERATIONS[name]
    body = BODIES[name](world.dave) if name in BODIES else None
    answer: Answer = api.client.generic(
        method,
        path.format(**{**world._asdict(), **changes}) + QUERIES.get(name, ""),
        "" if body is None else json.dumps(body),
        content_type="" if body is None else "application/json",
        headers={"X-Request-ID": "same"},
        **{HOLDS: True},  # as through our server, which can stream
    )
    return answer


def text_of(answer: Any) -> str:
    """Only once: an export is streamed."""
    content: bytes = answer.getvalue()
    return content.decode()


# --- The table --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("column", "caller"), every_caller())
def test_each_operation_for_each_caller(alice: User, column: str, caller: Caller) -> None:
    number = list(COLUMNS).index(column)
    world = World.of(alice)
    api = caller(alice)
    for name, cells in ROWS.items():
        with rolled_back():
            check_operation(world, api, name, cells[number], is_owner=caller is Api)


def check_operation(world: World, api: Api, name: str, cell: str, *, is_owner: bool) -> None:
    hers, everything = stored(int(world.user_id)), stored()
    answer = call(api, name, world)
    text = text_of(answer)
    status, _, code = cell.partition(" ")
    assert answer.status_code == int(status), (name, text)
    if code:
        assert problem_of(answer, int(status))["code"] == code
        assert ("WWW-Authenticate" in answer) == (status == "401")
        assert stored() == everything
    else:
        assert_is_as_declared(text, name, status)
    if not is_owner:
        assert CANARY not in text
        assert stored(int(world.user_id)) == hers


def assert_is_as_declared(text: str, name: str, status: str) -> None:
    """The shape is what the OpenAPI document says."""
    declared = resolved(OPERATIONS[name][2]["responses"][status])
    content = declared.get("content", {})
    assert bool(text) == bool(content)
    media = content.get("application/json")
    assert media is None or complaints(json.loads(text), media["schema"]) == []


@pytest.mark.parametrize(
    "name",
    [
        "getMe",
        "exportMe",
        "listSessions",
        "listTokens",
        "listTrash",
        "listHistory",
        "listChanges",
        "pullTasks",
        "getCounts",
        "listTags",
        "listImports",
        "getImport",
        "listWebhooks",
        "getWebhook",
        "listWebhookDeliveries",
        "exportTasks",
        "listTaskReminders",
    ],
)
def test_the_owner_sees_what_nobody_else_does(alice: User, name: str) -> None:
    """So that the table would notice it in the answer to another."""
    assert CANARY in text_of(call(Api(alice), name, World.of(alice)))


def test_every_operation_stands_in_the_table() -> None:
    of_resources = [name for resource in registered() for name in operations(resource)]
    assert sorted(OPERATIONS) == sorted([*ROWS, *of_resources])


def test_every_address_below_api_stands_in_the_document() -> None:
    served = {route for route in routes(get_resolver()) if route[1].startswith("/api")}
    documented = {(method, path) for method, path, _ in OPERATIONS.values() if path.startswith("/api")}
    assert served - UNDOCUMENTED == documented
    assert served >= UNDOCUMENTED


def routes(resolver: URLResolver, prefix: str = "/") -> Iterator[tuple[str, str]]:
    """Methods and paths, as the document writes them; HEAD and OPTIONS come with every view."""
    for pattern in resolver.url_patterns:
        path = prefix + re.sub("<(str|uid):(.*?)>", r"{\2}", str(pattern.pattern))
        if isinstance(pattern, URLResolver):
            yield from routes(pattern, path)
        else:
            yield from ((method.upper(), path) for method in methods_of(pattern))


def methods_of(pattern: URLPattern) -> list[str]:
    view: Any = pattern.callback
    handlers = getattr(view, "actions", None) or vars(view).get("view_class", view)
    methods = ["get", "post", "put", "patch", "delete"]
    return [name for name in methods if (name in handlers if isinstance(handlers, dict) else hasattr(handlers, name))]


@pytest.mark.usefixtures("unread_cookies")
@pytest.mark.parametrize("name", ROWS)
def test_no_operation_reads_a_cookie(alice: User, name: str) -> None:
    """So `credentials: "include"`, which CORS allows, brings nothing along that counts."""
    world = World.of(alice)
    for api in (Api(alice), Api()):
        api.client.cookies["sessionid"] = api.client.cookies["csrftoken"] = "s" * 32
        call(api, name, world)


@pytest.mark.usefixtures("unread_cookies")
@pytest.mark.parametrize("path", ["/api/schema", "/api/docs", "/api/docs?script=", "/api/nothing", "/api", "/"])
def test_no_other_address_reads_a_cookie(path: str) -> None:
    api = Api()
    api.client.cookies["sessionid"] = api.client.cookies["csrftoken"] = "s" * 32
    assert api.get(path).status_code in (200, 404)
    assert api.post(path, {}).status_code in (404, 405)


# --- What two answers must not tell apart -----------------------------------------------------------


@pytest.mark.thorough
@pytest.mark.parametrize("name", [name for name in ROWS if "invalid_token" in ROWS[name][-1]])
def test_every_bad_token_is_refused_alike(alice: User, name: str) -> None:
    """But for one that has expired, as its bearer can read in it."""
    world, others = World.of(alice), {"deleted", "expired token"}
    answers = [exact(call(caller(alice), name, world)) for who, caller in BAD_TOKEN.items() if who not in others]
    assert [answer for answer in answers if answer != answers[0]] == []


def test_only_an_expired_access_token_is_told_to_be_refreshed(alice: User) -> None:
    world = World.of(alice)
    for who, caller in BAD_TOKEN.items():
        with rolled_back():
            detail = problem_of(call(caller(alice), "getMe", world), 401)["detail"]
            assert ("POST /api/auth/refresh" in detail) == (who == "expired token"), who


def test_the_session_of_another_is_as_one_that_never_was(alice: User, bob: User) -> None:
    world, api = World.of(alice), Api(bob)
    before = stored()
    foreign = call(api, "endSession", world)
    assert problem_of(foreign, 404)["code"] == "session_not_found"
    for session_id in ["00000000-0000-0000-0000-000000000000", "me", "0", "x" * 300, "%00"]:
        assert exact(call(api, "endSession", world, session_id=session_id)) == exact(foreign), session_id
    assert stored() == before
