"""Who the fuzzer is: alice, and for the checks of what she must not see, bob; and accounts that it may destroy."""

import base64
import functools
import json
import os
import uuid
from itertools import count
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
OF_BOB: dict[str, int] = json.loads(os.environ["FUZZ_ROWS"])  # by kind, the id of a row
KINDS: dict[str, dict[str, Any]] = json.loads(os.environ["FUZZ_KINDS"])  # tests/fuzz/test_api.py says what of each
OF_THE_TRASH = {f"{verb}{kind['title']}" for kind in KINDS.values() for verb in ("restore", "erase")}
_numbers = count()
HOOK = "https://1.1.1.1/hook"  # an address that needs no look-up; the worker is off
REMINDER = "of alice"  # of her tasks
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


def webhook_of_alice() -> str:
    """One that is there, and active, so that it takes a test; not many, of which there may be ten."""
    headers, place = _alice(), f"{BASE}/api/me/webhooks"
    if not (hooks := httpx.get(place, headers=headers, timeout=20).raise_for_status().json()):
        body = {"url": HOOK}
        hooks = [httpx.post(place, json=body, headers=headers, timeout=20).raise_for_status().json()]
    place = f"{place}/{hooks[0]['id']}"
    httpx.patch(place, json={"active": True}, headers=headers, timeout=20).raise_for_status()
    return str(hooks[0]["id"])


def forget_webhooks() -> None:
    """So that there is room for another one."""
    headers, place = _alice(), f"{BASE}/api/me/webhooks"
    for hook in httpx.get(place, headers=headers, timeout=20).raise_for_status().json():
        httpx.delete(f"{place}/{hook['id']}", headers=headers, timeout=20)


@functools.cache
def _alice() -> dict[str, str]:
    return {"Authorization": f"Bearer {_signed_in('login', EMAILS['alice'])['access']}"}


@functools.cache
def row_of_alice(kind: str) -> int:
    return _new_row(kind)


def trashed_row_of_alice(kind: str) -> int:
    """Another one each time, as it does not stay in the trash."""
    pk = _new_row(kind)
    httpx.delete(f"{BASE}/api/me/{KINDS[kind]['plural']}/{pk}", headers=_alice(), timeout=20).raise_for_status()
    return pk


def _new_row(kind: str) -> int:
    needed_by(kind)
    body = {**KINDS[kind]["body"], KINDS[kind]["label"]: f"of alice {next(_numbers)}"}
    if kind == "task":
        body["reminders"] = [{"uid": REMINDER, "minutes_before": 30}]
    answer = httpx.post(f"{BASE}/api/me/{KINDS[kind]['plural']}", json=body, headers=_alice(), timeout=20)
    return int(answer.raise_for_status().json()["id"])


@functools.cache
def needed_by(kind: str) -> None:
    """Make what rows of this kind cannot be without, and name as `needed`."""
    for each in KINDS[kind]["needs"]:
        needed_by(each)
        place = f"{BASE}/api/me/{KINDS[each]['plural']}/by-uid/needed"
        httpx.put(place, json=KINDS[each]["body"], headers=_alice(), timeout=20).raise_for_status()


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
        _alice.cache_clear()  # whose session it may have been
        PEERS["alice"].invalidate()  # it may have been hers
    elif operation.startswith("delete") or operation in {"undo", "batch"} or operation.startswith("push"):
        row_of_alice.cache_clear()
        needed_by.cache_clear()


@schemathesis.check
def keeps_bobs_data_from_alice(ctx: CheckContext, response: Response, case: Case) -> None:
    assert CANARY not in response.text, f"alice was shown something of bob's: {response.text[:500]}"
