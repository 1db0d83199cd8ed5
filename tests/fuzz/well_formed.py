"""What OpenAPI cannot say of a good request, so that every generated one can be expected to be accepted."""

import base64
import json
import re
from collections.abc import Callable
from itertools import count
from typing import Any

import schemathesis
from schemathesis import Case, HookContext
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.meta import TestPhase

from config.values import is_visible
from tests.fuzz import peers

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_KEY = re.compile(r"[!-~]{1,255}")
_OF_KINDS = {
    f"{verb}{kind['title']}{by}": name
    for name, kind in peers.KINDS.items()
    for verb in ("create", "put", "update", "move")
    for by in ("", "ByUid")
}
_numbers = count()
FILE = b"TYPE,CONTENT,PRIORITY\ntask,Buy milk,1\n"
IMPORTED = {"format": "auto", "zone": "Asia/Karachi"}
MOST = 1000  # characters of a parameter; each may take twelve in an address


@schemathesis.hook
def map_case(context: HookContext, case: Case) -> Case:
    if case.meta is None:
        return case
    _renew_key(case)
    if isinstance(case.query, dict):  # a head that is too long is refused before it is read: tests/config/test_heads.py
        case.query = {name: value[:MOST] if isinstance(value, str) else value for name, value in case.query.items()}
    if case.meta.phase.name is TestPhase.COVERAGE and not case.meta.is_negative_at(ParameterLocation.PATH):
        _aim(case)
    if case.meta.generation.mode.is_positive:
        _make_acceptable(case)
    elif peers.operation_id(case) in PUSHED and not case.meta.is_negative_at(ParameterLocation.BODY):
        _make_acceptable(case)  # what it refers to is not known to the document
    elif isinstance(case.body, dict) and (kind := _OF_KINDS.get(peers.operation_id(case))):
        case.body.update(_references_to_bob(kind))
    return case


@schemathesis.hook
def before_call(context: HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    """The examples of the document name rows that nobody has, and are not mapped."""
    if case.meta is not None and case.meta.phase.name is TestPhase.EXAMPLES:
        _make_acceptable(case)


def _references_to_bob(kind: str) -> dict[str, Any]:
    """What is refused anyway names another user's rows as well."""
    single, several = peers.KINDS[kind]["references"], peers.KINDS[kind]["lists"]
    return {
        **{f"{name}_id": peers.OF_BOB[target] for name, target in single.items()},
        **{f"{name}_ids": [peers.OF_BOB[target]] for name, target in several.items()},
    }


def _renew_key(case: Case) -> None:
    """A replayed answer is of an earlier request, and no answer to this one."""
    key = case.headers.get("Idempotency-Key") if case.headers else None
    if isinstance(key, str) and _KEY.fullmatch(key):
        case.headers["Idempotency-Key"] = f"{next(_numbers)}-{key}"[:255]


def _aim(case: Case) -> None:
    """The coverage of a body begins behind its address."""
    if "user_id" in case.path_parameters:
        case.path_parameters["user_id"] = "me"
    for kind in peers.KINDS:
        if f"{kind}_id" in case.path_parameters:
            is_of_trash = peers.operation_id(case) in peers.OF_THE_TRASH
            of_alice = peers.trashed_row_of_alice if is_of_trash else peers.row_of_alice
            case.path_parameters[f"{kind}_id"] = of_alice(kind)
    if peers.operation_id(case) == "snoozeReminder":
        case.path_parameters["uid"] = peers.REMINDER


def _make_acceptable(case: Case) -> None:
    if isinstance(case.body, dict):
        body = _storable(case.body)
        BODIES.get(peers.operation_id(case), _of_kind(peers.operation_id(case)))(body)
        case.body = body
    elif (kind := PUSHED.get(peers.operation_id(case))) and isinstance(case.body, list):
        peers.needed_by(kind)
        own = {**peers.KINDS[kind]["body"], peers.KINDS[kind]["label"]: f"of alice {next(_numbers)}"}
        case.body = [{"newDocumentState": {"uid": f"of alice {next(_numbers)}", **own}}]
    if isinstance(case.query, dict):
        case.query.update(_storable(dict(case.query)))
        _use_a_cursor_that_exists(case)
    if peers.operation_id(case) == "importTasks":
        _import(case)
    _match_any_version(case)
    if (operation := peers.operation_id(case)) in OF_THE_ACCOUNT:
        member, of_alice = OF_THE_ACCOUNT[operation]
        case.path_parameters[member] = of_alice()


def _match_any_version(case: Case) -> None:
    """One tag is hardly ever the current one, and for coverage letters and digits have to do. Lists stay, and are
    stale."""
    for header in ("If-Match", "If-None-Match"):
        if case.headers and header in case.headers and "," not in case.headers[header]:
            case.headers[header] = "*"


def _import(case: Case) -> None:
    """A file of a format that is recognised."""
    case.body = {"file": FILE.decode()} if isinstance(case.body, dict) else FILE
    if isinstance(case.query, dict):
        case.query |= {name: value for name, value in IMPORTED.items() if name in case.query}


def _storable(value: Any) -> Any:
    """Texts that show something, without NUL; days that are in range; whole numbers as such, though JSON Schema takes
    1.0 for one."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _storable(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_storable(element) for element in value]
    if not isinstance(value, str):
        return value
    if _DATE.match(value):
        return f"2{value[1:8]}{min(value[8:10], '28')}{value[10:]}"
    return value.replace("\0", "0") if is_visible(value) else "x" * len(value)


def _of_kind(operation: str) -> Callable[[dict[str, Any]], object]:
    """Of a resource that has nothing of its own here: it refers to what it cannot be without, and to nothing else."""
    name = _OF_KINDS.get(operation)
    if name is None:
        return dict
    kind = peers.KINDS[name]
    single, several = kind["references"], kind["lists"]

    def complete(body: dict[str, Any]) -> None:
        peers.needed_by(name)
        if not operation.startswith("create"):
            body.pop("uid", None)  # is fixed
        for each in (*(f"{one}_{by}" for one in single for by in ("id", "uid")), *(f"{one}_uids" for one in several)):
            body.pop(each, None)
        body |= {member: [] for member in (f"{one}_ids" for one in several) if member in body}
        # Patterns, and checks of several members, which OpenAPI cannot say.
        body |= {member: value for member, value in kind["example"].items() if member in body}
        if operation.startswith(("create", "put")):
            body |= {member: value for member, value in kind["body"].items() if member not in body}

    return complete


def _register(body: dict[str, Any]) -> None:
    body["password"] = peers.PASSWORD
    body.pop("invitation", None)  # which are not needed here
    _profile(body)


def _login(body: dict[str, Any]) -> None:
    body |= {"email": peers.EMAILS["alice"], "password": peers.PASSWORD}


def _change_email(body: dict[str, Any]) -> None:
    """It changes nothing before the new address is confirmed."""
    body |= {"email": "new@example.com", "password": peers.PASSWORD}


def _profile(body: dict[str, Any]) -> None:
    if "timezone" in body:
        body["timezone"] = "Asia/Karachi"


def _update_me(body: dict[str, Any]) -> None:
    body.pop("email", None)  # is fixed
    own = {"reminder_time": "07:30", "digest_time": "06:45", "reminder_channels": ["mail"]}
    body |= {name: value for name, value in own.items() if name in body}
    _profile(body)


def _delete_me(body: dict[str, Any]) -> None:
    if "password" in body:
        body["password"] = peers.PASSWORD


def _change_password(body: dict[str, Any]) -> None:
    body |= {"current_password": peers.PASSWORD, "new_password": f"{peers.PASSWORD} and {next(_numbers)}"}


def _token(body: dict[str, Any]) -> None:
    """Of alice, who has just signed in; a moment that was made up has passed, or is not earlier."""
    for name in ("password", "expires_at"):
        body.pop(name, None)


def _refresh(body: dict[str, Any]) -> None:
    body["refresh"] = peers.stranger()["refresh"]


def _placed(body: dict[str, Any]) -> None:
    """Within nothing; tests/resources/test_references.py has what there is."""
    for name in ("parent_uid", "project_uid", "after_id", "before_id"):
        body.pop(name, None)
    own = {"parent_id": None, "project_id": None, "position": "a0V", "extra": {"source": {"id": 7}}, "color": "#3366cc"}
    body |= {name: value for name, value in own.items() if name in body}


def _changed_project(body: dict[str, Any]) -> None:
    body.pop("uid", None)  # is fixed
    _placed(body)


def _put_project(body: dict[str, Any]) -> None:
    """It may have to be made."""
    body.setdefault("name", "of alice")
    _changed_project(body)


def _task(body: dict[str, Any]) -> None:
    """One status, one due."""
    _placed(body)
    if "status" in body:
        body.pop("completed", None)
    if "due_at" in body:
        body.pop("due_date", None)
    if "recurrence" in body:
        body["recurrence"] = None  # which needs no due
    if "reminders" in body:  # each with a uid of its own
        body["reminders"] = [{"minutes_before": 30}]


def _snooze(body: dict[str, Any]) -> None:
    body.clear()
    body["minutes"] = 5


def _complete(body: dict[str, Any]) -> None:
    for name in ("series", "occurrence"):  # of a task that recurs
        body.pop(name, None)


def _preview(body: dict[str, Any]) -> None:
    body["recurrence"] = {"rule": "FREQ=DAILY"}
    body["due_date"] = "2026-12-01"
    body.pop("due_at", None)
    if "limit" in body:
        body["limit"] = int(body["limit"])  # 95.0 is an integer to JSON Schema


def _webhook(body: dict[str, Any]) -> None:
    """To an address that is allowed; of any project, as none of those that were made up is there."""
    if "url" in body:
        body["url"] = peers.HOOK
    if "project_ids" in body:
        body["project_ids"] = None


def _new_webhook(body: dict[str, Any]) -> None:
    peers.forget_webhooks()
    _webhook(body)


def _replay(body: dict[str, Any]) -> None:
    """One place, and one that is kept: accounts count from above 0 once a backup was restored, as other tests do."""
    body.clear()
    body["since"] = "2026-11-23T00:00:00Z"


def _batch(body: dict[str, Any]) -> None:
    body["operations"] = [{"op": "create", "type": "task", "body": {"title": "of alice"}}]


def _changed_task(body: dict[str, Any]) -> None:
    body.pop("uid", None)  # is fixed
    _task(body)


def _put_task(body: dict[str, Any]) -> None:
    """It may have to be made."""
    body.setdefault("title", "of alice")
    _changed_task(body)


def _use_a_cursor_that_exists(case: Case) -> None:
    """Those of the trash and of the log name what is stored, and are left out."""
    for name in OF_THE_LOG.get(peers.operation_id(case), ()):
        case.query.pop(name, None)
    if case.query.pop("cursor", None) is not None and peers.operation_id(case) == "listTasks":
        cursor = json.dumps(["title", "a", 1]).encode()
        case.query |= {"sort": "title", "cursor": base64.urlsafe_b64encode(cursor).rstrip(b"=").decode()}
        case.query.pop("offset", None)


OF_THE_ACCOUNT: dict[str, tuple[str, Callable[[], str]]] = {
    "endSession": ("session_id", peers.session_of_alice),
    "updateToken": ("token_id", peers.token_of_alice),
    "revokeToken": ("token_id", peers.token_of_alice),
    "getWebhook": ("webhook_id", peers.webhook_of_alice),
    "updateWebhook": ("webhook_id", peers.webhook_of_alice),
    "deleteWebhook": ("webhook_id", peers.webhook_of_alice),
    "testWebhook": ("webhook_id", peers.webhook_of_alice),
    "rotateWebhookSecret": ("webhook_id", peers.webhook_of_alice),
    "replayWebhook": ("webhook_id", peers.webhook_of_alice),
    "listWebhookDeliveries": ("webhook_id", peers.webhook_of_alice),
}
PUSHED = {f"push{kind['titles']}": name for name, kind in peers.KINDS.items()}
OF_THE_LOG = {"listChanges": ["since"], **{f"pull{kind['titles']}": ["lwt", "id"] for kind in peers.KINDS.values()}}
BODIES: dict[str, Callable[[dict[str, Any]], object]] = {
    "register": _register,
    "login": _login,
    "refreshTokens": _refresh,
    "logout": _refresh,
    "updateMe": _update_me,
    "deleteMe": _delete_me,
    "changeEmail": _change_email,
    "changePassword": _change_password,
    "createToken": _token,
    "updateToken": _token,
    "createWebhook": _new_webhook,
    "updateWebhook": _webhook,
    "replayWebhook": _replay,
    "createTask": _task,
    "putTask": _changed_task,
    "updateTask": _changed_task,
    "putTaskByUid": _put_task,
    "updateTaskByUid": _changed_task,
    "moveTask": _placed,
    "createProject": _placed,
    "putProject": _changed_project,
    "updateProject": _changed_project,
    "putProjectByUid": _put_project,
    "updateProjectByUid": _changed_project,
    "moveProject": _placed,
    "completeTask": _complete,
    "snoozeReminder": _snooze,
    "previewRecurrence": _preview,
    "batch": _batch,
}
