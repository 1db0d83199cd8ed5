"""Nobody keeps an owner out by attempts from elsewhere, and no guesser gets far: docs/security.md, "Guessing"."""

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from config.operations import work
from tests.client import Answer, Api
from tests.factories import PASSWORD, make_session, make_user
from tests.problems import problem_of, send
from users import services
from users.models import Session, User
from users.tokens import own

Limit = Callable[..., None]
LOGIN, FORGOT, ADMIN = "/api/auth/login", "/api/auth/forgot-password", "/admin/login/"
HOME, OFFICE = "198.51.100.7", "203.0.113.9"


def attempt(email: str, address: str, password: str = "wrong", token: str = "") -> Answer:
    headers = {"HTTP_AUTHORIZATION": f"Bearer {token}"} if token else {}
    body = {"email": email, "password": password}
    answer: Answer = send(Api(), "POST", LOGIN, body, REMOTE_ADDR=address, **headers)
    return answer


def signs_in(user: User, address: str, token: str = "") -> int:
    return attempt(user.email, address, PASSWORD, token).status_code


def attack(email: str, networks: int) -> list[int]:
    """Guesses from that many networks, once from each."""
    return [attempt(email, f"192.0.2.{host}").status_code for host in range(networks)]


@pytest.fixture
def attacked(limit: Limit, alice: User) -> User:
    """Whose account takes no more attempts from unknown devices."""
    limit(login="3/min")
    assert attack(alice.email, 16) == [401] * 15 + [429]
    return alice


# --- Strangers --------------------------------------------------------------------------------------


def test_a_stranger_on_one_network_keeps_nobody_out_elsewhere(limit: Limit, alice: User) -> None:
    limit(login="3/min")
    assert [attempt(alice.email, "192.0.2.1").status_code for _ in range(30)] == [401] * 3 + [429] * 27
    assert signs_in(alice, HOME) == 200


def test_a_stranger_with_a_whole_ipv6_site_keeps_nobody_out_elsewhere(limit: Limit, alice: User, bob: User) -> None:
    """Each /64 of a /48 would be another network; at one account they count as one."""
    limit(login="3/min")
    networks = [f"2001:db8:0:{number:x}::1" for number in range(30)]
    assert [attempt(alice.email, network).status_code for network in networks] == [401] * 3 + [429] * 27
    assert signs_in(alice, "2001:db8:1::1") == 200
    assert signs_in(bob, networks[0]) == 200


def test_a_distributed_guesser_is_bounded(attacked: User) -> None:
    assert signs_in(attacked, HOME) == 429
    assert problem_of(attempt(attacked.email, HOME), 429)["code"] == "throttled"


# --- Known devices ----------------------------------------------------------------------------------


def test_on_a_network_where_a_session_is_live_the_owner_signs_in(attacked: User) -> None:
    make_session(attacked, address=HOME)
    assert signs_in(attacked, HOME) == 200
    assert signs_in(attacked, OFFICE) == 429


def test_a_network_of_ipv6_is_its_64(attacked: User) -> None:
    make_session(attacked, address="2001:db8::1")
    assert signs_in(attacked, "2001:db8::ffff:1") == 200
    assert signs_in(attacked, "2001:db8:0:1::1") == 429


def test_on_such_a_network_guesses_are_limited_all_the_same(attacked: User) -> None:
    make_session(attacked, address=HOME)
    assert [attempt(attacked.email, HOME).status_code for _ in range(5)] == [401] * 3 + [429] * 2


@pytest.mark.parametrize("end", ["expired", "signed out"])
def test_a_session_that_has_ended_makes_no_network_known(attacked: User, end: str) -> None:
    session = make_session(attacked, address=HOME)
    if end == "expired":
        Session.objects.filter(pk=session.pk).update(last_used_at=dt.datetime.now(dt.UTC) - dt.timedelta(days=31))
    else:
        services.end_session(attacked, session.pk)
    assert signs_in(attacked, HOME) == 429


def test_a_session_makes_the_network_known_where_it_was_last_refreshed(attacked: User) -> None:
    refresh = own.mint(make_session(attacked, address=HOME)).refresh
    assert send(Api(), "POST", "/api/auth/refresh", {"refresh": refresh}, REMOTE_ADDR=OFFICE).status_code == 200
    assert (signs_in(attacked, HOME), signs_in(attacked, OFFICE)) == (429, 200)


@pytest.mark.parametrize("kind", ["access", "refresh"])
def test_a_device_that_sends_a_token_of_its_session_signs_in(attacked: User, kind: str) -> None:
    token = getattr(own.mint(make_session(attacked)), kind)
    assert signs_in(attacked, OFFICE, token) == 200


def test_the_access_token_may_have_expired(attacked: User) -> None:
    session = make_session(attacked)
    token = own.mint(session).access
    Session.objects.filter(pk=session.pk).update(last_used_at=dt.datetime.now(dt.UTC))
    session.last_used_at -= dt.timedelta(days=3)
    old = own.mint(session).access
    assert (token != old, signs_in(attacked, OFFICE, old)) == (True, 200)


def test_whoever_shares_its_network_does_not_keep_such_a_device_out(limit: Limit, alice: User) -> None:
    limit(login="3/min")
    assert [attempt(f"{n}@example.com", HOME).status_code for n in range(4)] == [401] * 3 + [429]
    assert [attempt(alice.email, HOME).status_code for _ in range(3)] == [429] * 3
    assert (signs_in(alice, HOME), signs_in(alice, HOME, own.mint(make_session(alice)).access)) == (429, 200)


def test_such_a_device_has_a_limit_of_its_own(attacked: User) -> None:
    one, two = (own.mint(make_session(attacked)).access for _ in range(2))
    assert [attempt(attacked.email, OFFICE, token=one).status_code for _ in range(4)] == [401] * 3 + [429]
    assert signs_in(attacked, OFFICE, two) == 200


TOKENS: dict[str, Callable[[User], str]] = {
    "of another": lambda user: own.mint(make_session(make_user())).access,
    "of an ended session": lambda user: ended(user),
    "of an expired session": lambda user: expired(user),
    "forged": lambda user: own.mint(make_session(user)).access[:-4] + "AAAA",
    "none": lambda user: "x.y.z",
}


def ended(user: User) -> str:
    session = make_session(user)
    services.end_session(user, session.pk)
    return own.mint(session).access


def expired(user: User) -> str:
    session = make_session(user)
    session.last_used_at -= dt.timedelta(days=31)
    session.save()
    return own.mint(session).access


@pytest.mark.parametrize("token", TOKENS.values(), ids=list(TOKENS))
def test_no_other_token_makes_a_device_known(attacked: User, token: Callable[[User], str]) -> None:
    assert signs_in(attacked, OFFICE, token(attacked)) == 429


def test_with_the_token_of_another_account_nobody_guesses_more_often(limit: Limit, alice: User, bob: User) -> None:
    limit(login="3/min")
    token = own.mint(make_session(bob)).access
    assert [attempt(alice.email, HOME, token=token).status_code for _ in range(9)] == [401] * 3 + [429] * 6


# --- Mails ------------------------------------------------------------------------------------------


def forgot(email: str, address: str, token: str = "") -> int:
    headers = {"HTTP_AUTHORIZATION": f"Bearer {token}"} if token else {}
    return send(Api(), "POST", FORGOT, {"email": email}, REMOTE_ADDR=address, **headers).status_code


@pytest.mark.django_db(transaction=True)
def test_a_stranger_neither_blocks_a_mailbox_nor_floods_it(limit: Limit) -> None:
    user = make_user()
    limit(mail="2/hour")
    assert [forgot(user.email, "192.0.2.1") for _ in range(9)] == [202] * 2 + [429] * 7
    assert forgot(user.email, HOME) == 202
    assert [forgot(user.email, f"192.0.2.{host}") for host in range(2, 20)] == [202] * 7 + [429] * 11
    known = own.mint(make_session(user, address=OFFICE)).access
    assert (forgot(user.email, HOME), forgot(user.email, OFFICE), forgot(user.email, HOME, known)) == (429, 202, 202)
    work.drain("mails")
    assert len(mail.outbox) == 12


# --- The admin --------------------------------------------------------------------------------------


def admin_sign_in(client: Client, email: str, password: str = PASSWORD, address: str = HOME) -> int:
    typed = {"username": email, "password": password}
    return client.post(f"{ADMIN}?next=/admin/", typed, REMOTE_ADDR=address).status_code


@pytest.fixture
def browser(carol: User) -> Client:
    """In which carol has signed in before, and out again."""
    client = Client()
    assert admin_sign_in(client, carol.email) == 302
    client.post("/admin/logout/")
    return client


def test_a_browser_in_which_staff_has_signed_in_is_never_locked_out(browser: Client, carol: User, limit: Limit) -> None:
    limit(login="3/min")
    assert attack(carol.email, 16) == [401] * 15 + [429]
    assert admin_sign_in(Client(), carol.email) == 429
    assert [admin_sign_in(browser, carol.email, "wrong") for _ in range(2)] == [200] * 2
    assert admin_sign_in(browser, carol.email) == 302


def test_such_a_browser_has_a_limit_of_its_own(browser: Client, carol: User, limit: Limit) -> None:
    limit(login="3/min")
    assert [admin_sign_in(browser, carol.email, "wrong") for _ in range(5)] == [200] * 3 + [429] * 2
    assert admin_sign_in(Client(), carol.email) == 302


def test_it_is_known_to_no_other_account(browser: Client, limit: Limit) -> None:
    other = make_user(is_staff=True)
    limit(login="3/min")
    assert attack(other.email, 16)[-1] == 429
    assert admin_sign_in(browser, other.email) == 429


@pytest.mark.parametrize("value", ["", "x", "x:y:z", "{}"])
def test_a_forged_cookie_makes_nobody_known(browser: Client, carol: User, limit: Limit, value: str) -> None:
    limit(login="3/min")
    assert attack(carol.email, 16)[-1] == 429
    browser.cookies["device"] = value or browser.cookies["device"].value[:-1]
    assert admin_sign_in(browser, carol.email) == 429


def test_the_cookie_serves_for_ninety_days(carol: User, limit: Limit) -> None:
    now = dt.datetime.now(dt.UTC)
    for days, status in ((89, 302), (91, 429)):
        client = Client()
        with time_machine.travel(now - dt.timedelta(days=days)):
            limit()
            assert admin_sign_in(client, carol.email) == 302
        limit(login="3/min")
        attack(carol.email, 16)
        client.cookies.pop("sessionid")
        assert admin_sign_in(client, carol.email) == status


@pytest.mark.parametrize(("is_secure", "name"), [(False, "device"), (True, "__Host-device")])
def test_no_script_and_no_other_site_gets_the_cookie(
    carol: User, settings: Settings, is_secure: bool, name: str
) -> None:
    settings.SESSION_COOKIE_SECURE = is_secure
    client = Client()
    assert admin_sign_in(client, carol.email) == 302
    cookie = client.cookies[name]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["domain"]) == (True, "Strict", "/", "")
    assert bool(cookie["secure"]) == is_secure
    assert carol.email not in cookie.value


def test_who_fails_gets_no_cookie(carol: User, alice: User) -> None:
    client = Client()
    assert [admin_sign_in(client, carol.email, "wrong"), admin_sign_in(client, alice.email)] == [200, 200]
    assert "device" not in client.cookies


# --- What it tells ----------------------------------------------------------------------------------


def answers_to(email: str) -> Iterator[Any]:
    for host in range(16):
        answer = attempt(email, f"192.0.2.{host}")
        yield answer.status_code, answer["RateLimit-Policy"], answer["RateLimit"].split(";t=")[0]
    yield forgot(email, HOME)


def test_limits_are_the_same_whether_or_not_there_is_such_an_account(limit: Limit, alice: User) -> None:
    make_session(alice, address=HOME)
    found = []
    for email in (alice.email, "nobody@example.com"):
        limit(login="3/min", mail="3/hour")
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM config_rate_limit")
        found.append(list(answers_to(email)))
    assert found[0] == found[1]


def test_counting_costs_as_many_queries_whether_or_not_there_is_such_an_account(limit: Limit, alice: User) -> None:
    limit(login="20/min")
    attempt("anybody@example.com", OFFICE)  # takes the lease for what is written down
    costs = []
    for email in (alice.email, "nobody@example.com"):
        with CaptureQueriesContext(connection) as captured:
            assert attempt(email, HOME).status_code == 401
        costs.append(len(captured))
    assert costs[0] == costs[1]
