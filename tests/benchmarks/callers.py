"""Who calls: the roles of the seeded users, and their tokens, in the file that load.lua reads."""

import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Iterable
from pathlib import Path

from django.utils.timezone import now

from config.database.isolation import all_users
from tests.benchmarks.data import Size
from users.models import Session
from users.tokens import own

SECRET = "bench-secret-bench-secret-bench-secret-0123456789"
LIFETIME = 3600  # seconds, of the peers' tokens; Tickbase's live as long as it lets them


def role(user: int, size: Size) -> str:
    """Reads outnumber writes, and no user shall meet the rate limit: 3000 requests a minute."""
    if user > size.rich:
        return "create"
    return "read" if user <= size.rich * 2 // 3 else "change"


def write(path: Path, tokens_by_user: dict[int, str], size: Size) -> None:
    lines = (
        f'{role(user, size)} {user} {token} {size.first_task(user)} "{size.head(user)}"\n'
        for user, token in tokens_by_user.items()
    )
    path.write_text("".join(lines))


@all_users()
def of_tickbase() -> dict[int, str]:
    """Access tokens of the seeded sessions, good for ten minutes from now."""
    Session.objects.update(last_used_at=now())
    return {session.user_id: own.mint(session).access for session in Session.objects.select_related("user")}


def of_peers(users: Iterable[int]) -> dict[int, str]:
    return {user: peers_token(user) for user in users}


def peers_token(user: int, secret: str = SECRET, lifetime: int = LIFETIME) -> str:
    """HS256, with the claims of simplejwt, which FastAPI's peers read too."""
    issued_at = int(time.time())
    times = {"iat": issued_at, "exp": issued_at + lifetime}
    claims = {"token_type": "access", **times, "jti": uuid.uuid4().hex, "user_id": str(user), "sub": str(user)}
    signed = _encoded({"alg": "HS256", "typ": "JWT"}) + b"." + _encoded(claims)
    signature = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    return (signed + b"." + _base64(signature)).decode()


def _encoded(part: dict[str, object]) -> bytes:
    return _base64(json.dumps(part).encode())


def _base64(octets: bytes) -> bytes:
    return base64.urlsafe_b64encode(octets).rstrip(b"=")
