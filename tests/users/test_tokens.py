"""Personal tokens: who makes one, what is stored of it, what it may never do, and what ends it."""

import datetime as dt
import hashlib
import re
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from config.errors import InvalidToken
from tasks.models import Task
from tests.audited import only
from tests.callers import with_token
from tests.client import Api
from tests.factories import PASSWORD, caller_of, make_task, make_token, make_user
from tests.issuer import Issuer
from tests.problems import cases, places_of, problem_of, stored
from users import services
from users.audit import Action
from users.models import Change, PersonalToken, User
from users.tokens import mailed, personal

TOKENS = "/api/users/me/tokens"
BODY: dict[str, Any] = {"name": "Backup script", "scopes": ["tasks:read", "tasks:write"]}
DAY = dt.timedelta(days=1)


def only_token() -> PersonalToken:
    return PersonalToken.objects.get()


def is_alive(token: str) -> bool:
    """As a process sees it that has met it, and as another one does."""
    known = with_token(token).get("/api/me/tasks").status_code
    forget()
    new = with_token(token).get("/api/me/tasks").status_code
    assert known == new and known in (200, 401)
    return known == 200


def forget() -> None:
    """As a process that was just started."""
    for kept in (personal._known, personal._refused, personal._uses):
        kept.clear()


# --- Making one -------------------------------------------------------------------------------------


def test_a_token_is_shown_once_and_stored_as_a_digest(as_alice: Api, alice: User) -> None:
    answer = as_alice.post(TOKENS, BODY)
    made = answer.json()
    token = made.pop("token")
    assert (answer.status_code, answer["Cache-Control"]) == (201, "no-store")
    assert re.fullmatch("tick_pat_[0-9A-Za-z]{49}", token)
    row = only_token()
    assert row.digest == hashlib.sha256(token.encode()).hexdigest()
    assert (row.prefix, row.scopes, row.user) == (token[:13], BODY["scopes"], alice)
    assert [made] == as_alice.get(TOKENS).json()
    assert token[13:] not in f"{stored()}{as_alice.get(TOKENS).content!r}"


def test_by_default_it_lives_ninety_days(as_alice: Api) -> None:
    as_alice.post(TOKENS, BODY)
    row = only_token()
    assert row.expires_at == row.created_at + 90 * DAY


def test_it_may_live_for_ever_or_to_a_moment(as_alice: Api) -> None:
    assert as_alice.post(TOKENS, {**BODY, "expires_at": None}).json()["expires_at"] is None
    later = as_alice.post(TOKENS, {**BODY, "expires_at": "2099-01-01T00:00:00+01:00"})
    assert later.json()["expires_at"] == "2098-12-31T23:00:00Z"


def test_the_operator_bounds_its_life(as_alice: Api, settings: Settings) -> None:
    settings.TOKEN_MAX_DAYS = 30
    for expires_at in (None, (timezone.now() + 31 * DAY).isoformat()):
        assert places_of(as_alice.post(TOKENS, {**BODY, "expires_at": expires_at}), "pointer") == ["/expires_at"]
    assert as_alice.post(TOKENS, BODY).status_code == 201
    assert only_token().expires_at == only_token().created_at + 30 * DAY


@pytest.mark.parametrize(
    ("changes", "pointers"),
    [
        ({"name": ""}, ["/name"]),
        ({"name": "a" * 101}, ["/name"]),
        ({"name": 7}, ["/name"]),
        ({"scopes": []}, ["/scopes"]),
        ({"scopes": ["tasks:read", "tasks:delete"]}, ["/scopes/1"]),
        ({"scopes": ["mails"]}, ["/scopes/0"]),
        ({"scopes": "tasks:read"}, ["/scopes"]),
        ({"scopes": ["tasks:read"] * 100}, ["/scopes"]),
        ({"scopes": [["tasks:read"]]}, ["/scopes/0"]),
        ({"expires_at": "2020-01-01T00:00:00Z"}, ["/expires_at"]),
        ({"expires_at": "tomorrow"}, ["/expires_at"]),
        ({"expires_at": 7}, ["/expires_at"]),
        ({"password": "wrong"}, ["/password"]),
        ({"token": "mine"}, ["/token"]),
        ({"user_id": 7}, ["/user_id"]),
    ],
    ids=str,
)
def test_a_bad_member_is_refused_by_name(as_alice: Api, changes: dict[str, Any], pointers: list[str]) -> None:
    assert places_of(as_alice.post(TOKENS, {**BODY, **changes}), "pointer") == pointers
    assert not PersonalToken.objects.exists()


def test_ten_minutes_after_the_sign_in_the_password_is_needed(as_alice: Api) -> None:
    with time_machine.travel(timezone.now() + dt.timedelta(minutes=9)):
        assert as_alice.post(TOKENS, BODY).status_code == 201
    with time_machine.travel(timezone.now() + dt.timedelta(minutes=10, seconds=5)):
        fresh = as_alice.post("/api/auth/refresh", {"refresh": as_alice.tokens.refresh}).json()["access"]
        api = with_token(fresh)
        assert problem_of(api.post(TOKENS, BODY), 403)["code"] == "sign_in_again"
        assert places_of(api.post(TOKENS, {**BODY, "password": "wrong"}), "pointer") == ["/password"]
        assert PersonalToken.objects.count() == 1
        assert api.post(TOKENS, {**BODY, "password": PASSWORD}).status_code == 201
    assert only(Action.PASSWORD_REFUSED)


def test_passwords_cannot_be_tried_here(as_alice: Api, limit: Callable[..., None]) -> None:
    limit(login="3/min")
    statuses = [as_alice.post(TOKENS, {**BODY, "password": "wrong"}).status_code for _ in range(4)]
    assert statuses == [400, 400, 400, 429]


def test_fifty_are_the_most_and_expired_ones_make_room(as_alice: Api, alice: User) -> None:
    for _ in range(50):
        make_token(alice, "tasks:read")
    problem = problem_of(as_alice.post(TOKENS, BODY), 409)
    assert (problem["code"], problem["limit"], PersonalToken.objects.count()) == ("limit_reached", 50, 50)
    PersonalToken.objects.filter(pk__in=PersonalToken.objects.values("pk")[:1]).update(expires_at=timezone.now())
    assert as_alice.post(TOKENS, BODY).status_code == 201
    assert PersonalToken.objects.count() == 50


def test_sent_again_with_its_key_it_makes_no_second_one_and_shows_none(as_alice: Api) -> None:
    first, second = (as_alice.post(TOKENS, BODY, idempotency_key="k") for _ in range(2))
    assert second.json() == first.json() | {"token": None}
    assert PersonalToken.objects.count() == 1
    assert first.json()["token"] not in str(stored())


def test_an_account_of_another_issuer_makes_tokens_too(db: None, issuer: Issuer) -> None:
    external = with_token(issuer.token("7"))
    token = external.post(TOKENS, BODY).json()["token"]
    api = with_token(token)
    assert api.post("/api/7/tasks", {"title": "By script"}).json()["user_id"] == "7"
    assert api.get(f"/api/{User.objects.get().pk}/tasks").status_code == 403


# --- Changing and revoking --------------------------------------------------------------------------


def test_a_token_can_be_renamed_and_expire_earlier(as_alice: Api, alice: User) -> None:
    token = make_token(alice, "tasks:read")
    path, earlier = f"{TOKENS}/{only_token().pk}", "2026-12-24T00:00:00Z"
    soon = (timezone.now() + DAY).isoformat()
    changed = as_alice.patch(path, {"name": "Renamed", "expires_at": soon}).json()
    assert (changed["name"], only_token().name) == ("Renamed", "Renamed")
    assert only_token().expires_at == dt.datetime.fromisoformat(soon)
    assert as_alice.patch(path, changed).json() == changed  # as it came
    for expires_at in (None, (timezone.now() + 2 * DAY).isoformat(), "2020-01-01T00:00:00Z"):
        assert places_of(as_alice.patch(path, {"expires_at": expires_at}), "pointer") == ["/expires_at"]
    assert earlier and only_token().expires_at == dt.datetime.fromisoformat(soon)
    assert is_alive(token)


def test_what_it_may_do_never_changes(as_alice: Api, alice: User) -> None:
    make_token(alice, "tasks:read")
    answer = as_alice.patch(f"{TOKENS}/{only_token().pk}", {"scopes": ["tasks:write"], "name": "New"})
    assert (answer.status_code, answer.json()["scopes"]) == (200, ["tasks:read"])
    assert only_token().scopes == ["tasks:read"]


def test_an_endless_one_can_get_an_end(as_alice: Api, alice: User) -> None:
    make_token(alice, "tasks:read", expires_at=None)
    path = f"{TOKENS}/{only_token().pk}"
    assert as_alice.patch(path, {"expires_at": None}).status_code == 200
    assert as_alice.patch(path, {"expires_at": (timezone.now() + DAY).isoformat()}).status_code == 200
    assert only_token().expires_at is not None


def test_a_revoked_token_is_dead_at_once(as_alice: Api, alice: User) -> None:
    token = make_token(alice, "tasks:read")
    assert is_alive(token)
    path = f"{TOKENS}/{only_token().pk}"
    assert as_alice.delete(path).status_code == 204
    answer = with_token(token).get("/api/me/tasks")
    assert problem_of(answer, 401)["code"] == "invalid_token"
    assert answer.json()["detail"] == "This personal token is invalid, revoked or expired; make a new one."
    forget()
    assert with_token(token).get("/api/me/tasks").json()["detail"] == answer.json()["detail"]
    assert answer["WWW-Authenticate"] == 'Bearer realm="api", error="invalid_token"'
    assert not PersonalToken.objects.exists()
    assert problem_of(as_alice.delete(path), 404)["code"] == "token_not_found"


@pytest.mark.parametrize("token_id", ["1", "x", "\0", "{foreign}", "%7Bx%7D", "a" * 3000])
def test_a_foreign_token_is_as_one_that_never_was(as_alice: Api, bob: User, token_id: str) -> None:
    make_token(bob, "tasks:read")
    path = f"{TOKENS}/{token_id.format(foreign=only_token().pk)}"
    before = stored()
    for answer in (as_alice.delete(path), as_alice.patch(path, {"name": "Mine"})):
        assert problem_of(answer, 404)["detail"] == "You have no token with this id."
    assert stored() == before


# --- What ends it -----------------------------------------------------------------------------------

ENDS: dict[str, Callable[[User], Any]] = {
    "deactivated": lambda user: services.update_account(user, is_active=False),
    "deactivated and activated again": lambda user: services.update_account(
        services.update_account(user, is_active=False), is_active=True
    ),
    "deleted": services.delete_account,
    "password reset by mail": lambda user: services.reset_password(
        mailed.PASSWORD_RESET.make(user), "staple the battery"
    ),
    "password set by staff": lambda user: services.set_password(user, "staple the battery"),
    "inactive, behind the services": lambda user: User.objects.filter(pk=user.pk).update(is_active=False),
    "expired": lambda user: PersonalToken.objects.update(expires_at=timezone.now()),
}


@pytest.mark.parametrize("end", cases(ENDS))
def test_what_ends_it_ends_it_at_once(alice: User, end: Callable[[User], Any]) -> None:
    make_task(alice, title="Secret")
    token = make_token(alice, "tasks:read", "tasks:write")
    assert is_alive(token)
    end(alice)
    before = stored()
    for method, path, body in (("get", "", None), ("post", "", {"title": "Late"}), ("get", "/1", None)):
        answer = getattr(with_token(token), method)(f"/api/me/tasks{path}", *([body] if body else []))
        assert problem_of(answer, 401)["code"] == "invalid_token"
    assert not is_alive(token)
    assert stored() == before


def test_a_change_of_the_password_leaves_it(as_alice: Api, alice: User) -> None:
    """A script must not stop because a person has chosen a better password."""
    token = make_token(alice, "tasks:read")
    body = {"current_password": PASSWORD, "new_password": "staple the battery"}
    assert as_alice.post("/api/users/me/password", body).status_code == 200
    assert is_alive(token)


def test_signing_out_everywhere_leaves_it(as_alice: Api, alice: User) -> None:
    token = make_token(alice, "tasks:read")
    assert as_alice.delete("/api/users/me/sessions").status_code == 204
    assert is_alive(token)


def test_the_clock_ends_it_also_for_a_process_that_knows_it(alice: User) -> None:
    token = make_token(alice, "tasks:read", expires_at=timezone.now() + DAY)
    assert is_alive(token)
    assert with_token(token).get("/api/me/tasks").status_code == 200
    with time_machine.travel(timezone.now() + DAY + dt.timedelta(seconds=1)):
        assert with_token(token).get("/api/me/tasks").status_code == 401


def test_an_unverified_address_acts_only_where_it_may(alice: User, settings: Settings) -> None:
    settings.EMAIL_VERIFICATION = "required"
    api, before = with_token(make_token(alice, "tasks:read", "tasks:write", "account:read")), Task.objects.count()
    assert problem_of(api.get("/api/me/tasks"), 403)["code"] == "email_unverified"
    assert problem_of(api.post("/api/me/tasks", {"title": "New"}), 403)["code"] == "email_unverified"
    assert api.get("/api/users/me").status_code == 200
    assert Task.objects.count() == before


# --- In use -----------------------------------------------------------------------------------------


def test_it_acts_on_its_users_tasks_and_on_nobody_elses(alice: User, bob: User) -> None:
    task = make_task(bob, title="Secret")
    api = with_token(make_token(alice, "tasks:read", "tasks:write"))
    made = api.post("/api/me/tasks", {"title": "By script"})
    assert (made.status_code, Task.objects.get(title="By script").user) == (201, alice)
    assert [each["title"] for each in api.get("/api/me/tasks").json()] == ["By script"]
    assert problem_of(api.get(f"/api/me/tasks/{task.pk}"), 404)
    assert problem_of(api.get(f"/api/{bob.pk}/tasks"), 403)["code"] == "permission_denied"


def test_the_log_tells_of_it_and_undo_takes_it_back(alice: User) -> None:
    api = with_token(make_token(alice, "tasks:read", "tasks:write"))
    actor = f"token:{only_token().pk}"
    make_task(alice)
    made = api.post("/api/me/tasks", {"title": "By script"}).json()
    [entry] = api.get(f"/api/me/history?type=task&actor={actor}").json()
    assert (entry["object_id"], entry["actor"]) == (made["id"], actor)
    undone = api.post("/api/me/undo", {}).json()
    assert undone["changed"] == [{"type": "task", "id": made["id"], "version": 3}]
    assert Change.objects.latest("version").actor == actor
    assert problem_of(api.post("/api/me/undo", {}), 409)["code"] == "nothing_to_undo"


def test_keys_are_those_of_the_user_whichever_token_is_sent(as_alice: Api, alice: User) -> None:
    api = with_token(make_token(alice, "tasks:write"))
    first = as_alice.post("/api/me/tasks", {"title": "Once"}, idempotency_key="k")
    again = api.post("/api/me/tasks", {"title": "Once"}, idempotency_key="k")
    assert (again["Idempotency-Replayed"], again.json(), Task.objects.count()) == ("true", first.json(), 1)


def test_a_known_token_costs_no_statement_of_its_own(alice: User) -> None:
    task, token = make_task(alice), make_token(alice, "tasks:read", "tasks:write")
    as_session, api = Api(alice), with_token(token)
    for method, path, body in (
        ("get", f"/{task.pk}", None),
        ("get", "", None),
        ("patch", f"/{task.pk}", {"priority": "high"}),
        ("post", "", {"title": "New"}),
    ):
        counts: list[int] = []
        for each in (as_session, api, api):
            arguments = [f"/api/me/tasks{path}", *([{**body, "description": f"{len(counts)}"}] if body else [])]
            with CaptureQueriesContext(connection) as queries:
                assert getattr(each, method)(*arguments).status_code in (200, 201)
            counts.append(len(queries))
        assert counts[0] == counts[2], (method, counts)


def test_the_last_use_is_written_down_once_an_hour(alice: User) -> None:
    api = with_token(make_token(alice, "tasks:read"))
    assert only_token().last_used_at is None
    start = timezone.now().replace(microsecond=0)
    for minutes, expected in ((0, 0), (59, 0), (61, 61), (90, 61)):
        with time_machine.travel(start + dt.timedelta(minutes=minutes), tick=False):
            if minutes == 59:
                forget()  # another process knows it from the row
            assert api.get("/api/me/tasks").status_code == 200
        assert only_token().last_used_at == start + dt.timedelta(minutes=expected)
    assert only_token().last_used_network == "127.0.0.0/24"


@pytest.mark.parametrize(
    ("address", "network"),
    [("203.0.113.77", "203.0.113.0/24"), ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"), ("", "")],
)
def test_of_the_address_the_network_is_kept(alice: User, address: str, network: str) -> None:
    api: Any = with_token(make_token(alice, "tasks:read"))
    assert api.client.get("/api/me/tasks", REMOTE_ADDR=address).status_code == 200
    assert only_token().last_used_network == network


def test_a_refused_request_is_no_use(alice: User, bob: User) -> None:
    api = with_token(make_token(alice, "tasks:read"))
    assert (api.get("/api/me/projects").status_code, api.get(f"/api/{bob.pk}/tasks").status_code) == (403, 403)
    assert only_token().last_used_at is None


# --- Sessions that end meanwhile ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "end",
    [
        lambda user: user.sessions.all().delete(),
        lambda user: User.objects.filter(pk=user.pk).update(is_active=False),
        lambda user: User.objects.filter(pk=user.pk).update(token_version=7),
    ],
    ids=["session ended", "deactivated", "password changed"],
)
def test_a_session_that_has_ended_meanwhile_makes_none(alice: User, end: Callable[[User], Any]) -> None:
    grant = caller_of(alice).grant
    end(alice)
    with pytest.raises(InvalidToken):
        services.create_token(grant, name="Late", scopes=["tasks:read"])
    assert not PersonalToken.objects.exists()


def test_who_is_nobody_makes_none(db: None) -> None:
    make_user()
    assert problem_of(Api().post(TOKENS, BODY), 401)["code"] == "not_authenticated"
