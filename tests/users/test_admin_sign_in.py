"""The second factor of the admin, which serves once, and signing out."""

import base64
import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.test import Client
from django_otp.oath import totp
from django_otp.plugins.otp_static.models import StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice
from pytest_django import Settings

from tests.audited import events, only
from tests.factories import PASSWORD, make_user
from tests.pages import sign_in, signed_in
from tests.races import at_once
from tests.server import Server
from users.audit import Action
from users.models import User
from users.services import second_factor

LOGIN, INDEX = "/admin/login/", "/admin/"
CODE, ENROL = "/admin/second-factor/code/", "/admin/second-factor/enrol/"
LEAVE = "/admin/second-factor/leave/"
START = dt.datetime(2026, 11, 24, 9, 0, tzinfo=dt.UTC)
STEP = dt.timedelta(seconds=30)


def code_of(device: TOTPDevice) -> str:
    """What the app shows now."""
    return f"{totp(device.bin_key, drift=0):06}"


def enrol(user: User) -> tuple[TOTPDevice, list[str]]:
    device = second_factor.begin_enrolment(user)
    return second_factor.enrol(device, code_of(device))


@pytest.fixture
def clock() -> Any:
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


@pytest.fixture
def enrolled(clock: Any, carol: User) -> tuple[TOTPDevice, list[str]]:
    """Of carol; the code that confirmed the device is half a minute ago."""
    enrolment = enrol(carol)
    clock.shift(STEP)
    return enrolment


# --- Setting the second factor up -------------------------------------------------------------------


def secret_on(page: str) -> str:
    [text] = re.findall(r'<code id="secret">([A-Z2-7 ]+)</code>', page)
    return str(text)


def test_staff_sets_it_up_and_sees_the_recovery_codes_once(clock: Any, carol: User) -> None:
    client = signed_in(carol)
    page = client.get(ENROL)
    device = TOTPDevice.objects.get()
    assert page["Cache-Control"].count("no-store") == 1
    assert 'aria-label="QR code of the secret below"><svg ' in page.content.decode()
    assert len(secret_on(page.content.decode()).replace(" ", "")) == 32
    done = client.post(ENROL, {"code": code_of(device)}).content.decode()
    codes = re.findall(r"<li><code>([a-z2-9-]{19})</code></li>", done)
    assert len(set(codes)) == 10
    assert client.get(INDEX).status_code == 200
    assert only(Action.TOTP_ENROLLED).subject_id == carol.pk
    kept = set(StaticToken.objects.values_list("token", flat=True))
    assert len(kept) == 10 and not kept & {code.replace("-", "") for code in codes}
    assert (client.get(ENROL).status_code, TOTPDevice.objects.count()) == (302, 1)


def test_a_wrong_code_keeps_the_secret_and_confirms_nothing(clock: Any, carol: User) -> None:
    client = signed_in(carol)
    secret = secret_on(client.get(ENROL).content.decode())
    again = client.post(ENROL, {"code": "000000"}).content.decode()
    assert ("This code is wrong" in again, secret_on(again)) == (True, secret)
    assert second_factor.device_of(carol) is None
    assert secret_on(client.get(ENROL).content.decode()) == secret


def test_opening_the_page_again_replaces_no_secret(clock: Any, carol: User) -> None:
    """Else a link in a mail would make worthless what was just scanned."""
    client = signed_in(carol)
    secrets = {secret_on(client.get(ENROL).content.decode()) for _ in range(3)}
    [device] = TOTPDevice.objects.all()
    assert len(secrets) == 1
    assert "Recovery codes" in client.post(ENROL, {"code": code_of(device)}).content.decode()


def test_no_session_sees_or_replaces_what_another_scans(clock: Any, carol: User) -> None:
    """Whoever knows the password must not know the second factor, too."""
    one, other = signed_in(carol), signed_in(carol)
    secret = secret_on(one.get(ENROL).content.decode())
    assert secret_on(other.get(ENROL).content.decode()) != secret
    first, second = TOTPDevice.objects.order_by("pk")
    assert "This code is wrong" in other.post(ENROL, {"code": code_of(first)}).content.decode()
    assert "Recovery codes" in one.post(ENROL, {"code": code_of(first)}).content.decode()
    assert list(TOTPDevice.objects.values_list("pk", "confirmed")) == [(first.pk, True)]
    assert other.post(ENROL, {"code": code_of(second)})["Location"] == INDEX
    assert other.get(INDEX).status_code == 302  # to the second factor


def test_pending_secrets_are_bounded(carol: User) -> None:
    for _ in range(second_factor.MAX_PENDING + 3):
        newest = second_factor.begin_enrolment(carol)
    assert TOTPDevice.objects.count() == second_factor.MAX_PENDING
    assert second_factor.pending_device(carol, newest.pk) == newest


def test_where_it_is_required_nothing_comes_before_it(settings: Settings, carol: User) -> None:
    settings.ADMIN_REQUIRE_TOTP = True
    client, _ = sign_in(carol.email)
    for path in (INDEX, "/admin/users/user/", "/admin/password_change/", "/admin/autocomplete/", "/admin/jsi18n/"):
        answer = client.get(path, follow=True)
        assert answer.redirect_chain[-1][0].startswith(f"{ENROL}?next=")
    client.post(ENROL, {"code": code_of(TOTPDevice.objects.get())})
    assert client.get(INDEX).status_code == 200


@pytest.mark.parametrize("is_required", [False, True])
def test_the_page_says_whether_it_has_to_be(settings: Settings, carol: User, is_required: bool) -> None:
    settings.ADMIN_REQUIRE_TOTP = is_required
    page = signed_in(carol).get(ENROL).content.decode()
    says = [text in page for text in ("Set that up to go on", "It is up to you here", "Back to the admin")]
    assert says == [is_required, not is_required, not is_required]


def test_no_page_of_the_admin_shows_a_device(enrolled: Any, carol: User) -> None:
    client = signed_in(carol)
    client.post(CODE, {"code": code_of(enrolled[0])})
    for path in ("otp_totp/totpdevice/", "otp_static/staticdevice/"):
        assert client.get(f"{INDEX}{path}").status_code == 404
    texts = [client.get(path).content.decode() for path in (INDEX, f"{INDEX}users/user/{carol.pk}/change/")]
    assert not any(enrolled[0].key in text for text in texts)


@pytest.mark.parametrize("path", [CODE, ENROL])
def test_who_is_no_staff_sets_nothing_up(alice: User, path: str) -> None:
    for client in (Client(), signed_in(alice)):
        for answer in (client.get(path), client.post(path, {"code": "123456"})):
            assert (answer.status_code, answer["Location"]) == (302, LOGIN)
    assert not TOTPDevice.objects.exists()


@pytest.mark.parametrize("path", [CODE, ENROL])
def test_before_it_no_page_tells_what_the_admin_holds(request: Any, settings: Settings, carol: User, path: str) -> None:
    settings.ADMIN_REQUIRE_TOTP = True
    if path == CODE:
        request.getfixturevalue("enrolled")
    page = signed_in(carol).get(path)
    assert page.context["sidebar_navigation"] == []
    text = page.content.decode()
    assert ("nav-sidebar" in text, f"{INDEX}users/" in text, f"{INDEX}tasks/" in text) == (False, False, False)


# --- Showing it -------------------------------------------------------------------------------------


def test_whoever_has_one_has_to_show_it(enrolled: Any, carol: User) -> None:
    client, _ = sign_in(carol.email)
    wanted = "/admin/users/user/"
    answer = client.get(wanted, follow=True)
    assert answer.redirect_chain[-1][0] == f"{CODE}?next=%2Fadmin%2Fusers%2Fuser%2F"
    key = client.session.session_key
    answer = client.post(answer.redirect_chain[-1][0], {"code": code_of(enrolled[0])})
    assert (answer["Location"], client.get(wanted).status_code) == (wanted, 200)
    assert client.session.session_key != key
    assert only(Action.CODE_ACCEPTED).actor_id == carol.pk


@pytest.mark.parametrize("address", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_nobody_is_led_elsewhere(enrolled: Any, carol: User, address: str) -> None:
    client, _ = sign_in(carol.email)
    answer = client.post(f"{CODE}?next={address}", {"code": code_of(enrolled[0])})
    assert answer["Location"] == INDEX


def test_a_code_serves_once(enrolled: Any, carol: User) -> None:
    code = code_of(enrolled[0])
    first, second = sign_in(carol.email)[0], sign_in(carol.email)[0]
    assert first.post(CODE, {"code": code}).status_code == 302
    answer = second.post(CODE, {"code": code})
    assert (answer.status_code, second.get(INDEX).status_code) == (200, 302)
    assert only(Action.CODE_REFUSED).subject_id == carol.pk


def test_of_two_at_once_a_code_lets_one_in(transactional_db: None) -> None:
    carol = make_user(is_staff=True)
    with time_machine.travel(START - STEP):
        device, _ = enrol(carol)
    with time_machine.travel(START, tick=False):
        code = code_of(device)

        def show() -> bool:
            try:
                second_factor.verify(carol, code)
            except second_factor.WrongCode:
                return False
            return True

        assert sorted(at_once([show] * 4)) == [False, False, False, True]


def test_after_mistakes_the_next_attempt_has_to_wait(clock: Any, enrolled: Any, carol: User) -> None:
    client, _ = sign_in(carol.email)
    for _ in range(3):
        clock.shift(dt.timedelta(seconds=10))
        client.post(CODE, {"code": "000000"})
    answer = client.post(CODE, {"code": code_of(enrolled[0])})
    assert "wait for 4 s" in answer.content.decode()
    clock.shift(dt.timedelta(seconds=5))
    assert client.post(CODE, {"code": code_of(enrolled[0])}).status_code == 302


def test_codes_are_limited_like_passwords(enrolled: Any, carol: User, limit: Callable[..., None]) -> None:
    limit(login="2/min")
    client = signed_in(carol)
    statuses = [client.post(CODE, {"code": "000000"}).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]


@pytest.mark.parametrize("code", ["", " ", "abc", "x" * 41, "９９９９９９", "\0", "-1", "1e5", "999999999999"])
def test_a_code_that_is_none_lets_nobody_in(enrolled: Any, carol: User, code: str) -> None:
    client, _ = sign_in(carol.email)
    assert client.post(CODE, {"code": code}).status_code == 200
    assert client.get(INDEX).status_code == 302


@pytest.mark.parametrize("typed", [str, str.upper, lambda code: code.replace("-", " ")])
def test_a_recovery_code_serves_once(clock: Any, enrolled: Any, carol: User, typed: Callable[[str], str]) -> None:
    code = typed(enrolled[1][3])
    client, _ = sign_in(carol.email)
    assert client.post(CODE, {"code": code}).status_code == 302
    assert client.get(INDEX).status_code == 200
    assert (only(Action.RECOVERY_CODE_USED).subject_id, StaticToken.objects.count()) == (carol.pk, 9)
    other, _ = sign_in(carol.email)
    assert other.post(CODE, {"code": code}).status_code == 200
    assert other.get(INDEX).status_code == 302


def test_nothing_writes_a_secret_down(clock: Any, enrolled: Any, carol: User, caplog: pytest.LogCaptureFixture) -> None:
    client, _ = sign_in(carol.email)
    code = code_of(enrolled[0])
    client.post(CODE, {"code": "000000"})
    clock.shift(dt.timedelta(seconds=2))
    client.post(CODE, {"code": code}), client.post(CODE, {"code": enrolled[1][0]})
    told = caplog.text + str([vars(event) for event in events()])
    assert not any(secret in told for secret in (enrolled[0].key, enrolled[1][0], f"{code!r}", PASSWORD))


# --- A lost device ----------------------------------------------------------------------------------


def test_a_lost_device_is_reset_by_the_operator(enrolled: Any, carol: User, capsys: pytest.CaptureFixture[str]) -> None:
    client, _ = sign_in(carol.email)
    client.post(CODE, {"code": code_of(enrolled[0])})
    call_command("reset_totp", carol.email)
    assert "is forgotten" in capsys.readouterr().out
    assert (TOTPDevice.objects.count(), StaticToken.objects.count()) == (0, 0)
    assert (only(Action.TOTP_RESET).subject_id, only(Action.TOTP_RESET).actor_id) == (carol.pk, None)
    assert client.get(INDEX)["Location"] == f"{LOGIN}?next=/admin/"


def test_a_reset_ends_the_sessions_of_who_lost_it_and_of_nobody_else(enrolled: Any, carol: User) -> None:
    other = signed_in(make_user(is_staff=True))
    clients = [sign_in(carol.email)[0] for _ in range(2)]
    call_command("reset_totp", carol.email)
    assert [client.get(ENROL)["Location"] for client in clients] == [LOGIN, LOGIN]
    assert other.get(INDEX).status_code == 200


# --- Signing out ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [CODE, ENROL])
def test_staff_signs_out_without_the_second_factor(request: Any, settings: Settings, carol: User, path: str) -> None:
    settings.ADMIN_REQUIRE_TOTP = True
    if path == CODE:
        request.getfixturevalue("enrolled")
    client = Client(enforce_csrf_checks=True)
    client.force_login(carol)
    page = client.get(path).content.decode()
    [token] = set(re.findall(rf'action="{LEAVE}".*?value="(\w+)"', page, re.DOTALL))
    assert client.post(LEAVE).status_code == 403
    assert client.post(LEAVE, {"csrfmiddlewaretoken": token}).status_code == 200
    assert only(Action.SIGNED_OUT).actor_id == carol.pk
    assert client.get(path)["Location"] == LOGIN


def test_signing_out_takes_a_press_of_the_button(carol: User) -> None:
    client = signed_in(carol)
    assert (client.get(LEAVE).status_code, client.get(INDEX).status_code) == (405, 200)
    assert Client().post(LEAVE).status_code == 200
    assert events() == []


def test_staff_is_signed_out_after_half_a_day(clock: Any, carol: User) -> None:
    client = signed_in(carol)
    clock.shift(dt.timedelta(hours=11, minutes=59))
    assert client.get(INDEX).status_code == 200
    clock.shift(dt.timedelta(minutes=2))
    assert client.get(INDEX).status_code == 302


@pytest.mark.parametrize("email", ["nobody@example.com", "CAROL"])
def test_a_reset_of_nothing_says_so(carol: User, email: str) -> None:
    with pytest.raises(CommandError, match="No account has|has no second factor"):
        call_command("reset_totp", carol.email if email == "CAROL" else email)


# --- As an operator runs it -------------------------------------------------------------------------


@pytest.mark.process
def test_it_works_where_the_admin_is_elsewhere(tmp_path: Path) -> None:
    with Server(tmp_path, ADMIN_PATH="back/office", ADMIN_REQUIRE_TOTP="true") as server:
        server.environment |= {"DJANGO_SUPERUSER_PASSWORD": PASSWORD}
        server.manage("createsuperuser", "--no-input", "--email=root@example.com")
        with httpx.Client(base_url=f"{server.base}/back/office/", follow_redirects=True) as browser:
            page = browser.get("")
            typed = {"username": "root@example.com", "password": PASSWORD, "next": "/back/office/users/user/"}
            page = browser.post("login/", data={**typed, "csrfmiddlewaretoken": browser.cookies["csrftoken"]})
            assert page.url.path == "/back/office/second-factor/enrol/"
            key = base64.b32decode(secret_on(page.text).replace(" ", ""))
            code = {"code": f"{totp(key):06}", "csrfmiddlewaretoken": browser.cookies["csrftoken"]}
            page = browser.post(str(page.url), data=code)
            assert "Recovery codes" in page.text
            assert browser.get("users/user/").status_code == 200
            assert httpx.get(f"{server.base}/admin/").status_code == 404
