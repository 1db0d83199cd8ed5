"""Microsoft To Do, Google Tasks, TickTick and Vikunja: what each means by its fields."""

import datetime as dt
import json
import time
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest

from tasks.formats import dates, google_tasks, ms_todo, ticktick, vikunja
from tasks.formats.drafts import Degraded, Document, Skipped, TaskDraft
from tasks.recurrence import rules
from tests.formats.samples import BERLIN, UTC, named, task, zipped

# --- Microsoft To Do --------------------------------------------------------------------------------


def todo(zone: str = "Europe/Berlin", **members: Any) -> tuple[TaskDraft, Document]:
    data = json.dumps({"value": [{"id": "1", "title": "a", **members}]}).encode()
    document = ms_todo.read(data, ZoneInfo(zone))
    return document.tasks[0], document


@pytest.mark.parametrize(
    ("text", "named_zone", "zone", "day"),
    [
        ("2024-10-24T10:00:00.0000000", "UTC", "Pacific/Honolulu", "2024-10-24"),
        ("2024-10-23T10:00:00.0000000", "UTC", "Pacific/Kiritimati", "2024-10-24"),
        ("2025-07-08T00:00:00.0000000", "UTC", "America/Sao_Paulo", "2025-07-08"),
        ("2025-07-07T22:00:00.0000000", "UTC", "Europe/Berlin", "2025-07-08"),
        ("2025-07-08T00:00:00.0000000", "Pacific Standard Time", "Europe/Berlin", "2025-07-08"),
        ("2025-07-08T09:00:00.0000000", "Tokyo Standard Time", "Asia/Tokyo", "2025-07-08"),
        ("2025-07-08", "UTC", "Asia/Tokyo", "2025-07-08"),
    ],
)
def test_due_is_a_day(text: str, named_zone: str, zone: str, day: str) -> None:
    found, document = todo(zone, dueDateTime={"dateTime": text, "timeZone": named_zone})
    assert (found.due_date, found.due_at) == (dt.date.fromisoformat(day), None)
    assert document.degraded == []


def test_due_that_is_none_is_told_and_kept() -> None:
    for value in ({"dateTime": "soon", "timeZone": "UTC"}, {"dateTime": 7}, {"dateTime": "9999-12-31T23:00:00"}, "x"):
        found, document = todo("Pacific/Kiritimati", dueDateTime=value)
        assert found.due_date is None
        assert found.extra == {"dueDateTime": value}
        assert [note.field for note in document.degraded] == ["dueDateTime"]


def test_zones_of_windows() -> None:
    """All that Unicode's table names; those of the IANA as they are."""
    from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

    assert len(WINDOWS_TO_OLSON) > 130
    assert [name for name in WINDOWS_TO_OLSON if dates.zone_by_any_name(name) is None] == []
    assert str(dates.zone_by_any_name("W. Europe Standard Time")) == "Europe/Berlin"
    assert str(dates.zone_by_any_name("Asia/Tokyo")) in available_timezones()
    assert dates.zone_by_any_name("Middle-earth Standard Time") is None


def test_unknown_zone_is_told() -> None:
    value = {"dateTime": "2026-01-31T09:00:00", "timeZone": "Middle-earth Standard Time"}
    found, document = todo(completedDateTime=value, status="completed")
    assert found.completed_at == dt.datetime(2026, 1, 31, 8, tzinfo=dt.UTC)
    assert document.degraded == [Degraded(1, "completedDateTime/timeZone", value["timeZone"], "Europe/Berlin")]


@pytest.mark.parametrize(
    ("pattern", "rule"),
    [
        ({"type": "daily", "interval": 1}, "FREQ=DAILY"),
        ({"type": "daily", "interval": 3}, "FREQ=DAILY;INTERVAL=3"),
        ({"type": "weekly", "interval": 1, "daysOfWeek": ["monday"], "firstDayOfWeek": "monday"},
         "FREQ=WEEKLY;BYDAY=MO;WKST=MO"),
        ({"type": "weekly", "interval": 2, "daysOfWeek": []}, "FREQ=WEEKLY;INTERVAL=2"),
        ({"type": "absoluteMonthly", "interval": 2, "dayOfMonth": 15}, "FREQ=MONTHLY;INTERVAL=2;BYMONTHDAY=15"),
        ({"type": "absoluteMonthly", "interval": 1, "dayOfMonth": 31},
         "FREQ=MONTHLY;BYMONTHDAY=28,29,30,31;BYSETPOS=-1"),
        ({"type": "relativeMonthly", "interval": 1, "daysOfWeek": ["friday"], "index": "last"},
         "FREQ=MONTHLY;BYDAY=-1FR"),
        ({"type": "relativeMonthly", "interval": 1, "daysOfWeek": ["monday", "tuesday"], "index": "first"},
         "FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=1"),
        ({"type": "absoluteYearly", "interval": 1, "dayOfMonth": 4, "month": 7}, "FREQ=YEARLY;BYMONTH=7;BYMONTHDAY=4"),
        ({"type": "relativeYearly", "interval": 1, "daysOfWeek": ["thursday"], "index": "fourth", "month": 11},
         "FREQ=YEARLY;BYMONTH=11;BYDAY=4TH"),
    ],
)  # fmt: skip
def test_patterns(pattern: dict[str, Any], rule: str) -> None:
    found, _ = todo(recurrence={"pattern": pattern, "range": {"type": "noEnd", "startDate": "2026-01-01"}})
    assert found.recurrence == {"rule": rule, "zone": "Europe/Berlin"}
    assert rules.parse(rule, BERLIN).text == rule
    assert found.extra == {"recurrence": {"pattern": pattern, "range": {"type": "noEnd", "startDate": "2026-01-01"}}}


@pytest.mark.parametrize(
    ("span", "end"),
    [
        ({"type": "endDate", "endDate": "2026-12-31"}, ";UNTIL=20261231"),
        ({"type": "numbered", "numberOfOccurrences": 7}, ";COUNT=7"),
        ({"type": "noEnd", "endDate": "0001-01-01"}, ""),
    ],
)
def test_ranges(span: dict[str, Any], end: str) -> None:
    found, _ = todo(recurrence={"pattern": {"type": "daily", "interval": 1}, "range": span})
    assert found.recurrence is not None
    assert found.recurrence["rule"] == f"FREQ=DAILY{end}"


@pytest.mark.parametrize(
    "pattern", [{}, {"type": "lunar"}, {"type": "weekly", "daysOfWeek": ["x"]}, {"type": "daily", "interval": 0}]
)
def test_pattern_that_is_none_is_told(pattern: dict[str, Any]) -> None:
    found, document = todo(recurrence={"pattern": pattern})
    assert found.recurrence is None
    assert [note.field for note in document.degraded] == ["recurrence"]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("<p>a</p><p>b &lt; c</p>", "a\nb < c"),
        ("a<br>b<BR/>c", "a\nb\nc"),
        ("<!-- <p>x</p> -->a<style>p > b {}</style>", "a"),
        ("1 < 2 & 3", "1 < 2 & 3"),
        (f"&#{'9' * 10_000};&#0;&#xD800;", "\ufffd\ufffd\ufffd"),
    ],
    ids=range(5),
)
def test_html_becomes_text_and_is_kept(content: str, text: str) -> None:
    found, _ = todo(body={"contentType": "html", "content": content})
    assert found.description == text
    assert found.extra["body"]["content"] == content


@pytest.mark.thorough
@pytest.mark.parametrize(
    "piece", ["<!--", "<!", "<a ", "</", "<", "&#", "<style>", "<![CDATA[", "-->", "<p", "&a", " "]
)
def test_hostile_html_takes_no_time(piece: str) -> None:
    started = time.process_time()
    todo(body={"contentType": "html", "content": piece * 300_000})
    assert time.process_time() - started < 1


def test_sample_of_microsoft() -> None:
    document = named("ms-todo.json").read()
    dinner, rent, tax = (task(document, title) for title in ("Shop for dinner", "Pay the rent", "Tax return"))
    milk = task(document, "Milk")
    assert (dinner.due_date, dinner.priority, dinner.tags) == (
        dt.date(2025, 7, 8),
        "high",
        ["Important", "Red category"],
    )
    assert dinner.recurrence == {
        "rule": "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,FR;WKST=SU;UNTIL=20251231", "zone": "America/Los_Angeles",
    }  # fmt: skip
    assert (milk.parent, milk.project, milk.status) == (dinner.uid, dinner.project, "completed")
    assert milk.completed_at == dt.datetime(2025, 7, 1, 9, 14, tzinfo=dt.UTC)
    assert dinner.extra["linkedResources"][0]["webUrl"] == "https://example.com/recipe"
    assert (rent.description, rent.due_date) == ("By bank\n- IBAN & name", dt.date(2025, 5, 2))
    assert rent.extra["body"]["content"].startswith("<html>")
    assert rent.completed_at == dt.datetime(2025, 5, 1, 22, tzinfo=dt.UTC)
    assert (tax.status, tax.extra["status"]) == ("pending", "waitingOnOthers")
    assert tax.recurrence == {"rule": "FREQ=YEARLY;BYMONTH=5;BYDAY=-1MO;COUNT=10", "zone": "Europe/Berlin"}
    assert [project.name for project in document.projects] == ["Tasks"]


# --- Google Tasks -----------------------------------------------------------------------------------


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Pacific/Honolulu", "Pacific/Kiritimati"])
def test_due_of_google_is_that_day_in_every_zone(zone: str) -> None:
    document = google_tasks.read(named("google-tasks.json").data, ZoneInfo(zone))
    assert task(document, "Second").due_date == dt.date(2026, 3, 29)


def test_sample_of_google() -> None:
    document = named("google-tasks.json").read()
    first, second, child = (task(document, title) for title in ("First", "Second", "Child"))
    assert [each.title for each in document.tasks] == ["Child", "First", "Second"]  # by position
    assert child.parent == second.uid
    assert (first.status, first.extra["hidden"]) == ("completed", True)
    assert second.description == "Line one\nLine two"
    assert second.extra["links"][0]["type"] == "email"
    assert [project.name for project in document.projects] == ["My Tasks", "Work"]
    assert document.skipped == [Skipped(4, "It is deleted in Google Tasks.")]


def test_tasks_of_one_list() -> None:
    data = json.dumps({"kind": "tasks#tasks", "items": [{"id": "a", "title": ""}]}).encode()
    document = google_tasks.read(data, UTC)
    assert (document.projects, document.tasks[0].title) == ([], "Untitled")
    assert document.degraded == [Degraded(1, "title", "", "Untitled")]


# --- TickTick ---------------------------------------------------------------------------------------


def test_sample_of_ticktick() -> None:
    document = named("ticktick.csv").read()
    shoes, socks, pack, call = (task(document, title) for title in ("Buy shoes", "Socks", "Pack", "Call"))
    projects = {project.uid: project for project in document.projects}
    home = projects[shoes.project or ""]
    assert (shoes.row, home.name, projects[home.parent or ""].name) == (8, "Home", "Private")
    assert (shoes.due_date, shoes.due_at) == (dt.date(2026, 6, 20), None)  # midnight in Berlin
    assert (shoes.description, shoes.tags) == ('Size 42\nor 43, "narrow"', ["shop", "feet"])
    assert shoes.recurrence == {"rule": "RRULE:FREQ=MONTHLY;INTERVAL=1;BYMONTHDAY=20", "zone": "Europe/Berlin"}
    assert (shoes.priority, socks.priority, pack.priority, call.priority) == ("high", "low", "medium", "medium")
    assert (socks.parent, socks.status, call.status) == (shoes.uid, "completed", "cancelled")
    assert pack.due_at == dt.datetime(2026, 7, 20, 7, tzinfo=dt.UTC)
    assert (pack.project, pack.description) == (None, "For the trip")
    items = [(each.title, each.status) for each in document.tasks if each.parent == pack.uid]
    assert items == [("Tent", "pending"), ("Map", "completed")]
    assert call.due_at == dt.datetime(2026, 7, 21, 10, tzinfo=dt.UTC)  # noon wherever the user is
    assert [note.field for note in document.degraded] == ["Repeat", "Repeat"]
    assert "Version: 7.2" in document.warnings[0]


@pytest.mark.parametrize(
    "repeat", ["ERULE:NAME=X", "LUNAR:FREQ=YEARLY", "RRULE:FREQ=DAILY;TT_SKIP=WEEKEND", "daily", "FREQ"]
)
def test_repeat_of_their_own_is_told_and_kept(repeat: str) -> None:
    data = named("ticktick.csv").data.replace(b"RRULE:FREQ=MONTHLY;INTERVAL=1;BYMONTHDAY=20", repeat.encode())
    shoes = task(ticktick.read(data, BERLIN), "Buy shoes")
    assert (shoes.recurrence, shoes.extra["Repeat"]) == (None, repeat)


def test_folder_and_list_of_one_name_are_two_projects() -> None:
    data = named("ticktick.csv").data.replace(b'"","Work"', b'"","Private"')
    names = [(project.name, project.parent is None) for project in ticktick.read(data, BERLIN).projects]
    assert names == [("Private", True), ("Home", False), ("Private", True)]


def test_later_backup_has_the_same_uids() -> None:
    """Its `taskId`s count from 1 again, whatever tasks are left."""
    sample = named("ticktick.csv")
    start, rest = sample.text.decode().split('"","Inbox"')
    _, last = rest.split('"","Work"')
    later = sample.read(f'{start}"","Work"{last}'.replace('"list","4"', '"list","3"').encode())
    assert task(later, "Call").uid == task(sample.read(), "Call").uid


# --- Vikunja ----------------------------------------------------------------------------------------


def vikunja_task(**members: Any) -> tuple[TaskDraft, Document]:
    data = json.dumps([{"id": 1, "title": "P", "tasks": [{"id": 1, "title": "a", **members}]}]).encode()
    document = vikunja.read(zipped({"data.json": data}), BERLIN)
    return document.tasks[0], document


def test_sample_of_vikunja() -> None:
    document = vikunja.read(named("vikunja").data, BERLIN)
    wall, paint, rent = (task(document, title) for title in ("Paint the wall", "Buy paint", "Rent"))
    home, old = document.projects
    assert (home.color, old.parent, old.archived) == ("#e8e8e8", home.uid, True)
    assert (wall.due_at, wall.completed_at) == (dt.datetime(2026, 12, 1, 17, tzinfo=dt.UTC), None)
    assert wall.recurrence == {"rule": "FREQ=WEEKLY;INTERVAL=2", "zone": "Europe/Berlin", "from": "completion"}
    assert (wall.priority, wall.extra["priority"], wall.tags) == ("high", 4, ["diy"])
    assert (wall.extra["bucket"], wall.extra["related_tasks"]) == ("Doing", {"blocked": [{"id": 13, "title": "Rent"}]})
    assert (paint.parent, paint.status, paint.due_at) == (wall.uid, "completed", None)
    assert paint.completed_at == dt.datetime(2024, 1, 6, 10, tzinfo=dt.UTC)
    assert rent.recurrence == {"rule": "FREQ=MONTHLY", "zone": "Europe/Berlin", "from": "due"}
    assert [note.field for note in document.degraded] == ["filters.json", "VERSION", "attachments", "repeat_after"]


def test_year_1_is_null() -> None:
    never = dict.fromkeys(
        ["due_date", "done_at", "created", "updated", "start_date", "end_date"], "0001-01-01T00:00:00Z"
    )
    found, document = vikunja_task(**never)
    assert (found.due_at, found.completed_at, found.created_at, found.modified_at) == (None, None, None, None)
    assert (found.extra, document.degraded) == ({}, [])


@pytest.mark.parametrize(
    ("mode", "seconds", "rule", "origin"),
    [
        (0, 86_400, "FREQ=DAILY", "due"), (0, 259_200, "FREQ=DAILY;INTERVAL=3", "due"),
        (0, 3600, "FREQ=HOURLY", "due"),
        (2, 604_800, "FREQ=WEEKLY", "completion"), (1, 0, "FREQ=MONTHLY", "due"),
    ],
)  # fmt: skip
def test_repeat(mode: int, seconds: int, rule: str, origin: str) -> None:
    found, _ = vikunja_task(repeat_mode=mode, repeat_after=seconds)
    assert found.recurrence == {"rule": rule, "zone": "Europe/Berlin", "from": origin}


@pytest.mark.parametrize("seconds", [1, 5400, -86_400, 1.5, "86400", 10**17 + 1])
def test_repeat_that_is_no_rule_is_told(seconds: Any) -> None:
    found, document = vikunja_task(repeat_mode=0, repeat_after=seconds)
    assert (found.recurrence, found.extra["repeat_after"]) == (None, seconds)
    assert document.degraded == [Degraded(2, "repeat_after", seconds, None)]


def test_subtask_that_is_not_in_the_file_is_told() -> None:
    found, document = vikunja_task(related_tasks={"subtask": [{"id": 7, "title": "b"}]})
    assert document.degraded == [Degraded(2, "related_tasks/subtask", {"id": 7, "title": "b"}, None)]
    assert found.parent is None


def test_namespaces_of_older_versions() -> None:
    lists = [{"id": 1, "title": "Home", "tasks": [{"id": 1, "title": "a"}]}]
    document = vikunja.read(
        zipped({"data.json": json.dumps([{"id": 1, "title": "All", "lists": lists}]).encode()}), UTC
    )
    assert [(project.name, project.parent is None) for project in document.projects] == [("All", True), ("Home", False)]
    assert document.tasks[0].project == document.projects[1].uid
