"""The settings of an account that concern reminders."""

from typing import Any

import pytest

from tasks.reminders.models import Digest
from tests.client import Api
from tests.problems import problem_of
from users.models import User

ME = "/api/users/me"


def test_what_they_are_at_first(as_alice: Api) -> None:
    body = as_alice.get(ME).json()
    names = ("reminder_time", "reminder_channels", "default_reminder_minutes", "digest_time")
    assert [body[name] for name in names] == ["09:00", ["mail", "webhook"], None, None]


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"reminder_time": "00:00"}, {}),
        ({"reminder_time": "23:59"}, {}),
        ({"reminder_channels": []}, {}),
        ({"reminder_channels": ["mail", "mail"]}, {"reminder_channels": ["mail"]}),
        ({"default_reminder_minutes": 0}, {}),
        ({"default_reminder_minutes": 40_320}, {}),
        ({"default_reminder_minutes": None}, {}),
        ({"digest_time": "06:15"}, {}),
        ({"digest_time": None}, {}),
    ],
)
def test_they_can_be_changed(as_alice: Api, alice: User, changes: dict[str, Any], shown: dict[str, Any]) -> None:
    answer = as_alice.patch(ME, changes)
    assert (answer.status_code, answer.json()) == (200, as_alice.get(ME).json())
    for name, value in (shown or changes).items():
        assert answer.json()[name] == value
    assert Digest.objects.exists() == bool(changes.get("digest_time"))


@pytest.mark.parametrize(
    "changes",
    [
        {"reminder_time": None},
        {"reminder_time": "24:00"},
        {"reminder_time": "9:00"},
        {"reminder_time": "09:00:00"},
        {"reminder_time": "09:00\n"},
        {"reminder_time": 900},
        {"reminder_channels": None},
        {"reminder_channels": "mail"},
        {"reminder_channels": ["sms"]},
        {"reminder_channels": ["mail"] * 3},
        {"default_reminder_minutes": -1},
        {"default_reminder_minutes": 40_321},
        {"default_reminder_minutes": 1.5},
        {"default_reminder_minutes": True},
        {"digest_time": ""},
        {"digest_time": "noon"},
    ],
)
def test_bad_ones_are_refused(as_alice: Api, alice: User, changes: dict[str, Any]) -> None:
    before = as_alice.get(ME).json()
    [name] = changes
    problem = problem_of(as_alice.patch(ME, changes), 400)
    assert all(error["pointer"].startswith(f"/{name}") for error in problem["errors"])
    assert as_alice.get(ME).json() == before


def test_a_profile_can_be_sent_back_as_it_is(as_alice: Api) -> None:
    body = as_alice.get(ME).json()
    assert as_alice.patch(ME, body).json() == body
