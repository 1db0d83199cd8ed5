"""Streams that a personal token has opened, by itself or by a ticket; and tokens in the path, of calendars."""

import datetime as dt
import logging
import time
from collections.abc import Callable
from typing import Any

import icalendar
import pytest
import time_machine
from django.utils import timezone

from config.server.streams import HOLDS
from tests.callers import with_token
from tests.client import Api
from tests.factories import caller_of, make_session, make_task, make_token, make_user
from tests.problems import problem_of
from users import services
from users.models import PersonalToken, User
from users.tokens import callers, own, personal, tickets
from users.tokens.callers import TokenCaller

STREAM, TICKETS = "/api/me/stream", "/api/me/stream/tickets"
DAY = dt.timedelta(days=1)


def streaming(token: str | None = None) -> Api:
    """Calls as through a server that streams."""
    api = with_token(token) if token else Api()
    api.client.defaults[HOLDS] = True  # type: ignore[assignment]
    return api


def watched(token: str) -> callers.Watched:
    answer: Any = streaming(token).get(STREAM)
    assert answer.status_code == 200
    found: callers.Watched = answer.follow.subscription.grant
    return found


def token_of(user: User, *scopes: str, **options: Any) -> tuple[str, PersonalToken]:
    token = make_token(user, *scopes, **options)
    return token, PersonalToken.objects.get(digest=personal.digest_of(token))


# --- Streams ----------------------------------------------------------------------------------------

ENDS: dict[str, Callable[[PersonalToken], Any]] = {
    "revoked": lambda row: services.revoke_token(row.user, row.pk),
    "expired": lambda row: PersonalToken.objects.filter(pk=row.pk).update(expires_at=timezone.now()),
    "deactivated": lambda row: User.objects.filter(pk=row.user_id).update(is_active=False),
    "account deleted": lambda row: row.user.delete(),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_stream_ends_with_its_token(alice: User, end: Callable[[PersonalToken], Any]) -> None:
    (token, row), (other, _) = token_of(alice, "tasks:read"), token_of(make_user(), "tasks:read", expires_at=None)
    grants = [watched(token), watched(other), caller_of(make_user()).watched]
    assert callers.fallen(grants) == set()
    end(row)
    assert callers.fallen(grants) == {grants[0]}


def test_a_stream_ends_when_its_token_expires(alice: User) -> None:
    token, row = token_of(alice, "tasks:read", expires_at=timezone.now() + DAY)
    answer: Any = streaming(token).get(STREAM)
    assert row.expires_at is not None
    assert answer.follow.subscription.ends_at == row.expires_at.timestamp()


def test_the_token_of_another_account_keeps_no_stream_open(alice: User, bob: User) -> None:
    token, _ = token_of(alice, "tasks:read")
    stolen = watched(token)._replace(user_id=bob.pk)
    assert callers.fallen([stolen]) == {stolen}


def test_a_ticket_stands_for_the_token_with_its_scopes(alice: User) -> None:
    token, row = token_of(alice, "tasks:read", "account:read")
    ticket = streaming(token).post(TICKETS).json()["ticket"]
    caller = tickets.read(ticket)
    assert isinstance(caller, TokenCaller)
    assert (caller.pk, caller.token_id) == (alice.pk, row.pk)
    assert caller.scopes == frozenset({"tasks:read", "account:read"})
    assert caller.watched == watched(token)
    client: Any = streaming().client
    assert client.get("/api/me/sync/projects/0/pullStream", {"ticket": ticket}).status_code == 403
    assert client.get("/api/me/sync/tasks/0/pullStream", {"ticket": ticket}).status_code == 200
    assert client.get(STREAM, {"ticket": ticket}).status_code == 401  # spent


def test_a_ticket_of_an_endless_token_of_an_external_account(db: None) -> None:
    user = User.objects.create(issuer="https://issuer.example", subject="sub-1", password="!")
    token, _ = token_of(user, "tasks:read", expires_at=None)
    caller = tickets.read(streaming(token).post(TICKETS).json()["ticket"])
    assert (caller.public_id, caller.is_external, caller.expires_at) == ("sub-1", True, float("inf"))


def test_a_ticket_of_a_revoked_token_opens_nothing(alice: User) -> None:
    token, row = token_of(alice, "tasks:read")
    ticket = streaming(token).post(TICKETS).json()["ticket"]
    services.revoke_token(alice, row.pk)
    client: Any = streaming().client
    assert problem_of(client.get(STREAM, {"ticket": ticket}), 401)["code"] == "invalid_token"


def test_a_ticket_with_every_scope_fits_its_bound(alice: User) -> None:
    scopes = frozenset(f"a-long-name-of-a-resource-{number}:write" for number in range(20))
    known = personal.Known(make_session(alice).pk, alice.pk, "s" * 255, True, scopes, time.time())
    assert len(tickets.make(TokenCaller(known))) <= tickets.MAX_TICKET


def test_a_ticket_of_the_release_before_is_refused_in_words(alice: User) -> None:
    from django.core import signing

    old = signing.dumps([alice.pk, str(alice.pk), None, 0, time.time() + 60, "nonce"], salt=tickets._SALT)
    client: Any = streaming().client
    assert problem_of(client.get(STREAM, {"ticket": old}), 401)["code"] == "invalid_token"


# --- Tokens in the path -----------------------------------------------------------------------------


def calendar(token: str, **headers: str) -> Any:
    return Api().client.get(f"/feeds/{token}.ics", headers=headers)


def test_a_token_in_the_path_reads_its_users_calendar_until_it_is_revoked(alice: User) -> None:
    make_task(alice, title="Water the plants", due_date=dt.date(2026, 12, 1))
    make_task(alice, title="Some day")
    make_task(alice, title="Done", due_date=dt.date(2026, 12, 2), status="completed")
    token, row = token_of(alice, "feeds:read")
    answer = calendar(token)
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/calendar; charset=utf-8")
    assert "no-store" in answer["Cache-Control"]
    events: Any = icalendar.Calendar.from_ical(answer.getvalue()).walk("VEVENT")
    assert [(str(event["SUMMARY"]), event["DTSTART"].dt) for event in events] == [
        ("Water the plants", dt.date(2026, 12, 1))
    ]
    services.revoke_token(alice, row.pk)
    for _ in range(2):
        assert "WWW-Authenticate" not in calendar(token)
        assert problem_of(calendar(token), 404)["detail"] == "Nothing is here."


@pytest.mark.parametrize("token", ["x", "tick_pat_", "eyJhbGciOi.x.y", "%00", "a" * 5000])
def test_what_is_no_token_is_a_404(token: str) -> None:
    assert problem_of(calendar(token), 404)["detail"] == "Nothing is here."


def test_neither_a_session_nor_a_header_opens_a_calendar(alice: User) -> None:
    access = own.mint(make_session(alice)).access
    token, _ = token_of(alice, "feeds:read")
    assert calendar(access).status_code == 404
    assert calendar("x", authorization=f"Bearer {token}").status_code == 404
    assert calendar(personal.make(), authorization=f"Bearer {access}").status_code == 404


def test_another_scope_opens_no_calendar_and_this_one_nothing_else(alice: User) -> None:
    tasks, _ = token_of(alice, "tasks:read", "account:read")
    feeds, _ = token_of(alice, "feeds:read")
    assert problem_of(calendar(tasks), 403)["code"] == "insufficient_scope"
    for address in ("/api/me/tasks", "/api/users/me", "/api/me/changes", STREAM):
        assert streaming(feeds).get(address).status_code == 403


def test_guesses_are_limited_by_network(db: None, limit: Callable[..., None]) -> None:
    limit(anon="3/min")
    assert [calendar(personal.make()).status_code for _ in range(5)] == [404, 404, 404, 429, 429]


def test_no_line_of_the_log_has_the_token(alice: User, caplog: pytest.LogCaptureFixture) -> None:
    token, _ = token_of(alice, "feeds:read")
    made_up, tasks = personal.make(), token_of(alice, "tasks:read")[0]
    with caplog.at_level(logging.DEBUG):
        for each in (token, made_up, tasks, token + "x"):
            calendar(each)
            Api().client.get(f"/feeds/{each}")  # another address
    handler = logging.getLogger().handlers[0]
    told = "\n".join(f"{handler.format(record)} {record.getMessage()} {record.args}" for record in caplog.records)
    assert "/feeds/{token}.ics" in told
    assert not any(each[13:] in told for each in (token, made_up, tasks))


def test_the_clock_ends_a_calendar(alice: User) -> None:
    token, _ = token_of(alice, "feeds:read", expires_at=timezone.now() + DAY)
    assert calendar(token).status_code == 200
    with time_machine.travel(timezone.now() + DAY + dt.timedelta(seconds=1)):
        assert calendar(token).status_code == 404
