"""The settings of an account that concern reminders."""

import datetime as dt
from typing import Any

import pytest

from config.environment.rates import Rate
from tasks import services
from tasks.reminders import services as reminders
from tasks.reminders.models import Digest
from tests.client import Api
from tests.factories import make_task
from tests.problems import problem_of, stored
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


def test_planning_many_days_anew_to_and_fro_ends_in_409(
    as_alice: Api, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As moving to another time zone does: the account is locked meanwhile, and sign-ins to it wait."""
    monkeypatch.setattr("users.services.accounts.MOVED", Rate(3, 3600))
    for _ in range(2):
        make_task(alice, due_date=dt.date(2026, 12, 1), reminders=[{"minutes_before": 0}])
    for hour in ("10:00", "11:00"):
        assert as_alice.patch(ME, {"reminder_time": hour}).status_code == 200
    before = stored()
    problem = problem_of(as_alice.patch(ME, {"reminder_time": "12:00"}), 409)
    assert (problem["code"], problem["limit"], stored()) == ("limit_reached", 3, before)


def test_more_reminders_than_a_request_can_plan_anew_stay(
    as_alice: Api, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100,000 of them took longer than a statement may, and ended in a 503 again and again."""
    monkeypatch.setattr(reminders, "MOST_MOVED", 2)
    task = make_task(alice, due_date=dt.date(2026, 12, 1), reminders=[{"minutes_before": n} for n in range(3)])
    before = stored()
    for changes in ({"reminder_time": "10:00"}, {"timezone": "Asia/Karachi"}):
        problem = problem_of(as_alice.patch(ME, changes), 409)
        assert (problem["code"], problem["limit"], stored()) == ("limit_reached", 2, before)
    services.update_task(alice, task.pk, {"reminders": []})
    assert as_alice.patch(ME, {"reminder_time": "10:00"}).status_code == 200
