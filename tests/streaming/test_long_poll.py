"""A view that lets its request wait for the user's next change: the whole of it, behind the bridge."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any, cast

import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from django.urls import path
from pytest_django import Settings
from rest_framework.request import Request

from config.asgi import networks_of
from config.database.isolation import all_users
from config.http.middleware import REFUSAL_KEY, refuse
from config.http.views import APIView, Response
from config.server.bridge import Bridge, Lane
from config.server.streams import Places, Streams
from config.server.wakeups import Wakeups
from config.wsgi import Application
from tests.config.test_bridge import Client, scope
from tests.factories import make_task, make_tokens, make_user
from users.sync import stream
from users.sync.stream import Heads
from users.tokens.callers import Caller

runs: list[str] = []


class HeadView(APIView):
    def get(self, request: Request, user_id: str) -> Response:
        caller = cast(Caller, request.user)
        head = stream.head_of(caller)
        runs.append(request.META["tickbase.request_id"])
        response: Any = Response({"head": head.version})
        if head.version == int(request.GET["since"]):
            response.follow = stream.wait(request, caller, head, float(request.GET["wait"]))
        return cast(Response, response)


urlpatterns = [path("api/<str:user_id>/head", HeadView.as_view())]


def bridge() -> Bridge:
    return Bridge(
        Application(),
        threads=1,
        max_body=1000,
        lane_of=lambda *request: Lane.COMMON,
        networks_of=networks_of,
        caller_of=lambda environ, network: network,
        refuser=refuse,
        refusal_key=REFUSAL_KEY,
        streams=Streams(Wakeups(Heads()), Places(None)),
    )


@pytest.fixture
def database(transactional_db: None) -> Iterator[None]:
    """The connections of threads end with the test, also of those that go on."""
    yield
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.mark.parametrize(("wait", "expected", "ran"), [("25", 1, 2), ("0.3", 0, 1)])
def test_a_request_waits_for_a_change_without_a_thread(
    database: None, settings: Settings, wait: str, expected: int, ran: int
) -> None:
    """The one thread serves others meanwhile; both runs have one id in the log."""
    settings.ROOT_URLCONF = __name__
    alice = make_user()
    bearer = f"Bearer {make_tokens(alice).access}"
    runs.clear()

    async def scene() -> Client:
        served, waiting, other = bridge(), Client(), Client()

        def ask(query: bytes, client: Client) -> Any:
            request = scope(path=b"/api/me/head", query=query, host="localhost", authorization=bearer)
            return served(request, client.receive, client.send)

        async with asyncio.timeout(20):
            task = asyncio.ensure_future(ask(f"since=0&wait={wait}".encode(), waiting))
            while not runs:
                await asyncio.sleep(0.01)
            await ask(b"since=-1&wait=25", other)
            assert json.loads(other.body) == {"head": 0}
            if ran == 2:
                assert not task.done()
                with all_users():
                    await sync_to_async(make_task)(alice)
            await task
        return waiting

    answered = asyncio.run(scene())
    assert (answered.status, json.loads(answered.body)) == (200, {"head": expected})
    own = dict(answered.headers)["x-request-id"]
    assert runs.count(own) == ran
