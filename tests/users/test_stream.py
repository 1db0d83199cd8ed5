"""The routes of the stream: who is let in, tickets, bad input, and what wakes those who listen."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.http import HttpRequest
from pytest_django import DjangoAssertNumQueries, Settings

from config.database.breaker import breaker
from config.http.request import REQUEST_ID
from config.server import wakeups
from config.server.streams import HOLDS, Stream, Wait
from config.server.wakeups import Move
from tasks import services
from tasks.models import Task
from tests.client import Api
from tests.config.test_wakeups import Numbers
from tests.factories import caller_of, head_of, make_task, make_user
from tests.problems import places_of, problem_of
from users.models import Epoch, Session, User
from users.resources import undo
from users.resources.log import current_epoch
from users.services import epochs
from users.sync import stream
from users.sync.cursors import Cursor
from users.sync.stream import Heads
from users.tokens import callers, tickets
from users.tokens.callers import Watched

STREAM, TICKETS = "/api/me/stream", "/api/me/stream/tickets"


class Streaming(Api):
    """Calls as through a server that streams."""

    def __init__(self, user: User | None = None) -> None:
        super().__init__(user)
        self.client.defaults[HOLDS] = True  # type: ignore[assignment]


@pytest.fixture
def streaming(alice: User) -> Streaming:
    return Streaming(alice)


def followed(answer: Any) -> Stream:
    assert answer.status_code == 200, answer.content
    assert isinstance(answer.follow, Stream)
    return answer.follow


def ticket_of(api: Api) -> str:
    ticket: str = api.post(TICKETS).json()["ticket"]
    return ticket


def by_ticket(ticket: str) -> Any:
    return Streaming().client.get(STREAM, {"ticket": ticket})


def test_an_answer_says_where_the_head_is_and_what_the_client_knows(streaming: Streaming, alice: User) -> None:
    make_task(alice)
    known = Cursor(alice.pk, current_epoch(), head_of(alice))
    for answer, told in (
        (streaming.get(STREAM), None),
        (streaming.get(f"{STREAM}?since={known.encode()}"), known),
        (streaming.get(f"{STREAM}?since={Cursor(1, 1, 2).encode()}", last_event_id=known.encode()), known),
    ):
        assert (followed(answer).told, followed(answer).subscription.position) == (told, known)
        assert (answer["Content-Type"], answer["Cache-Control"]) == ("text/event-stream", "no-store")
        assert answer["X-Accel-Buffering"] == "no"


def test_an_event_has_the_cursor_as_its_id() -> None:
    name, number, data = stream.event_of(Cursor(1, 5, 7)).decode().strip().split("\n")
    cursor = Cursor(1, 5, 7).encode()
    assert (name, number) == ("event: head", f"id: {cursor}")
    assert json.loads(data.removeprefix("data: ")) == {"cursor": cursor}


def test_head_begins_no_stream(streaming: Streaming) -> None:
    answer: Any = streaming.client.head(STREAM)
    assert (answer.status_code, getattr(answer, "follow", None)) == (200, None)


@pytest.mark.parametrize("cursor", ["", "x", "A" * 22, "A" * 65, "é", "%00", "ArG1wqvYPNIAAAAAAAAAAQ="])
def test_what_is_no_cursor_is_refused_by_name(streaming: Streaming, cursor: str) -> None:
    assert places_of(streaming.get(f"{STREAM}?since={cursor}"), "parameter") == ["since"]
    if cursor and cursor.isascii():
        assert places_of(streaming.get(STREAM, last_event_id=cursor), "header") == ["Last-Event-ID"]


def test_unknown_parameters_and_members_are_refused_by_name(streaming: Streaming) -> None:
    assert places_of(streaming.get(f"{STREAM}?wait=5"), "parameter") == ["wait"]
    assert places_of(streaming.post(TICKETS, {"for": 60}), "pointer") == ["/for"]


def test_another_user_is_refused(streaming: Streaming, bob: User) -> None:
    assert problem_of(streaming.get(f"/api/{bob.pk}/stream"), 403)["code"] == "permission_denied"
    assert problem_of(streaming.post(f"/api/{bob.pk}/stream/tickets"), 403)["code"] == "permission_denied"


@pytest.mark.parametrize("is_on", [True, False])
def test_who_cannot_have_a_stream_is_told_why(as_alice: Api, settings: Settings, is_on: bool) -> None:
    settings.STREAMS = is_on
    for answer in (as_alice.get(STREAM), as_alice.post(TICKETS)):
        problem = problem_of(answer, 404)
        assert problem["code"] == "streams_off"
        assert ("STREAMS=off" in problem["detail"]) == (not is_on)


def test_a_stream_costs_two_queries(streaming: Streaming, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(2):
        followed(streaming.get(STREAM))


# --- Tickets ----------------------------------------------------------------------------------------


def test_a_ticket_opens_one_stream_that_ends_with_its_token(streaming: Streaming) -> None:
    made = streaming.post(TICKETS)
    assert (made.status_code, made["Cache-Control"], made.json()["expires_in"]) == (201, "no-store", 30)
    ticket = made.json()["ticket"]
    assert followed(by_ticket(ticket)).subscription == followed(streaming.get(STREAM)).subscription
    assert problem_of(by_ticket(ticket), 401)["code"] == "invalid_token"


@pytest.mark.parametrize("ticket", ["", "x", "a:b:c", "é", "x" * 5000])
def test_a_forged_ticket_is_refused(db: None, ticket: str) -> None:
    assert by_ticket(ticket).status_code == 401


def test_a_late_ticket_is_refused(streaming: Streaming, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = ticket_of(streaming)
    monkeypatch.setattr(tickets, "SECONDS", -1)
    assert problem_of(by_ticket(ticket), 401)["code"] == "invalid_token"


def test_a_ticket_ends_with_its_session(streaming: Streaming, alice: User) -> None:
    ticket = ticket_of(streaming)
    Session.objects.filter(user=alice).delete()
    assert problem_of(by_ticket(ticket), 401)["code"] == "invalid_token"


def test_a_ticket_is_for_its_user_alone(streaming: Streaming, bob: User) -> None:
    answer = Streaming().client.get(f"/api/{bob.pk}/stream", {"ticket": ticket_of(streaming)})
    assert problem_of(answer, 403)["code"] == "permission_denied"


def test_a_ticket_beside_a_token_is_refused_by_name(streaming: Streaming) -> None:
    answer = streaming.get(f"{STREAM}?ticket={ticket_of(streaming)}")
    assert places_of(answer, "parameter") == ["ticket"]


def test_a_ticket_is_good_for_nothing_else(streaming: Streaming) -> None:
    ticket = ticket_of(streaming)
    answer = Api().client.get("/api/me/tasks", {"ticket": ticket})
    assert problem_of(answer, 401)["code"] == "not_authenticated"
    bearing: Any = Api().client.get("/api/me/tasks", headers={"Authorization": f"Bearer {ticket}"})
    assert problem_of(bearing, 401)["code"] == "invalid_token"


def test_a_ticket_of_an_external_account_ends_with_the_account(db: None) -> None:
    user = User.objects.create(issuer="https://issuer.example", subject="sub-1", password="!")
    caller = callers.Caller(user.pk, "sub-1", lambda: None, expires_at=time.time() + 60)  # type: ignore[arg-type, return-value]
    read = tickets.read(tickets.make(caller))
    assert (read.pk, read.public_id, read.expires_at) == (user.pk, "sub-1", caller.expires_at)
    read.require_standing()
    User.objects.filter(pk=user.pk).update(is_active=False)
    with pytest.raises(Exception, match="token is invalid"):
        read.verify()


# --- Who may go on listening ------------------------------------------------------------------------


def test_who_has_lost_the_session_or_the_account_has_fallen(db: None) -> None:
    kept, signed_out, inactive, renewed, deleted, external = (make_user() for _ in range(6))
    watched = {user.pk: caller_of(user).watched for user in (kept, signed_out, inactive, renewed, deleted)}
    watched[external.pk] = Watched(external.pk, None, 0, False)
    assert callers.fallen(watched.values()) == set()
    Session.objects.filter(user=signed_out).delete()
    User.objects.filter(pk=inactive.pk).update(is_active=False)
    User.objects.filter(pk=renewed.pk).update(token_version=1)
    deleted_pk = deleted.pk
    deleted.delete()
    expected = {watched[pk] for pk in (signed_out.pk, inactive.pk, renewed.pk, deleted_pk)}
    assert callers.fallen(watched.values()) == expected
    assert callers.fallen([watched[kept.pk]._replace(needs_verified_email=True)]) != set()
    assert callers.fallen([watched[kept.pk]._replace(session_id=uuid4())]) != set()
    assert callers.fallen([]) == set()


# --- Heads ------------------------------------------------------------------------------------------


def test_heads_are_told_that_are_not_the_known_ones(alice: User, bob: User) -> None:
    """Also of an account without a change, and in a new epoch."""
    task, heads = make_task(alice), Heads()
    none = Cursor(bob.pk, current_epoch(), 0)
    found = heads.moved({alice.pk: None, bob.pk: None})
    head = Cursor(alice.pk, current_epoch(), head_of(alice))
    assert found == {alice.pk: Move(head, task.updated_at.timestamp()), bob.pk: Move(none, None)}
    known: dict[int, Cursor | None] = {alice.pk: head, bob.pk: none}
    assert heads.moved(known) == {}
    task = make_task(bob)
    assert heads.moved(known) == {
        bob.pk: Move(Cursor(bob.pk, current_epoch(), head_of(bob)), task.updated_at.timestamp())
    }
    epochs.new_epoch()
    found = heads.moved(known)
    assert found.keys() == {alice.pk, bob.pk}
    assert Epoch.objects.get().value in {move.position.epoch for move in found.values()}


def test_an_outage_is_survived_and_told_once(transactional_db: None, caplog: pytest.LogCaptureFixture) -> None:
    alice, heads = make_user(), Heads()
    make_task(alice)
    connection.close()
    breaker.open()
    try:
        assert heads.moved({alice.pk: None}) == {}
        assert heads.refused([Watched(alice.pk, None, 0, False)]) == ()
    finally:
        breaker.close()
    assert heads.moved({alice.pk: None}).keys() == {alice.pk}
    told = [record.message for record in caplog.records if record.name == "users.sync.stream"]
    assert len(told) == 2 and "woken again" in told[1]


# --- Hints ------------------------------------------------------------------------------------------


@pytest.fixture
def hints(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The users about whom a thread of this process has told; all are listened to."""
    told: list[int] = []

    class Everybody(set[int]):
        def __contains__(self, key: object) -> bool:
            return True

    class Hub(wakeups.Wakeups):
        def hint(self, key: int) -> None:
            told.append(key)

    monkeypatch.setattr(wakeups, "_all", [])
    monkeypatch.setattr(wakeups, "awaited", Everybody())
    Hub(Numbers())
    yield told


WRITES: dict[str, Callable[[User, Task], object]] = {
    "create": lambda user, task: make_task(user),
    "change": lambda user, task: services.update_task(user, task.pk, {"title": "b"}),
    "delete": lambda user, task: services.delete_task(user, task.pk),
    "undo": lambda user, task: undo.undo(user, operation=task.version),
}


@pytest.mark.parametrize("name", WRITES)
def test_each_write_tells_who_listens_in_this_process_after_its_commit(
    transactional_db: None, hints: list[int], name: str
) -> None:
    alice = make_user()
    task = make_task(alice)
    hints.clear()
    with transaction.atomic():
        transaction.on_commit(lambda: hints.append(-1))
        if name == "create":  # a row of its own transaction may not be inserted in another
            pass
        else:
            WRITES[name](alice, task)
            assert hints == []
    if name == "create":
        WRITES[name](alice, task)
    assert set(hints) - {-1} == {alice.pk}


def test_what_is_rolled_back_tells_nobody(transactional_db: None, hints: list[int]) -> None:
    alice = make_user()
    task = make_task(alice)
    hints.clear()
    with transaction.atomic():
        services.delete_task(alice, task.pk)
        transaction.set_rollback(True)
    assert hints == []


# --- Requests that wait -----------------------------------------------------------------------------


def request(**meta: Any) -> HttpRequest:
    made = HttpRequest()
    made.META = {HOLDS: True, REQUEST_ID: "one", **meta}
    return made


def test_a_request_waits_for_its_user_and_goes_on_with_its_id_and_what_is_left_of_its_time(alice: User) -> None:
    head, caller = Cursor(1, 1, 2), caller_of(alice)
    waiting = stream.wait(request(), caller, head, 25)
    assert isinstance(waiting, Wait) and 24 < waiting.seconds <= 25
    assert (waiting.subscription.key, waiting.subscription.position) == (alice.pk, head)
    assert waiting.environ["HTTP_X_REQUEST_ID"] == "one"
    again = stream.wait(request(**{**waiting.environ, stream.WAIT_UNTIL: time.time() + 3}), caller, head, 25)
    assert again is not None and again.seconds <= 3
    assert stream.wait(request(**{stream.WAIT_UNTIL: time.time() - 1}), caller, head, 25) is None
    assert stream.wait(request(), caller, head, 0) is None


def test_where_no_request_can_wait_the_answer_comes_at_once(alice: User) -> None:
    plain = request()
    del plain.META[HOLDS]
    assert stream.wait(plain, caller_of(alice), Cursor(1, 1, 2), 25) is None
