"""Who the fuzzer is: alice, and for the checks of what she must not see, bob; and accounts that it may destroy."""

import base64
import functools
import json
import os
import uuid
from typing import Any

import httpx
import schemathesis
from schemathesis import AuthContext, Case, CheckContext, HookContext, Response
from schemathesis.auths import CachingAuthProvider
from schemathesis.schemas import BaseSchema
from schemathesis.wfc.escalation import EscalatingAuthProvider

BASE = os.environ["FUZZ_BASE"]
CANARY = os.environ["FUZZ_CANARY"]  # in every text of bob's
EMAILS = {name: os.environ[f"FUZZ_{name.upper()}"] for name in ("alice", "bob")}
PASSWORD = os.environ["FUZZ_PASSWORD"]
BOBS_TASK, BOBS_PROJECT = int(os.environ["FUZZ_TASK"]), int(os.environ["FUZZ_PROJECT"])
KINDS = {"task": ("tasks", "title"), "project": ("projects", "name")}  # in paths, and the member that is required
REMINDER = "of alice"  # of her tasks
OF_THE_TRASH = {"restoreTask", "eraseTask", "restoreProject", "eraseProject"}
# Passwords are slow to hash on purpose: what is made for a request serves until one uses it up.
USES_UP_ITS_ACCOUNT = {"deleteMe", "changePassword"}


def operation_id(case: Case) -> str:
    return str(case.operation.definition.raw["operationId"])


@functools.cache
def stranger() -> dict[str, Any]:
    """Signed in to an account that may be destroyed."""
    return _signed_in("register", f"{uuid.uuid4()}@example.com")


@functools.cache
def session_of_alice() -> str:
    """Another one than that of the fuzzer."""
    payload = _signed_in("login", EMAILS["alice"])["access"].split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(f"{payload}=="))["sid"])


def token_of_alice() -> str:
    """One that is there; of those that were made meanwhile, the newest."""
    headers, place = _alice(), f"{BASE}/api/users/me/tokens"
    if not (tokens := httpx.get(place, headers=headers, timeout=20).raise_for_status().json()):
        body = {"name": "of alice", "scopes": ["tasks:read"]}
        tokens = [httpx.post(place, json=body, headers=headers, timeout=20).raise_for_status().json()]
    return str(tokens[0]["id"])


@functools.cache
def _alice() -> dict[str, str]:
    return {"Authorization": f"Bearer {_signed_in('login', EMAILS['alice'])['access']}"}


@functools.cache
def row_of_alice(kind: str) -> int:
    return _new_row(kind)


def trashed_row_of_alice(kind: str) -> int:
    """Another one each time, as it does not stay in the trash."""
    pk = _new_row(kind)
    httpx.delete(f"{BASE}/api/me/{KINDS[kind][0]}/{pk}", headers=_alice(), timeout=20).raise_for_status()
    return pk


def _new_row(kind: str) -> int:
    plural, member = KINDS[kind]
    body = {member: "of alice", **({"reminders": [{"uid": REMINDER, "minutes_before": 30}]} if kind == "task" else {})}
    answer = httpx.post(f"{BASE}/api/me/{plural}", json=body, headers=_alice(), timeout=20)
    return int(answer.raise_for_status().json()["id"])


def _signed_in(action: str, email: str) -> dict[str, Any]:
    answer = httpx.post(f"{BASE}/api/auth/{action}", json={"email": email, "password": PASSWORD}, timeout=20)
    answer.raise_for_status()
    signed_in: dict[str, Any] = answer.json()
    return signed_in


class Bearer:
    def __init__(self, email: str) -> None:
        self.email = email

    def get(self, case: Case, context: AuthContext) -> str:
        return str(_signed_in("login", self.email)["access"])

    def set(self, case: Case, token: str, context: AuthContext) -> None:
        case.headers["Authorization"] = f"Bearer {token}"


class Peer(CachingAuthProvider[str]):
    """Signs in again when its session is gone, and sends a stranger where an account is destroyed."""

    def get(self, case: Case, context: AuthContext) -> str | None:
        if operation_id(case) in USES_UP_ITS_ACCOUNT:
            return str(stranger()["access"])
        return super().get(case, context)


PEERS = {name: Peer(Bearer(email)) for name, email in EMAILS.items()}


@schemathesis.hook
def after_load_schema(context: HookContext, schema: BaseSchema) -> None:
    provider = EscalatingAuthProvider(list(PEERS.values()), list(PEERS), peers=tuple(PEERS), pinned="alice")
    schema.auth.providers.append(provider)


@schemathesis.hook
def after_call(context: HookContext, case: Case, response: Response) -> None:
    operation = operation_id(case)
    if response.status_code == 401 and operation in USES_UP_ITS_ACCOUNT:
        stranger.cache_clear()  # the token may have expired
    if not 200 <= response.status_code < 300:
        return
    if operation in {*USES_UP_ITS_ACCOUNT, "refreshTokens", "logout"}:
        stranger.cache_clear()
    elif operation in {"endSession", "endOtherSessions"}:
        session_of_alice.cache_clear()
        PEERS["alice"].invalidate()  # it may have been hers
    elif operation in {"deleteTask", "deleteProject"}:
        row_of_alice.cache_clear()


@schemathesis.check
def keeps_bobs_data_from_alice(ctx: CheckContext, response: Response, case: Case) -> None:
    assert CANARY not in response.text, f"alice was shown something of bob's: {response.text[:500]}"
