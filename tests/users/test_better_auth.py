"""A real issuer: an unmodified Better Auth with its JWT plugin."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
from pytest_django import Settings

from tests.better_auth import BetterAuth
from tests.clients.npm import install
from tests.server import Server
from users.tokens import external

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def better_auth() -> Iterator[BetterAuth]:
    with BetterAuth(install("better_auth")) as running:
        yield running


def test_its_tokens_are_believed(better_auth: BetterAuth, settings: Settings) -> None:
    for name, value in better_auth.environment.items():
        setattr(settings, name, value)
    user_id, token = better_auth.sign_up("ada@example.com", "Ada")
    identity = external.verify(token)
    assert (identity.issuer, identity.subject) == (better_auth.base, user_id)
    assert (identity.email, identity.name) == ("ada@example.com", "Ada")
    assert identity.issued_at is not None


def test_whoever_signs_up_there_has_tasks_here(better_auth: BetterAuth) -> None:
    user_id, token = better_auth.sign_up("grace@example.com", "Grace")
    with (
        TemporaryDirectory(prefix="tickbase-") as folder,
        Server(Path(folder), **better_auth.environment) as server,
        httpx.Client(base_url=server.base, headers={"Authorization": f"Bearer {token}"}) as app,
    ):
        created = app.post(f"/api/{user_id}/tasks", json={"title": "Water the plants"})
        assert (created.status_code, created.json()["user_id"]) == (201, user_id)
        assert app.get(created.url.join(created.headers["Location"])).json() == created.json()
        assert app.get(f"/api/{user_id}/tasks").json() == [created.json()]
        account = app.get("/api/users/me").json()
        assert (account["id"], account["email"], account["name"]) == (user_id, "grace@example.com", "Grace")
        _, other = better_auth.sign_up("eve@example.com", "Eve")
        assert app.get(f"/api/{user_id}/tasks", headers={"Authorization": f"Bearer {other}"}).status_code == 403
        assert app.get("/api/me/tasks", headers={"Authorization": f"Bearer {token[:-9]}"}).status_code == 401
