"""The codes of eight characters that mails have beside the link: typed by people, and not to be guessed."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.client import Answer, Api
from tests.factories import make_user
from tests.problems import exact, places_of, stored
from users import services
from users.models import User
from users.tokens import mailed

NEW = "staple the battery"
NOW = dt.datetime(2026, 12, 1, 12, 10, tzinfo=dt.UTC)  # ten minutes into a half hour


def verify(email: str | None, code: str, **headers: str) -> Answer:
    body = {"token": code} if email is None else {"token": code, "email": email}
    return Api().post("/api/auth/verify-email", body, **headers)


def reset(user: User, code: str, password: str = NEW, **headers: str) -> Answer:
    body = {"email": user.email, "token": code, "password": password}
    return Api().post("/api/auth/reset-password", body, **headers)


def code_of(user: User) -> str:
    return mailed.EMAIL_VERIFICATION.make_code(user)


def wrong(code: str) -> str:
    return ("Y" if code[0] == "X" else "X") + code[1:]


def test_a_code_and_the_address_confirm_it(alice: User) -> None:
    assert verify(alice.email.upper(), code_of(alice)).status_code == 204
    assert User.objects.get().email_verified_at is not None


def test_a_code_and_the_address_set_a_new_password_once(alice: User) -> None:
    code = mailed.PASSWORD_RESET.make_code(alice)
    assert [reset(alice, code).status_code for _ in range(2)] == [204, 400]
    sign_in = {"email": alice.email, "password": NEW}
    assert Api().post("/api/auth/login", sign_in).status_code == 200


TYPED: dict[str, Callable[[str], str]] = {
    "lower case": str.lower,
    "no hyphen": lambda code: code.replace("-", ""),
    "spaces": lambda code: " " + " ".join(code.replace("-", "")) + " ",
    "letters for digits": lambda code: code.replace("0", "o").replace("1", "l"),
}


@pytest.mark.parametrize("typed", TYPED.values(), ids=list(TYPED))
def test_people_type_it_as_they_like(alice: User, typed: Callable[[str], str]) -> None:
    assert verify(alice.email, typed(code_of(alice))).status_code == 204


def test_codes_have_no_letters_that_look_like_digits(db: None) -> None:
    codes = "".join(code_of(make_user()) for _ in range(50))
    assert not {*codes} & {*"OILU"} and {*codes} <= {*"0123456789ABCDEFGHJKMNPQRSTVWXYZ-"}
    assert len({*codes}) == 33  # all of them


def test_a_code_lives_for_half_an_hour_at_least_and_an_hour_at_most(alice: User) -> None:
    with time_machine.travel(NOW):
        code = code_of(alice)
    for minutes, status in [(50, 400), (49, 204), (31, 204)]:
        with time_machine.travel(NOW + dt.timedelta(minutes=minutes)):
            assert verify(alice.email, code).status_code == status, minutes
    with time_machine.travel(NOW - dt.timedelta(minutes=30)):
        assert verify(alice.email, code).status_code == 400


def test_a_code_is_of_one_purpose_and_one_account(alice: User, bob: User) -> None:
    before = stored()
    for code in (mailed.PASSWORD_RESET.make_code(alice), code_of(bob), wrong(code_of(alice))):
        assert places_of(verify(alice.email, code), "pointer") == ["/token"]
    assert places_of(reset(alice, code_of(alice)), "pointer") == ["/token"]
    assert stored() == before


def test_without_the_address_a_code_says_nothing(alice: User) -> None:
    assert places_of(verify(None, code_of(alice)), "pointer") == ["/email"]


@pytest.mark.parametrize("void", [{"email": "new@example.com"}, {"is_active": False}], ids=str)
def test_a_code_is_void_once_the_account_has_changed(alice: User, void: Any) -> None:
    code = code_of(alice)
    changed = services.update_account(alice, **void)
    assert verify(changed.email, code).status_code == 400


# --- Guessing ---------------------------------------------------------------------------------------


def test_twenty_wrong_codes_of_an_address_are_tried_a_day_whatever_the_limits_are(alice: User) -> None:
    code = code_of(alice)
    said = [verify(alice.email, wrong(code)).json()["detail"] for _ in range(21)]
    assert ("; ask for a new mail" in said[19], "Too many codes" in said[20]) == (True, True)
    assert verify(alice.email, code).status_code == 400  # the right one, too
    assert reset(alice, mailed.PASSWORD_RESET.make_code(alice)).status_code == 400
    assert verify(None, mailed.EMAIL_VERIFICATION.make(alice)).status_code == 204  # the link goes on


def test_right_codes_do_not_count(alice: User) -> None:
    assert {verify(alice.email, code_of(alice)).status_code for _ in range(25)} == {204}


def test_a_try_counts_though_its_request_has_a_key_and_is_rolled_back(alice: User) -> None:
    code = code_of(alice)
    for number in range(20):
        assert verify(alice.email, wrong(code), idempotency_key=f"k{number}").status_code == 400
    assert "Too many codes" in verify(alice.email, code, idempotency_key="k").json()["detail"]


def test_a_weak_password_tells_no_more_about_a_wrong_code(alice: User) -> None:
    answer = reset(alice, wrong(mailed.PASSWORD_RESET.make_code(alice)), "short")
    assert places_of(answer, "pointer") == ["/token"]


def test_attempts_are_limited_by_network_too(alice: User, limit: Callable[..., None]) -> None:
    limit(login="3/min")
    emails = [f"{name}@example.com" for name in "abcd"]
    assert [verify(email, "XXXX-XXXX").status_code for email in emails] == [400] * 3 + [429]


def test_the_answer_and_its_queries_do_not_tell_whether_there_is_an_account(alice: User) -> None:
    code = wrong(code_of(alice))
    answers, counts = [], []
    for email in (alice.email, "nobody@example.com"):
        with CaptureQueriesContext(connection) as queries:
            answers.append(exact(verify(email, code, x_request_id="same")))
        counts.append(len(queries))
    assert answers[0] == answers[1]
    assert counts[0] == counts[1]
