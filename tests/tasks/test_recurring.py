"""Tasks that recur: how a rule is set, and that the task goes on whichever way completion is said."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import time_machine

from tasks import services
from tasks.completions import Completion
from tasks.models import Task
from tests.client import Answer, Api
from tests.factories import make_task
from tests.problems import places_of, problem_of
from users.models import Change, User

NOW = dt.datetime(2026, 11, 28, 10, tzinfo=dt.UTC)
TODAY = NOW.date()
DAILY = {"rule": "FREQ=DAILY", "zone": "UTC", "from": "due"}


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


def make(user: User, rule: str = "FREQ=DAILY", due: Any = TODAY, **fields: Any) -> Task:
    name = "due_at" if isinstance(due, dt.datetime) else "due_date"
    zone = fields.pop("zone", "UTC")
    counted = fields.pop("counted", "due")
    return make_task(user, **{name: due}, recurrence={"rule": rule, "zone": zone, "from": counted}, **fields)


def completed(task: Task) -> list[Any]:
    rows = Completion.objects.filter(task=task).order_by("pk")
    return [(row.kind, row.occurrence_at or row.occurrence_date, row.missed, row.revoked_at is None) for row in rows]


# --- Every way to say that it is completed ----------------------------------------------------------

WAYS: dict[str, Callable[[Api, Task], Answer]] = {
    "toggle": lambda api, task: api.patch(f"{api.tasks}/{task.pk}/complete"),
    "complete": lambda api, task: api.patch(f"{api.tasks}/{task.pk}/complete", {"completed": True}),
    "PATCH completed": lambda api, task: api.patch(f"{api.tasks}/{task.pk}", {"completed": True}),
    "PATCH status": lambda api, task: api.patch(f"{api.tasks}/{task.pk}", {"status": "completed"}),
    "PUT": lambda api, task: api.put(
        f"{api.tasks}/{task.pk}", {**api.get(f"{api.tasks}/{task.pk}").json(), "completed": True}
    ),
    "by uid": lambda api, task: api.patch(f"{api.tasks}/by-uid/{task.uid}", {"completed": True}),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_completed_task_goes_on_to_its_next_due_and_stays_open(as_alice: Api, alice: User, way: str) -> None:
    task = make(alice)
    answer = WAYS[way](as_alice, task)
    assert (answer.status_code, answer["Tickbase-Advanced"]) == (200, "true")
    shown = answer.json()
    assert (shown["status"], shown["completed"], shown["completed_at"]) == ("pending", False, None)
    assert (shown["due_date"], shown["completions"]) == ("2026-11-29", 1)
    assert (shown["last_completed_at"], shown["recurrence"]) == ("2026-11-28T10:00:00Z", DAILY)
    assert answer["ETag"] == f'"{shown["version"]}"'
    assert completed(task) == [("completed", TODAY, 0, True)]
    assert Change.objects.get(user=alice, version=shown["version"]).kind == "advanced"
    assert Completion.objects.get().version == shown["version"]


def test_a_batch_completes_it_likewise(as_alice: Api, alice: User) -> None:
    task = make(alice)
    step = {"op": "complete", "type": "task", "id": task.pk, "body": {"completed": True}}
    answer = as_alice.post("/api/me/batch", {"operations": [step, step]})
    assert [each["object"]["due_date"] for each in answer.json()["results"]] == ["2026-11-29", "2026-11-30"]
    assert completed(task) == [("completed", TODAY, 0, True), ("completed", dt.date(2026, 11, 29), 0, True)]


def test_the_service_of_many_completes_each(alice: User) -> None:
    daily, plain = make(alice), make_task(alice)
    services.complete_tasks(alice, [daily.pk, plain.pk], completed=True)
    for task in (daily, plain):
        task.refresh_from_db()
    assert (daily.status, daily.due_date, plain.status) == ("pending", dt.date(2026, 11, 29), "completed")
    assert {row.task_id for row in Completion.objects.all()} == {daily.pk, plain.pk}


def test_a_replay_still_says_that_it_has_advanced(as_alice: Api, alice: User) -> None:
    path = f"{as_alice.tasks}/{make(alice).pk}/complete"
    first = as_alice.patch(path, {"completed": True}, idempotency_key="once")
    again = as_alice.patch(path, {"completed": True}, idempotency_key="once")
    assert (again["Idempotency-Replayed"], again["Tickbase-Advanced"]) == ("true", "true")
    assert again.json() == first.json()
    assert Completion.objects.count() == 1


def test_what_passed_meanwhile_was_missed(as_alice: Api, alice: User) -> None:
    task = make(alice, due=dt.date(2026, 11, 20))
    assert as_alice.patch(f"{as_alice.tasks}/{task.pk}/complete").json()["due_date"] == "2026-11-29"
    assert completed(task) == [("completed", dt.date(2026, 11, 20), 8, True)]


def test_a_task_in_progress_is_pending_again(as_alice: Api, alice: User) -> None:
    task = make(alice, status="in_progress")
    assert as_alice.patch(f"{as_alice.tasks}/{task.pk}/complete").json()["status"] == "pending"


def test_without_a_next_one_it_is_completed_for_good(as_alice: Api, alice: User) -> None:
    path = f"{as_alice.tasks}/{make(alice, 'FREQ=DAILY;COUNT=2').pk}/complete"
    as_alice.patch(path)
    last = as_alice.patch(path)
    assert (last.json()["status"], last.json()["due_date"], last.json()["completions"]) == (
        "completed", "2026-11-29", 2,
    )  # fmt: skip
    assert "Tickbase-Advanced" not in last


def test_a_series_is_ended_by_saying_so(as_alice: Api, alice: User) -> None:
    task = make(alice)
    answer = as_alice.patch(f"{as_alice.tasks}/{task.pk}/complete", {"completed": True, "series": True})
    assert (answer.json()["status"], answer.json()["due_date"]) == ("completed", "2026-11-28")
    assert "Tickbase-Advanced" not in answer
    assert completed(task) == [("completed", TODAY, 0, True)]


def test_a_rule_that_is_taken_away_at_once_is_not_followed(as_alice: Api, alice: User) -> None:
    task = make(alice)
    answer = as_alice.patch(f"{as_alice.tasks}/{task.pk}", {"recurrence": None, "completed": True})
    assert (answer.json()["status"], answer.json()["recurrence"]) == ("completed", None)


def test_a_new_task_that_is_completed_stays_so(as_alice: Api) -> None:
    answer = as_alice.post(
        as_alice.tasks, {"title": "Old", "completed": True, "due_date": "2026-11-28", "recurrence": DAILY}
    )
    assert (answer.status_code, answer.json()["status"], answer.json()["completions"]) == (201, "completed", 1)
    assert Completion.objects.get().version == answer.json()["version"]


def test_counted_from_completion(as_alice: Api, alice: User) -> None:
    task = make(alice, "FREQ=DAILY;INTERVAL=3", due=dt.date(2026, 12, 24), counted="completion")
    assert as_alice.patch(f"{as_alice.tasks}/{task.pk}/complete").json()["due_date"] == "2026-12-01"


def test_the_due_time_keeps_the_wall_clock_of_the_rule_and_the_day_of_the_user(as_alice: Api, alice: User) -> None:
    first = dt.datetime(2026, 11, 28, 23, 30, tzinfo=dt.UTC)
    task = make(alice, due=first, zone="Asia/Tokyo")
    shown = as_alice.patch(f"{as_alice.tasks}/{task.pk}/complete").json()
    assert (shown["due_at"], shown["due_date"]) == ("2026-11-29T23:30:00Z", "2026-11-29")


# --- Only this occurrence ---------------------------------------------------------------------------


@pytest.mark.parametrize("due", [TODAY, NOW], ids=["day", "moment"])
def test_only_the_named_occurrence_is_completed(as_alice: Api, alice: User, due: Any) -> None:
    path, body = f"{as_alice.tasks}/{make(alice, due=due).pk}/complete", {"completed": True, "occurrence": str(due)}
    body["occurrence"] = due.isoformat()
    first, second = as_alice.patch(path, body), as_alice.patch(path, body)
    assert first["Tickbase-Advanced"] == "true"
    problem = problem_of(second, 409)
    assert (problem["code"], problem["current"]) == ("not_current", first.json())
    assert Completion.objects.count() == 1


@pytest.mark.parametrize("body", [{"series": True}, {"occurrence": "2026-11-28"}, {"completed": False, "series": True}])
def test_what_says_how_to_complete_comes_with_completed(as_alice: Api, alice: User, body: Any) -> None:
    (member,) = body.keys() - {"completed"}
    answer = as_alice.patch(f"{as_alice.tasks}/{make(alice).pk}/complete", body)
    assert places_of(answer, "pointer") == [f"/{member}"]


# --- Setting the rule -------------------------------------------------------------------------------


def test_a_rule_is_answered_as_it_is_stored(as_alice: Api) -> None:
    body = {"title": "Rent", "due_date": "2026-10-31", "recurrence": {"rule": "rrule:freq=monthly"}}
    answer = as_alice.post(as_alice.tasks, body)
    rule = {"rule": "FREQ=MONTHLY;BYMONTHDAY=28,29,30,31;BYSETPOS=-1", "zone": "UTC", "from": "due"}
    assert (answer.status_code, answer.json()["recurrence"]) == (201, rule)
    assert Task.objects.get().recurrence == {**rule, "anchor": "2026-10-31", "left": None}
    assert as_alice.get(as_alice.tasks).json()[0]["recurrence"] == rule


def test_the_zone_is_the_users_unless_it_is_sent(as_alice: Api, alice: User) -> None:
    as_alice.patch("/api/users/me", {"timezone": "Asia/Karachi"})
    body = {"title": "Pray", "due_date": "2026-11-28", "recurrence": {"rule": "FREQ=DAILY"}}
    assert as_alice.post(as_alice.tasks, body).json()["recurrence"]["zone"] == "Asia/Karachi"


def test_sent_back_as_it_came_nothing_changes(as_alice: Api, alice: User) -> None:
    path = f"{as_alice.tasks}/{make(alice, 'FREQ=DAILY;COUNT=5').pk}"
    as_alice.patch(f"{path}/complete")
    before = as_alice.get(path).json()
    assert as_alice.put(path, before).json() == before
    assert (Task.objects.get().recurrence or {})["left"] == 4


def test_a_due_alone_moves_this_occurrence_only(as_alice: Api, alice: User) -> None:
    path = f"{as_alice.tasks}/{make(alice, 'FREQ=WEEKLY').pk}"
    assert as_alice.patch(path, {"due_date": "2026-11-30"}).json()["due_date"] == "2026-11-30"
    assert as_alice.patch(f"{path}/complete").json()["due_date"] == "2026-12-05"


def test_another_rule_begins_at_the_present_due(as_alice: Api, alice: User) -> None:
    path = f"{as_alice.tasks}/{make(alice, 'FREQ=WEEKLY').pk}"
    as_alice.patch(path, {"due_date": "2026-11-30", "recurrence": {"rule": "FREQ=WEEKLY;INTERVAL=2"}})
    assert as_alice.patch(f"{path}/complete").json()["due_date"] == "2026-12-14"


def test_null_ends_it(as_alice: Api, alice: User) -> None:
    path = f"{as_alice.tasks}/{make(alice).pk}"
    assert as_alice.patch(path, {"recurrence": None}).json()["recurrence"] is None
    assert as_alice.patch(f"{path}/complete").json()["status"] == "completed"


BAD: dict[str, tuple[dict[str, Any], str, str]] = {
    "no due": ({"due_date": None}, "recurrence_needs_due", "/recurrence"),
    "unsupported": ({"recurrence": {"rule": "FREQ=SECONDLY"}}, "rule_unsupported", "/recurrence/rule"),
    "long": ({"recurrence": {"rule": "FREQ=DAILY;" * 40}}, "rule_unsupported", "/recurrence/rule"),
    "newline": ({"recurrence": {"rule": "FREQ=DAILY\n"}}, "rule_unsupported", "/recurrence/rule"),
    "never": ({"recurrence": {"rule": "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"}}, "rule_never", "/recurrence/rule"),
    "no zone": ({"recurrence": {**DAILY, "zone": "Mars/Base"}}, "unknown_timezone", "/recurrence/zone"),
    "no such count": ({"recurrence": {**DAILY, "from": "today"}}, "invalid_choice", "/recurrence/from"),
    "no rule": ({"recurrence": {"zone": "UTC"}}, "required", "/recurrence/rule"),
    "no object": ({"recurrence": "FREQ=DAILY"}, "not_an_object", "/recurrence"),
    "unknown member": ({"recurrence": {**DAILY, "count": 3}}, "unknown", "/recurrence/count"),
    "hours without a time": ({"recurrence": {"rule": "FREQ=HOURLY"}}, "rule_unsupported", "/recurrence/rule"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_refused_names_its_place(as_alice: Api, alice: User, case: str) -> None:
    changed, code, pointer = BAD[case]
    body = {"title": "Bad", "due_date": "2026-11-28", "recurrence": DAILY, **changed}
    path = f"{as_alice.tasks}/{make_task(alice).pk}"
    for answer in (as_alice.post(as_alice.tasks, body), as_alice.patch(path, body)):
        (error,) = problem_of(answer, 400)["errors"]
        assert (error["code"], error["pointer"]) == (code, pointer)
    assert not Task.objects.exclude(recurrence=None).exists()


def test_the_due_of_a_task_that_recurs_cannot_be_taken_away(as_alice: Api, alice: User) -> None:
    path = f"{as_alice.tasks}/{make(alice).pk}"
    stored = as_alice.get(path).json()["recurrence"]
    for sent in ({"due_date": None}, {"due_date": None, "due_at": None}, {"due_date": None, "recurrence": stored}):
        (error,) = problem_of(as_alice.patch(path, sent), 400)["errors"]
        assert (error["code"], error["pointer"]) == ("recurrence_needs_due", "/due_date")
    assert Task.objects.get().due_date == TODAY
    assert as_alice.patch(path, {"due_date": None, "recurrence": None}).status_code == 200


# --- Wall clocks, through the API -------------------------------------------------------------------

CLOCKS = {
    # Half an hour of summer time: the clock goes from 02:00 to 02:30 on 4 October 2026.
    "Lord Howe": ("Australia/Lord_Howe", "2026-10-02T15:45Z", ["2026-10-03T15:45Z", "2026-10-04T15:15Z"]),
    # 30 December 2011 is left out.
    "Apia": ("Pacific/Apia", "2011-12-29T19:00Z", ["2011-12-30T19:00Z", "2011-12-31T19:00Z"]),
    "Kiritimati": ("Pacific/Kiritimati", "2026-12-30T18:00Z", ["2026-12-31T18:00Z", "2027-01-01T18:00Z"]),
    "Tehran, with summer time": ("Asia/Tehran", "2022-03-20T05:30Z", ["2022-03-21T05:30Z", "2022-03-22T04:30Z"]),
    "Tehran, without": ("Asia/Tehran", "2023-03-20T05:30Z", ["2023-03-21T05:30Z", "2023-03-22T05:30Z"]),
}


@pytest.mark.parametrize("case", CLOCKS)
def test_the_wall_clock_is_kept(alice: User, clock: Any, case: str) -> None:
    zone, first, dues = CLOCKS[case]
    due = dt.datetime.fromisoformat(first)
    task = make(alice, due=due, zone=zone)
    for following in map(dt.datetime.fromisoformat, dues):
        clock.move_to(due)
        api = Api(alice)
        due = dt.datetime.fromisoformat(api.patch(f"{api.tasks}/{task.pk}/complete").json()["due_at"])
        assert due == following


@pytest.mark.parametrize(
    ("rule", "due", "following"),
    [
        ("FREQ=YEARLY", "2028-02-29", ["2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"]),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "2028-02-29", ["2032-02-29", "2036-02-29"]),
        ("FREQ=MONTHLY", "2028-01-31", ["2028-02-29", "2028-03-31", "2028-04-30"]),
        ("FREQ=YEARLY", "2998-07-01", ["2999-07-01"]),
    ],
)
def test_leap_years_and_month_ends(as_alice: Api, alice: User, rule: str, due: str, following: list[str]) -> None:
    path = f"{as_alice.tasks}/{make(alice, rule, due=dt.date.fromisoformat(due)).pk}/complete"
    assert [as_alice.patch(path).json()["due_date"] for _ in following] == following
