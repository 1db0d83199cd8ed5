"""Who calls: the seeded users as each server knows them, and the file in which load.lua reads them."""

import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from django.utils.timezone import now

from config.database.isolation import all_users
from tests.benchmarks.data import Size
from users.models import Session
from users.tokens import own

SECRET = "bench-secret-bench-secret-bench-secret-0123456789"
LIFETIME = 3600  # seconds, of the peers' tokens; Tickbase's live as long as it lets them
TITLE = "A new task from the benchmark"
DESCRIPTION = "some text of the task, of ordinary length for a description"


class Caller(NamedTuple):
    """A user of one server, with what is sent in their name."""

    role: str
    user: str  # as the owner of their tasks in the answers
    token: str
    tasks: str  # the address
    page: str  # the address of 50 tasks that are to do
    etag: str  # of that page
    ids: list[str]  # of the tasks to get and to change
    new: dict[str, str]  # a task to create


def role(user: int, size: Size) -> str:
    """Reads outnumber writes, and no user shall meet the rate limit: 3000 requests a minute."""
    if user > size.rich:
        return "create"
    return "read" if user <= size.rich * 2 // 3 else "change"


def task_numbers(user: int, size: Size) -> list[int]:
    """Forty, spread over what the user has."""
    return [size.first_task(user) + number * size.head(user) // 40 for number in range(40)]


def callers_of(tokens: dict[int, str], to_do: str, size: Size) -> dict[int, Caller]:
    """Of a server where each user's tasks have an address of their own."""
    return {
        user: Caller(
            role=role(user, size),
            user=str(user),
            token=token,
            tasks=f"/api/{user}/tasks",
            page=f"/api/{user}/tasks?status={to_do}&limit=50",
            etag=f'"{size.head(user)}"',
            ids=[str(number) for number in task_numbers(user, size)],
            new={"title": TITLE, "description": DESCRIPTION, "status": to_do},
        )
        for user, token in tokens.items()
    }


def write(path: Path, callers: Iterable[Caller]) -> None:
    path.write_text("".join("\t".join(_columns(caller)) + "\n" for caller in callers))


def _columns(caller: Caller) -> list[str]:
    ids, new = ",".join(caller.ids), json.dumps(caller.new)
    return [caller.role, caller.token, caller.tasks, caller.page, caller.etag, ids, new]


@all_users()
def of_tickbase() -> dict[int, str]:
    """Access tokens of the seeded sessions, good for ten minutes from now."""
    Session.objects.update(last_used_at=now())
    return {session.user_id: own.mint(session).access for session in Session.objects.select_related("user")}


def of_peers(size: Size) -> dict[int, str]:
    """With the claims of simplejwt, which FastAPI's peers read too."""
    return {
        user: signed(
            {"token_type": "access", "jti": uuid.uuid4().hex, "user_id": str(user), "sub": str(user)}, secret=SECRET
        )
        for user in range(1, size.users + 1)
    }


def signed(claims: dict[str, Any], *, secret: str) -> str:
    """A JWT by HS256."""
    issued_at = int(time.time())
    times = {"iat": issued_at, "exp": issued_at + LIFETIME}
    text = _encoded({"alg": "HS256", "typ": "JWT"}) + b"." + _encoded(claims | times)
    signature = hmac.new(secret.encode(), text, hashlib.sha256).digest()
    return (text + b"." + _base64(signature)).decode()


def _encoded(part: dict[str, Any]) -> bytes:
    return _base64(json.dumps(part).encode())


def _base64(octets: bytes) -> bytes:
    return base64.urlsafe_b64encode(octets).rstrip(b"=")
