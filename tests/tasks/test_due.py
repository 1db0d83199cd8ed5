"""Due dates and due instants in the user's time zone."""

import datetime as dt
from typing import Any

import pytest
import time_machine

from tasks.models import Task
from tests.client import Api
from tests.factories import make_task, make_user

KARACHI, NEW_YORK = "Asia/Karachi", "America/New_York"
KIRITIMATI, PAGO_PAGO = "Pacific/Kiritimati", "Pacific/Pago_Pago"  # UTC+14 and UTC-11


def api_in(zone: str) -> Api:
    return Api(make_user(timezone=zone))


@pytest.mark.parametrize(
    ("zone", "sent", "answered", "local_date"),
    [
        ("UTC", "2026-11-30T23:59:59Z", "2026-11-30T23:59:59Z", "2026-11-30"),
        (KARACHI, "2026-11-30T18:59:59Z", "2026-11-30T18:59:59Z", "2026-11-30"),
        (KARACHI, "2026-11-30T19:00:00Z", "2026-11-30T19:00:00Z", "2026-12-01"),
        (KARACHI, "2026-11-26T00:30:00+05:00", "2026-11-25T19:30:00Z", "2026-11-26"),
        # New York, clocks forward on 2027-03-14: midnight is 05:00Z before and 04:00Z after.
        (NEW_YORK, "2027-03-14T04:59:59Z", "2027-03-14T04:59:59Z", "2027-03-13"),
        (NEW_YORK, "2027-03-14T05:00:00Z", "2027-03-14T05:00:00Z", "2027-03-14"),
        (NEW_YORK, "2027-03-15T03:59:59Z", "2027-03-15T03:59:59Z", "2027-03-14"),
        (NEW_YORK, "2027-03-15T04:00:00Z", "2027-03-15T04:00:00Z", "2027-03-15"),
        # 02:30 does not exist that night; as an offset it names an instant all the same.
        (NEW_YORK, "2027-03-14T02:30:00-05:00", "2027-03-14T07:30:00Z", "2027-03-14"),
        # Clocks back on 2026-11-01: midnight is 04:00Z before and 05:00Z after; 01:30 comes twice.
        (NEW_YORK, "2026-11-01T03:59:59Z", "2026-11-01T03:59:59Z", "2026-10-31"),
        (NEW_YORK, "2026-11-01T01:30:00-04:00", "2026-11-01T05:30:00Z", "2026-11-01"),
        (NEW_YORK, "2026-11-01T01:30:00-05:00", "2026-11-01T06:30:00Z", "2026-11-01"),
        (NEW_YORK, "2026-11-02T04:59:59Z", "2026-11-02T04:59:59Z", "2026-11-01"),
        (NEW_YORK, "2026-11-02T05:00:00Z", "2026-11-02T05:00:00Z", "2026-11-02"),
        # One instant on three calendar days.
        (KIRITIMATI, "2026-12-31T10:00:00Z", "2026-12-31T10:00:00Z", "2027-01-01"),
        (PAGO_PAGO, "2026-12-31T10:00:00Z", "2026-12-31T10:00:00Z", "2026-12-30"),
        (PAGO_PAGO, "2026-12-31T10:59:59.999999Z", "2026-12-31T10:59:59.999999Z", "2026-12-30"),
        (PAGO_PAGO, "2026-12-31T11:00:00Z", "2026-12-31T11:00:00Z", "2026-12-31"),
    ],
)
@pytest.mark.django_db
def test_due_at_sets_due_date_to_its_local_date(zone: str, sent: str, answered: str, local_date: str) -> None:
    body = api_in(zone).post("/api/me/tasks", {"title": "A", "due_at": sent}).json()
    assert (body["due_at"], body["due_date"]) == (answered, local_date)
    assert Task.objects.get().due_date == dt.date.fromisoformat(local_date)


@pytest.mark.django_db
def test_a_date_time_sent_as_due_date_is_taken_as_due_at() -> None:
    body = api_in(KARACHI).post("/api/me/tasks", {"title": "A", "due_date": "2026-11-30T22:00:00Z"}).json()
    assert (body["due_at"], body["due_date"]) == ("2026-11-30T22:00:00Z", "2026-12-01")


AT, DATE = "2026-11-30T10:00:00Z", "2026-11-30"


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        ({"due_at": AT}, {"due_date": "2026-12-05"}, ("2026-12-05", None)),
        ({"due_at": AT}, {"due_date": None}, (None, None)),
        ({"due_at": AT}, {"due_at": None}, (DATE, None)),
        ({"due_at": AT}, {"due_at": None, "due_date": None}, (None, None)),
        ({"due_at": AT}, {"due_at": AT, "due_date": DATE}, (DATE, AT)),
        ({"due_at": AT}, {"due_at": AT, "due_date": "2026-12-05"}, ("2026-12-05", None)),
        ({"due_at": AT}, {"due_at": "2026-12-05T10:00:00Z", "due_date": DATE}, ("2026-12-05", "2026-12-05T10:00:00Z")),
        ({"due_at": AT}, {"due_date": DATE}, (DATE, None)),
        ({"due_at": AT}, {"due_date": None, "due_at": AT}, (None, None)),
        ({"due_at": AT}, {"due_date": None, "due_at": "2026-12-05T10:00:00Z"}, ("2026-12-05", "2026-12-05T10:00:00Z")),
        ({"due_at": AT}, {"title": "New"}, (DATE, AT)),
        # What web forms send of a date that is not filled in.
        ({"due_at": AT}, {"due_date": ""}, (None, None)),
        ({"due_at": AT}, {"due_at": ""}, (DATE, None)),
        ({"due_at": AT}, {"due_date": "", "due_at": ""}, (None, None)),
        ({"due_date": DATE}, {"due_date": "", "due_at": ""}, (None, None)),
        ({"due_date": DATE}, {"due_date": "", "due_at": AT}, (DATE, AT)),
        ({"due_date": DATE}, {"due_date": "2026-12-05", "due_at": ""}, ("2026-12-05", None)),
        ({}, {"due_date": "", "due_at": ""}, (None, None)),
        # A date-time as due_date, beside due_at as it was.
        ({}, {"due_date": AT, "due_at": None}, (DATE, AT)),
        ({}, {"due_date": AT, "due_at": ""}, (DATE, AT)),
        ({"due_at": AT}, {"due_date": "2026-12-05T10:00:00Z", "due_at": AT}, ("2026-12-05", "2026-12-05T10:00:00Z")),
        ({"due_at": AT}, {"due_date": AT, "due_at": "2026-12-05T10:00:00Z"}, ("2026-12-05", "2026-12-05T10:00:00Z")),
        ({"due_at": AT}, {"due_date": AT, "due_at": AT}, (DATE, AT)),
        ({"due_at": AT}, {"due_date": AT, "due_at": None}, (DATE, AT)),
        ({"due_date": DATE}, {"due_at": AT}, (DATE, AT)),
        ({"due_date": DATE}, {"due_date": None}, (None, None)),
        ({"due_date": DATE}, {"due_at": None}, (DATE, None)),
        ({}, {"due_at": AT, "due_date": DATE}, (DATE, AT)),
        ({}, {"due_at": AT, "due_date": None}, (DATE, AT)),
    ],
)
def test_what_changing_one_due_means_for_the_other(
    as_alice: Api, before: dict[str, Any], change: dict[str, Any], after: tuple[str | None, str | None]
) -> None:
    for change_by in (as_alice.patch, as_alice.put):
        created = as_alice.post("/api/me/tasks", {"title": "A", **before}).json()
        answer = change_by(f"/api/me/tasks/{created['id']}", change)
        assert answer.status_code == 200
        assert (answer.json()["due_date"], answer.json()["due_at"]) == after


@pytest.mark.parametrize("empty", [None, ""])
def test_a_new_task_may_have_an_empty_due(as_alice: Api, empty: str | None) -> None:
    answer = as_alice.post("/api/me/tasks", {"title": "A", "due_date": empty, "due_at": empty})
    assert (answer.status_code, answer.json()["due_date"], answer.json()["due_at"]) == (201, None, None)
    assert Task.objects.get().due_date is None


def test_two_new_moments_that_differ_are_refused_for_a_stored_task(as_alice: Api) -> None:
    created = as_alice.post("/api/me/tasks", {"title": "A", "due_at": AT}).json()
    change = {"due_date": "2026-12-05T10:00:00Z", "due_at": "2026-12-06T10:00:00Z"}
    answer = as_alice.patch(f"/api/me/tasks/{created['id']}", change)
    error = answer.json()["errors"][0]
    assert (answer.status_code, error["pointer"], error["code"]) == (400, "/due_date", "conflicting_members")
    assert Task.objects.get().version == 1


@pytest.mark.parametrize(
    "body",
    [
        {"due_at": AT, "due_date": "2026-12-05"},
        {"due_at": AT, "due_date": "2026-11-30T11:00:00Z"},
    ],
)
def test_contradicting_dues_are_refused(as_alice: Api, body: dict[str, Any]) -> None:
    answer = as_alice.post("/api/me/tasks", {"title": "A", **body})
    error = answer.json()["errors"][0]
    assert (answer.status_code, error["pointer"], error["code"]) == (400, "/due_date", "conflicting_members")
    assert not Task.objects.exists()


@pytest.mark.django_db
def test_an_answer_can_be_put_back_after_the_user_moved_to_another_zone() -> None:
    api = api_in(KIRITIMATI)
    sent = {"title": "A", "due_at": "2026-12-31T10:00:00Z"}
    address = f"/api/me/tasks/{api.post('/api/me/tasks', sent).json()['id']}"
    assert api.patch("/api/users/me", {"timezone": PAGO_PAGO}).status_code == 200
    shown = api.get(address).json()
    answer = api.put(address, shown)
    assert (answer.status_code, answer.json(), shown["due_date"]) == (200, shown, "2026-12-30")


@pytest.mark.parametrize(
    ("zone", "last_moment", "first_moment"),
    [
        (KARACHI, "2026-11-30T18:59:59Z", "2026-11-30T19:00:00Z"),
        (NEW_YORK, "2026-12-01T04:59:59Z", "2026-12-01T05:00:00Z"),
        (KIRITIMATI, "2026-11-30T09:59:59Z", "2026-11-30T10:00:00Z"),
        (PAGO_PAGO, "2026-12-01T10:59:59Z", "2026-12-01T11:00:00Z"),
    ],
)
@pytest.mark.django_db
def test_a_day_is_overdue_when_it_has_ended_where_the_user_is(zone: str, last_moment: str, first_moment: str) -> None:
    user = make_user(timezone=zone)
    task = make_task(user, due_date=dt.date(2026, 11, 30))
    assert overdue(user, last_moment) == []
    assert overdue(user, first_moment) == [task.pk]


@pytest.mark.parametrize(
    ("due", "last_moment", "first_moment"),
    [
        # The days on which New York's clocks change have 23 and 25 hours.
        (dt.date(2027, 3, 14), "2027-03-15T03:59:59Z", "2027-03-15T04:00:00Z"),
        (dt.date(2026, 11, 1), "2026-11-02T04:59:59Z", "2026-11-02T05:00:00Z"),
    ],
)
@pytest.mark.django_db
def test_overdue_on_the_days_of_the_clock_changes(due: dt.date, last_moment: str, first_moment: str) -> None:
    user = make_user(timezone=NEW_YORK)
    task = make_task(user, due_date=due)
    assert overdue(user, last_moment) == []
    assert overdue(user, first_moment) == [task.pk]


@pytest.mark.django_db
def test_a_timed_task_is_overdue_at_its_instant_and_not_at_the_end_of_the_day() -> None:
    user = make_user(timezone=KIRITIMATI)
    task = make_task(user, due_at=dt.datetime(2026, 11, 30, 9, tzinfo=dt.UTC))
    assert overdue(user, "2026-11-30T09:00:00Z") == []
    assert overdue(user, "2026-11-30T09:00:01Z") == [task.pk]


@pytest.mark.parametrize("status", ["completed", "cancelled"])
@pytest.mark.django_db
def test_closed_tasks_are_never_overdue(status: str) -> None:
    user = make_user()
    make_task(user, due_date=dt.date(2026, 11, 1), status=status)
    assert overdue(user, "2026-11-30T00:00:00Z") == []


def overdue(user: Any, moment: str) -> list[int]:
    with time_machine.travel(dt.datetime.fromisoformat(moment), tick=False):
        return [task["id"] for task in Api(user).get("/api/me/tasks?overdue=true").json()]
