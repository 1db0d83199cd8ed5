"""The dues to come: of a rule that no task has yet, and of a task."""

import datetime as dt
from typing import Any

import pytest
import time_machine

from tasks import services
from tests.client import Api
from tests.factories import make_task
from tests.problems import places_of, problem_of
from tests.tasks.test_recurring import NOW, TODAY, make
from users.models import User

PREVIEW = "/api/me/recurrence/preview"
LAST_FRIDAY = {"rule": "FREQ=MONTHLY;BYDAY=-1FR"}


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


def test_a_preview_shows_the_rule_its_dues_and_words(as_alice: Api) -> None:
    answer = as_alice.post(PREVIEW, {"recurrence": LAST_FRIDAY, "due_date": "2026-11-27", "limit": 3})
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "rule": "FREQ=MONTHLY;BYDAY=-1FR",
            "occurrences": ["2026-11-27", "2026-12-25", "2027-01-29"],
            "ends": False,
            "text": "every month on the last Friday",
        },
    )


def test_a_preview_of_times_shows_moments(as_alice: Api) -> None:
    rule = {"rule": "FREQ=DAILY;COUNT=2", "zone": "Europe/Berlin"}
    shown = as_alice.post(PREVIEW, {"recurrence": rule, "due_at": "2026-03-28T01:30:00Z"}).json()
    assert (shown["occurrences"], shown["ends"]) == (["2026-03-28T01:30:00Z", "2026-03-29T01:30:00Z"], True)


def test_a_preview_takes_the_zone_of_the_user(as_alice: Api) -> None:
    as_alice.patch("/api/users/me", {"timezone": "Europe/Berlin"})
    body = {"recurrence": {"rule": "FREQ=DAILY"}, "due_at": "2026-03-28T05:00:00Z", "limit": 2}
    assert as_alice.post(PREVIEW, body).json()["occurrences"][1] == "2026-03-29T04:00:00Z"


REFUSED = {
    "no due": ({"recurrence": LAST_FRIDAY}, "/recurrence"),
    "both": ({"recurrence": LAST_FRIDAY, "due_date": "2026-11-27", "due_at": "2026-11-27T09:00:00Z"}, "/due_at"),
    "no rule": ({"due_date": "2026-11-27"}, "/recurrence"),
    "null": ({"recurrence": None, "due_date": "2026-11-27"}, "/recurrence"),
    "secondly": ({"recurrence": {"rule": "FREQ=SECONDLY"}, "due_date": "2026-11-27"}, "/recurrence/rule"),
    "too many": ({"recurrence": LAST_FRIDAY, "due_date": "2026-11-27", "limit": 101}, "/limit"),
    "unknown": ({"recurrence": LAST_FRIDAY, "due_date": "2026-11-27", "count": 1}, "/count"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_preview_refuses_names_its_place(as_alice: Api, case: str) -> None:
    body, pointer = REFUSED[case]
    assert places_of(as_alice.post(PREVIEW, body), "pointer") == [pointer]


def test_a_preview_is_the_callers_own(as_alice: Api, bob: User) -> None:
    body = {"recurrence": LAST_FRIDAY, "due_date": "2026-11-27"}
    assert problem_of(as_alice.post(f"/api/{bob.public_id}/recurrence/preview", body), 403)
    assert problem_of(Api().post(PREVIEW, body), 401)


def test_the_occurrences_of_a_task_begin_with_its_due(as_alice: Api, alice: User) -> None:
    task = make(alice, "FREQ=WEEKLY;COUNT=3")
    services.update_task(alice, task.pk, {"due_date": dt.date(2026, 11, 30)})
    shown = as_alice.get(f"{as_alice.tasks}/{task.pk}/occurrences?limit=2").json()
    assert shown == {
        "rule": "FREQ=WEEKLY;COUNT=3",
        "occurrences": ["2026-11-30", "2026-12-05"],
        "ends": False,
        "text": "every week on Saturday, 3 times",
    }
    assert as_alice.get(f"{as_alice.tasks}/{task.pk}/occurrences").json()["ends"] is True


@pytest.mark.parametrize("recurs", [True, False])
def test_there_are_none_of_what_is_done_or_does_not_recur(as_alice: Api, alice: User, recurs: bool) -> None:
    task = make(alice, status="completed") if recurs else make_task(alice, due_date=TODAY)
    shown = as_alice.get(f"{as_alice.tasks}/{task.pk}/occurrences").json()
    assert shown == {"rule": None, "occurrences": [], "ends": True, "text": ""}


@pytest.mark.parametrize("limit", ["0", "101", "x", "-1"])
def test_the_limit_of_occurrences_is_held(as_alice: Api, alice: User, limit: str) -> None:
    answer = as_alice.get(f"{as_alice.tasks}/{make(alice).pk}/occurrences?limit={limit}")
    assert places_of(answer, "parameter") == ["limit"]
