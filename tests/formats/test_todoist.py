"""Todoist: priorities that run the other way, indents, notes, labels in titles, dates in words."""

import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.formats import todoist_csv, todoist_json
from tasks.formats.drafts import Degraded, Document, ProjectDraft, Skipped, TaskDraft
from tasks.formats.todoist_dates import english, recurring
from tasks.recurrence import rules
from tests.formats.samples import BERLIN, UTC, named, task
from tests.formats.test_tickbase import texts

# --- CSV --------------------------------------------------------------------------------------------


def read(*lines: str, zone: Any = BERLIN) -> Document:
    return todoist_csv.read("\n".join(lines).encode(), zone)


@pytest.mark.parametrize(
    ("number", "priority"), [("1", "high"), ("2", "medium"), ("3", "low"), ("4", "low"), ("", "medium")]
)
def test_priority_1_is_the_highest(number: str, priority: str) -> None:
    assert read("TYPE,CONTENT,PRIORITY", f"task,a,{number}").tasks[0].priority == priority


def test_priorities_that_are_one_of_ours_stay_apart() -> None:
    third, fourth = read("TYPE,CONTENT,PRIORITY", "task,a,3", "task,b,4").tasks
    assert (third.extra, fourth.extra) == ({"PRIORITY": "3"}, {})


def test_header_in_any_case_with_bom() -> None:
    for header in ("type,content,priority,indent", "\ufeffType,Content,Priority,Indent"):
        assert read(header, "task,a,1,1").tasks[0].priority == "high"
        assert todoist_csv.matches(header.encode(), "")


def test_indent_is_depth() -> None:
    rows = [f"task,{name},{indent}" for name, indent in zip("abcdefg", "1234524", strict=True)]
    found = read("TYPE,CONTENT,INDENT", *rows).tasks
    names = {each.uid: each.title for each in found}
    assert [names.get(each.parent or "") for each in found] == [None, "a", "b", "c", "d", "a", "f"]


def test_indent_that_skips_a_level_is_told() -> None:
    document = read("TYPE,CONTENT,INDENT", "task,a,1", "task,b,4", "task,c,x", "task,d,99999999999999999999")
    assert [each.parent is None for each in document.tasks] == [True, False, True, True]
    assert [(note.row, note.value[:3], note.to) for note in document.degraded] == [
        (3, "4", "2"), (4, "x", "1"), (5, "999", "1"),
    ]  # fmt: skip


def test_sample() -> None:
    document = named("todoist.csv").read()
    basil, soil = task(document, "Repot the basil"), task(document, "Buy soil, 20 l")
    assert (basil.tags, basil.priority, basil.due_date) == (["garden", "weekend"], "high", dt.date(2026, 10, 5))
    assert basil.description == "Terracotta pot from the shed"
    assert basil.extra["notes"] == [{"CONTENT": "Get the peat-free soil", "AUTHOR": "Kim (48151623)"}]
    assert (soil.description, soil.parent) == ("The shop is closed\r\non Mondays", basil.uid)
    assert soil.extra["notes"] == [{"AUTHOR": "Kim (48151623)"}, {"CONTENT": "A second note"}]
    assert task(document, "Ask for the price").due_at == dt.datetime(2026, 10, 3, 12, 30, tzinfo=dt.UTC)  # in Cairo
    ferns = task(document, "Water the ferns")
    rule = "FREQ=WEEKLY;BYDAY=MO;BYHOUR=9;BYMINUTE=0"
    assert ferns.recurrence == {"rule": rule, "zone": "Africa/Cairo", "from": "due"}
    assert ferns.extra["section"] == "Weekly"
    seeds = task(document, 'Order "heirloom" seeds')
    assert seeds.recurrence == {"rule": "FREQ=WEEKLY;INTERVAL=3", "zone": "Europe/Berlin", "from": "completion"}
    assert (task(document, "Check the seed tray").extra["DATE"], document.degraded[-1].value) == (
        "jeden Tag",
        "jeden Tag",
    )


def test_label_alone_stays_the_title() -> None:
    [found] = read("TYPE,CONTENT", "task,@home").tasks
    assert (found.title, found.tags) == ("@home", ["home"])
    [mail] = read("TYPE,CONTENT", "task,Mail a@b.example @ noon").tasks
    assert (mail.title, mail.tags) == ("Mail a@b.example @ noon", [])


def test_note_without_a_task_is_told() -> None:
    document = read("TYPE,CONTENT", "note,a", "task,b", "picture,c")
    reasons = ["A note without a task above it.", "There is no type 'picture'."]
    assert document.skipped == [Skipped(2, reasons[0]), Skipped(4, reasons[1])]


plain = st.text(st.characters(categories=["L", "N", "P"], exclude_characters="@"), min_size=1, max_size=20)
tasks = st.builds(
    TaskDraft, row=st.just(0), uid=plain, title=plain, description=texts,
    tags=st.lists(plain, max_size=2, unique=True), priority=st.sampled_from(["high", "medium", "low"]),
    due_date=st.none() | st.dates(dt.date(1000, 1, 1)),
)  # fmt: skip


@given(st.lists(tasks, max_size=5), st.integers(1, 7))
def test_round_trip(tasks: list[TaskDraft], depth: int) -> None:
    """What Todoist has, comes back: texts, priority, labels, day, and five levels."""
    path: list[TaskDraft] = []
    for number, each in enumerate(tasks):
        each.uid = str(number)
        each.parent = path[-1].uid if path and len(path) < depth else None
        path = [*path, each] if each.parent else [each]
    document = todoist_csv.read(b"".join(todoist_csv.write([], tasks, BERLIN)), BERLIN)
    members = ("title", "description", "tags", "priority", "due_date")
    assert [[getattr(each, name) for name in members] for each in document.tasks] == [
        [getattr(each, name) for name in members] for each in tasks
    ]
    if depth <= 5:
        assert [each.parent is None for each in document.tasks] == [each.parent is None for each in tasks]


def test_projects_are_written_as_sections_and_closed_tasks_left_out() -> None:
    tasks = [
        TaskDraft(1, "a", title="In", due_at=dt.datetime(2026, 1, 31, 8, tzinfo=dt.UTC)),
        TaskDraft(2, "b", title="Done", status="completed"),
        TaskDraft(3, "c", title="Home\nwork", project="p", tags=["a b"]),
        TaskDraft(4, "d", title="Child", project="p", parent="c"),
        TaskDraft(5, "e", title="Daily", project="p", due_date=dt.date(2026, 1, 31), recurrence={"rule": "FREQ=DAILY"}),
    ]
    lines = b"".join(todoist_csv.write([ProjectDraft(1, "p", name="Home")], tasks, BERLIN)).decode().splitlines()
    assert lines[1:] == [
        "task,In,,2,1,,,2026-01-31 09:00,en,Europe/Berlin,,,,",
        "section,Home,,,,,,,,,,,,",
        "task,Home work @a_b,,2,1,,,,en,Europe/Berlin,,,,",
        "task,Child,,2,2,,,,en,Europe/Berlin,,,,",
        "task,Daily,,2,1,,,every day starting 2026-01-31,en,Europe/Berlin,,,,",
    ]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("FREQ=WEEKLY;BYDAY=MO;BYHOUR=9;BYMINUTE=0", "every mon"),
        ("FREQ=WEEKLY;BYDAY=MO;BYHOUR=9;BYMINUTE=0;WKST=SU", "every mon"),
        ("FREQ=WEEKLY;BYDAY=TU,TH;WKST=SU", "every tue, thu"),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=TU;WKST=MO", "every other tue"),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,TH;WKST=MO", None),
        ("FREQ=MONTHLY;INTERVAL=2;BYDAY=2TU", None),
        ("FREQ=HOURLY;BYHOUR=9;BYMINUTE=0", None),
        ("FREQ=DAILY;BYHOUR=9,17;BYMINUTE=0", None),
    ],
)
def test_rules_that_todoist_has_words_for(rule: str, words: str | None) -> None:
    assert english({"rule": rule}) == words


def test_the_time_of_a_rule_is_written_as_its_dues() -> None:
    due = dt.datetime(2026, 11, 30, 8, tzinfo=dt.UTC)
    rule = {"rule": "FREQ=WEEKLY;BYDAY=MO;BYHOUR=9;BYMINUTE=0"}
    (_, line) = todoist_csv.write([], [TaskDraft(1, "a", title="Stretch", due_at=due, recurrence=rule)], BERLIN)
    assert b"every mon at 09:00 starting 2026-11-30" in line


# --- Words ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        ("every day", "FREQ=DAILY"),
        ("Every  Day", "FREQ=DAILY"),
        ("daily", "FREQ=DAILY"),
        ("every 3 days", "FREQ=DAILY;INTERVAL=3"),
        ("every other week", "FREQ=WEEKLY;INTERVAL=2"),
        ("every weekday", "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"),
        ("every mon, wed and fri", "FREQ=WEEKLY;BYDAY=MO,WE,FR"),
        ("every other tuesday", "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU"),
        ("every 3rd friday", "FREQ=MONTHLY;BYDAY=3FR"),
        ("every last friday", "FREQ=MONTHLY;BYDAY=-1FR"),
        ("every first workday", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=1"),
        ("every 15th", "FREQ=MONTHLY;BYMONTHDAY=15"),
        ("every 2, 15, 27", "FREQ=MONTHLY;BYMONTHDAY=2,15,27"),
        ("every last day", "FREQ=MONTHLY;BYMONTHDAY=-1"),
        ("every quarter", "FREQ=MONTHLY;INTERVAL=3"),
        ("every jan 27th", "FREQ=YEARLY;BYMONTH=1;BYMONTHDAY=27"),
        ("every 29 february", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29"),
        ("every monday at 9am", "FREQ=WEEKLY;BYDAY=MO;BYHOUR=9;BYMINUTE=0"),
        ("every day 18:30", "FREQ=DAILY;BYHOUR=18;BYMINUTE=30"),
        ("every hour", "FREQ=HOURLY"),
        ("every day until dec 24 2026", "FREQ=DAILY;UNTIL=20261224"),
    ],
)
def test_words_that_are_certain(words: str, rule: str) -> None:
    found = recurring(words, BERLIN, is_timed=False)
    assert found is not None
    assert found.recurrence == {"rule": rule, "zone": "Europe/Berlin", "from": "due"}
    assert rules.parse(rule, BERLIN).text == rule  # one that Tickbase takes


@pytest.mark.parametrize("words", ["every! 3 days", "every!3 days", "after 3 days"])
def test_words_of_completion(words: str) -> None:
    found = recurring(words, BERLIN, is_timed=False)
    assert found is not None
    assert found.recurrence["from"] == "completion"


def test_start_is_the_first_day_of_the_rule() -> None:
    found = recurring("every monday at 9am starting oct 7 2026", BERLIN, is_timed=False)
    assert found is not None
    assert found.recurrence["rule"] == "FREQ=WEEKLY;BYDAY=MO"
    assert found.due == dt.datetime(2026, 10, 12, 7, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "words",
    ["tomorrow", "every", "every morning", "every monday holiday", "every other mon, tue", "every 31 april",
     "every 0 days", "every 5th friday", "every day at 25", "every day at 13pm", "every day for 3 weeks",
     "every day until soon", "every day until 2026-01-01 until 2026-01-02", "chaque jour",
     "every day starting 2026-10-05 until 2026-01-01"],
)  # fmt: skip
def test_words_that_are_not_certain(words: str) -> None:
    assert recurring(words, BERLIN, is_timed=False) is None


@given(st.text(max_size=60) | st.text("every 1234567890!,:ndadaysmontuewedthu feblast starting until", max_size=60))
def test_any_words(words: str) -> None:
    for text in (words, f"every {words}", f"every day at {words}", f"every day starting {words}"):
        found = recurring(text, UTC, is_timed=False)
        if found is not None:
            rules.parse(found.recurrence["rule"], UTC)


# --- JSON -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "priority"), [(4, "high"), (3, "medium"), (2, "low"), (1, "low")])
def test_priority_4_is_the_highest_in_json(number: int, priority: str) -> None:
    data = json.dumps([{"id": "1", "content": "a", "priority": number}]).encode()
    assert todoist_json.read(data, UTC).tasks[0].priority == priority


def test_sync() -> None:
    document = named("todoist.json").read()
    oven, soda, lawn = (task(document, title) for title in ("Clean the oven", "Buy soda", "Mow the lawn"))
    home, garden = document.projects
    assert (home.color, garden.parent, garden.archived) == ("#7ecc49", home.uid, True)
    assert home.extra["comments"][0]["content"] == "Landlord: 555 1234"
    assert (oven.due_date, oven.priority, oven.tags) == (dt.date(2026, 11, 30), "high", ["house", "weekend"])
    assert oven.recurrence == {"rule": "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO", "zone": "Europe/Berlin", "from": "due"}
    assert oven.extra["section"]["name"] == "Kitchen"
    assert oven.extra["comments"][0]["file_attachment"]["file_name"] == "oven.jpg"
    assert oven.extra["reminders"][0]["minute_offset"] == 30
    assert (soda.parent, soda.status, soda.project) == (oven.uid, "completed", home.uid)
    assert soda.due_at == dt.datetime(2025, 1, 31, 17, tzinfo=dt.UTC)
    assert (lawn.recurrence, lawn.due_at) == (None, dt.datetime(2026, 5, 4, 7, tzinfo=dt.UTC))
    assert lawn.extra["due"]["string"] == "jeden Montag um 3 Uhr"
    assert Degraded(3, "due", "jeden Montag um 3 Uhr", None) in document.degraded
    assert [note.row for note in document.skipped] == [3, 4]


def test_time_of_a_series_is_that_of_its_due() -> None:
    bread = task(named("todoist-api.json").read(), "Buy bread")
    assert bread.due_at == dt.datetime(2026, 8, 10, 17, 30, tzinfo=dt.UTC)
    assert bread.recurrence == {"rule": "FREQ=DAILY", "zone": "Europe/Madrid", "from": "due"}


def test_completed_tasks_of_the_api() -> None:
    items = [{"id": "9", "task_id": "1", "content": "a", "completed_at": "2026-01-31T09:00:00Z", "project_id": "7"}]
    data = json.dumps({"items": items, "projects": {"7": {"id": "7", "name": "Home"}}, "next_cursor": None}).encode()
    document = todoist_json.read(data, UTC)
    [found] = document.tasks
    assert (found.status, found.project, found.extra) == ("completed", document.projects[0].uid, {"id": "9"})
