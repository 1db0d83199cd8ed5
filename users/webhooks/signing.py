"""Secrets and signatures of Standard Webhooks 1.0: HMAC-SHA256 over id, timestamp and body."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable

PREFIX = "whsec_"
_BYTES = 32


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def headers(webhook_id: str, timestamp: int, body: bytes, keys: Iterable[str]) -> dict[str, str]:
    """The headers of a delivery, with a signature by each secret."""
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{_signature(key, signed)}" for key in keys),
    }


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def webhook_id(*parts: object) -> str:
    """The id of a message, the same for each attempt: a digest of what tells it from all others."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    return "msg_" + base64.b32encode(digest[:20]).decode().lower()
