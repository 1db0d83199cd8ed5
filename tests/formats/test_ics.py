"""iCalendar's to-dos, both ways."""

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.formats import ical, ics, ics_writing
from tasks.formats.drafts import Completed, Degraded, Document, ProjectDraft, Skipped, TaskDraft, UnreadableFile
from tests.formats.text_files import (
    SAMPLES,
    again,
    days,
    lines,
    one,
    plain,
    read,
    recurrences,
    sample,
    seconds,
    texts,
    uids,
    written,
)

FILES = sorted(path.name for path in SAMPLES.glob("*.ics"))


def document(*properties: str, head: str = "") -> Document:
    body = "\n".join(["BEGIN:VTODO", "UID:u", *properties, "END:VTODO"])
    return read(ics, f"BEGIN:VCALENDAR\n{head}{body}\nEND:VCALENDAR\n")


def todo(*properties: str) -> TaskDraft:
    return one(document(*properties))


def parsed(data: bytes) -> Any:
    """By the library, whose types are unions of all properties."""
    return icalendar.Calendar.from_ical(data)


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> dt.datetime:
    return dt.datetime(year, month, day, hour, minute, second, tzinfo=dt.UTC)


# --- In ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("due", "instant"),
    [
        ("DUE:20260701T070000Z", at(2026, 7, 1, 7)),
        ("DUE:20260701T090000", at(2026, 7, 1, 7)),
        ("DUE;TZID=America/New_York:20260701T090000", at(2026, 7, 1, 13)),
        ("DUE;TZID=Eastern Standard Time:20260701T090000", at(2026, 7, 1, 13)),
        ("DUE;TZID=/citadel.org/20210210_1/America/New_York:20260701T090000", at(2026, 7, 1, 13)),
        ('DUE;X-A="a:b;c";TZID="America/New_York":20260701T090000', at(2026, 7, 1, 13)),
        ("DUE;TZID=Europe/Berlin:20260329T023000", at(2026, 3, 29, 1, 30)),
        ("DUE;TZID=Europe/Berlin:20261025T023000", at(2026, 10, 25, 0, 30)),
    ],
)
def test_times_are_of_their_zone(due: str, instant: dt.datetime) -> None:
    assert todo(due).due_at == instant


def test_a_date_is_a_day() -> None:
    assert (todo("DUE;VALUE=DATE:20260701").due_date, todo("DUE:20260701").due_date) == (dt.date(2026, 7, 1),) * 2


def test_a_zone_that_the_file_defines_is_known() -> None:
    elsewhere = ZoneInfo("America/New_York")
    by_hand = {task.uid: task for task in read(ics, sample("by-hand.ics"), elsewhere).tasks}

    assert by_hand["custom"].due_at == at(2026, 7, 1, 7)


def test_a_zone_that_nobody_knows_is_told() -> None:
    found = document("DUE;TZID=Mars/Olympus:20260701T090000")

    assert one(found).due_at == at(2026, 7, 1, 7)
    assert found.degraded == [Degraded(1, "DUE;TZID", "Mars/Olympus", "Europe/Berlin")]


@pytest.mark.parametrize(
    ("number", "priority"), [(1, "high"), (4, "high"), (5, "medium"), (0, "medium"), (6, "low"), (9, "low")]
)
def test_priorities(number: int, priority: str) -> None:
    assert todo(f"PRIORITY:{number}").priority == priority


@pytest.mark.parametrize(
    ("properties", "status"),
    [
        (["STATUS:IN-PROCESS"], "in_progress"),
        (["STATUS:CANCELLED"], "cancelled"),
        (["COMPLETED:20260701T070000Z"], "completed"),
        (["PERCENT-COMPLETE:100"], "completed"),
        (["PERCENT-COMPLETE:40"], "in_progress"),
        (["PERCENT-COMPLETE:0"], "pending"),
    ],
)
def test_statuses_are_said_or_follow(properties: list[str], status: str) -> None:
    assert todo(*properties).status == status


def test_text_is_unescaped_and_needs_no_escape() -> None:
    task = todo(r"SUMMARY:a\, b\; c\\n", r"DESCRIPTION:one\ntwo, three\Nfour", "LOCATION:Room 1, floor 2")

    assert (task.title, task.description) == ("a, b; c\\n", "one\ntwo, three\nfour")
    assert task.extra == {"LOCATION": "Room 1, floor 2"}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_are_folded_anywhere(end: str) -> None:
    raw = "SUMMARY:Grüße".encode()
    folded = b"".join(bytes([byte]) + f"{end} ".encode() for byte in raw[:-1]) + raw[-1:]
    data = end.encode().join([b"BEGIN:VCALENDAR", b"BEGIN:VTODO", folded, b"END:VTODO", b"END:VCALENDAR", b""])

    assert one(read(ics, data)).title == "Grüße"


def test_categories_are_tags() -> None:
    assert todo(r"CATEGORIES:a,b\, c,,a", "CATEGORIES:d").tags == ["a", "b, c", "d"]


@pytest.mark.parametrize(
    ("properties", "due"),
    [
        (["DTSTART:20260701T070000Z", "DURATION:P1DT2H"], at(2026, 7, 2, 9)),
        (["DTSTART:20260701T070000Z", "RRULE:FREQ=DAILY"], at(2026, 7, 1, 7)),
        (["DTSTART:20260701T070000Z"], None),
    ],
)
def test_a_start_is_a_due_by_its_duration_or_rule(properties: list[str], due: dt.datetime | None) -> None:
    assert todo(*properties).due_at == due


def test_a_rule_keeps_the_zone_of_its_due() -> None:
    task = todo("DUE;TZID=America/New_York:20260701T090000", "RRULE:FREQ=WEEKLY;BYDAY=WE")

    assert task.recurrence == {"rule": "FREQ=WEEKLY;BYDAY=WE", "from": "due", "zone": "America/New_York"}


@pytest.mark.parametrize("name", ["EXDATE", "RDATE"])
def test_exceptions_of_a_rule_are_kept_and_told(name: str) -> None:
    found = document("DUE;VALUE=DATE:20260701", "RRULE:FREQ=DAILY", f"{name};VALUE=DATE:20260703")

    assert one(found).extra == {f"{name};VALUE=DATE": "20260703"}
    assert found.degraded == [Degraded(1, name, "20260703", None)]


def test_a_series_that_begins_before_its_due_is_told() -> None:
    found = document("DTSTART;VALUE=DATE:20260629", "DUE;VALUE=DATE:20260703", "RRULE:FREQ=WEEKLY;BYDAY=MO")

    assert (one(found).due_date, one(found).extra) == (dt.date(2026, 7, 3), {"DTSTART;VALUE=DATE": "20260629"})
    assert found.degraded == [Degraded(1, "DTSTART", "20260629", None)]


def test_closed_overrides_are_completions_and_others_tasks() -> None:
    found = {task.title: task for task in read(ics, sample("by-hand.ics")).tasks}
    series, moved = found["Series"], found["Series on another day"]

    assert series.completions == [Completed(at(2026, 6, 1, 10), dt.date(2026, 6, 1))]
    assert (series.due_date, series.recurrence) == (dt.date(2026, 6, 2), {"rule": "FREQ=DAILY;COUNT=9", "from": "due"})
    assert (moved.due_date, moved.extra) == (dt.date(2026, 6, 4), {"RECURRENCE-ID;VALUE=DATE": "20260603"})


def test_related_to_is_the_parent() -> None:
    task = todo("RELATED-TO;RELTYPE=SIBLING:s", "RELATED-TO:p")

    assert (task.parent, task.extra) == ("p", {"RELATED-TO;RELTYPE=SIBLING": "s"})


def test_alarms_and_unknown_properties_are_extra() -> None:
    task = todo("X-A;B=c:d", "URL:https://e/", "BEGIN:VALARM", "TRIGGER:-PT5M", "END:VALARM", "COMMENT:1", "COMMENT:2")

    assert task.extra == {
        "X-A;B=c": "d",
        "URL": "https://e/",
        "COMMENT": ["1", "2"],
        "VALARM": [["TRIGGER:-PT5M"]],
    }


def test_sort_order_of_apple_is_the_order() -> None:
    ordered = [task.title for task in read(ics, sample("by-hand.ics")).tasks if "X-APPLE-SORT-ORDER" in task.extra]

    assert ordered == ["First", "Second", "A zone of its own"]


def test_a_calendar_with_a_name_is_a_project() -> None:
    found = document(head="X-WR-CALNAME:Home\\, sweet\nX-APPLE-CALENDAR-COLOR:#1BADF8FF\n")
    (project,) = found.projects

    assert (project.name, project.color, one(found).project) == ("Home, sweet", "#1badf8", project.uid)


def test_what_is_no_todo_is_skipped_and_told() -> None:
    found = read(ics, "BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VEVENT\nEND:VCALENDAR")

    assert (found.tasks, found.skipped) == ([], [Skipped(1, "VEVENT is no to-do.")])


def test_todos_without_a_uid_are_told_apart() -> None:
    body = "BEGIN:VTODO\nSUMMARY:a\nEND:VTODO\n" * 2
    first, second = read(ics, f"BEGIN:VCALENDAR\n{body}END:VCALENDAR\n").tasks

    assert first.uid != second.uid


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "line 1"),
        ("hello", "line 1"),
        ("BEGIN:VCALENDAR\nBEGIN:VTODO\nEND:VCALENDAR", "line 3"),
        ("BEGIN:VCALENDAR\nBEGIN:VTODO\nEND:VTODO\n", "line 4"),
        ("BEGIN:A\n" * 10_000, "line 8"),
    ],
)
def test_what_is_no_calendar_is_unreadable_by_its_line(text: str, place: str) -> None:
    with pytest.raises(UnreadableFile) as refusal:
        read(ics, text)

    assert refusal.value.place == place


@pytest.mark.parametrize("name", FILES)
def test_each_property_of_the_samples_lands_or_is_told(name: str) -> None:
    found = read(ics, sample(name))
    entries = [each for calendar, each in ical.components(sample(name)) if each is not calendar]
    members = {"UID", "SUMMARY", "DESCRIPTION", "STATUS", "PRIORITY", "CATEGORIES", "DUE", "CREATED", "LAST-MODIFIED"}
    members |= {"COMPLETED", "PERCENT-COMPLETE", "RELATED-TO", "RRULE", "DTSTART", "DURATION", "DTSTAMP"}

    for row, component in enumerate((each for each in entries if each.name != "VTIMEZONE"), 1):
        told = {note.field for note in found.degraded if note.row == row}
        kept = {key for task in found.tasks if task.row == row for key in task.extra}
        if any(note.row == row for note in found.skipped) or "RECURRENCE-ID" in told:
            continue
        lost = [line.key for line in component.lines if line.name not in members | told and line.key not in kept]
        assert (lost, len(component.broken)) == ([], len([text for text in component.broken if text[:40] in told]))


# --- Both -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_samples_are_read_again_as_the_same_tasks(name: str) -> None:
    found = read(ics, sample(name))
    for task in found.tasks:  # values that are none
        for key in ("DUE", "RRULE"):
            task.extra.pop(key, None)

    assert plain(again(ics, found)) == plain(found)


@st.composite
def drafts(draw: st.DrawFn) -> TaskDraft:
    status = draw(st.sampled_from(["pending", "in_progress", "completed", "cancelled"]))
    long_text = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t"))
    found = TaskDraft(1, draw(uids), title=draw(long_text), status=status, description=draw(long_text))
    found.created_at, found.modified_at = draw(st.none() | seconds), draw(st.none() | seconds)
    found.completed_at = draw(seconds) if status == "completed" else None
    found.priority, found.position = draw(st.sampled_from(["high", "medium", "low"])), draw(st.none() | texts)
    found.due_date, found.due_at = draw(
        st.one_of(days.map(lambda day: (day, None)), seconds.map(lambda at: (None, at)))
    )
    found.recurrence = draw(st.none() | recurrences())
    done = st.builds(Completed, seconds, due_date=st.none() | days, skipped=st.booleans())
    found.completions = draw(st.lists(done | st.builds(Completed, seconds, due_at=seconds), max_size=3))
    found.parent, found.project = draw(st.none() | texts), draw(st.none() | texts)
    found.tags = draw(st.lists(lines, unique=True, max_size=3))
    keys = st.sampled_from(["LOCATION", "X-A", 'ATTENDEE;CN="a;b"', "URL"])
    found.extra = draw(st.dictionaries(keys, texts | st.lists(texts, min_size=2)))
    found.extra |= draw(st.sampled_from([{}, {"SEQUENCE": "3"}, {"GEO": "1.5;-2"}, {"EXDATE;VALUE=DATE": "20260101"}]))
    return found


@given(drafts())
def test_a_todo_says_a_task(draft: TaskDraft) -> None:
    draft.parent = None if draft.parent == draft.uid else draft.parent

    assert plain(again(ics, Document(tasks=[draft]))) == plain(Document(tasks=[draft]))


def test_a_calendar_says_its_projects() -> None:
    home = ProjectDraft(1, "h", name="Home\n,;", color="#102030", archived=True, extra={"a": [1]}, position="a0")
    work = ProjectDraft(1, "w", name="Work", parent="h", created_at=at(2026, 1, 1), description="d" * 200)
    found = Document([home, work], [])

    assert plain(again(ics, found)) == plain(found)


@settings(max_examples=30)
@given(drafts())
def test_what_is_written_is_valid_to_icalendar(draft: TaskDraft) -> None:
    (component,) = parsed(written(ics, [], [draft])).todos

    assert (component["UID"], component["SUMMARY"]) == (draft.uid, draft.title)
    due = component["DUE"].dt
    assert due == (draft.due_date or draft.due_at)
    assert [str(tag) for tag in component.categories] == draft.tags
    assert component.errors == []


@pytest.mark.parametrize(
    ("rule", "due", "until"),
    [
        ("FREQ=DAILY;UNTIL=20270101T235900", {"due_date": dt.date(2026, 12, 1)}, "20270101"),
        ("FREQ=DAILY;UNTIL=20270101T090000", {"due_at": at(2026, 12, 1, 8)}, "20270101T140000Z"),
        ("FREQ=DAILY;UNTIL=20270101", {"due_at": at(2026, 12, 1, 8)}, "20270102T045959Z"),
        ("FREQ=DAILY;UNTIL=20270101T090000Z", {"due_at": at(2026, 12, 1, 8)}, "20270101T090000Z"),
    ],
)
def test_until_is_of_the_kind_of_the_due(rule: str, due: dict[str, Any], until: str) -> None:
    task = TaskDraft(1, "u", title="a", recurrence={"rule": rule, "zone": "America/New_York"}, **due)

    assert f"RRULE:FREQ=DAILY;UNTIL={until}\r\n".encode() in written(ics, [], [task])


def test_zones_are_defined_once_before_they_are_used() -> None:
    recurrence = {"rule": "FREQ=DAILY", "zone": "America/New_York"}
    tasks = [TaskDraft(1, uid, title="a", due_at=at(2026, 7, 1, 13), recurrence=recurrence) for uid in "ab"]
    data = written(ics, [], tasks)

    assert data.count(b"BEGIN:VTIMEZONE") == 1 < data.count(b"DUE;TZID=America/New_York:20260701T090000")
    (zone,) = parsed(data).timezones
    assert at(2026, 7, 1, 13).astimezone(zone.to_tz(lookup_tzid=False)).hour == 9


def test_extra_of_a_user_breaks_no_file() -> None:
    extra: dict[str, Any] = {
        "A\r\nEND:VTODO": "x", "END": "VCALENDAR", "X-A": "b\r\nEND:VCALENDAR", "X-N": None, "X-D": {"a": 1},
        "VALARM": [["BEGIN:VTODO"], ["TRIGGER:x\nEND:VALARM"], "x", [1]], "PRIORITY": {}, "DTSTAMP": 1, "DTSTART": "x",
        "SEQUENCE": "x", "GEO": "1", "EXDATE": "99999999", "URL;VALUE=DATE": "x",
        "ATTACH;ENCODING=BASE64": "x", "DTEND": "x",
    }  # fmt: skip
    data = written(ics, [], [TaskDraft(1, "u", title="a", extra=extra)])

    assert len(parsed(data).todos) == len(read(ics, data).tasks) == 1


def test_lines_have_75_octets_and_characters_stay_whole() -> None:
    data = written(ics, [], [TaskDraft(1, "u", title="a" * 80 + "日本" * 100)])

    assert max(map(len, data.split(b"\r\n"))) == 75
    assert all(line.decode() for line in data.split(b"\r\n")[:-1])


@pytest.mark.parametrize("project", ['{"uid":1,"name":"a"}', '{"uid":"u","x":1}', "[", "[]", "1", '{"extra":' * 5000])
def test_projects_that_tickbase_did_not_write_are_told(project: str) -> None:
    found = document(head=f"PRODID:{ics_writing.PRODID}\nX-TICKBASE-PROJECT:{project}\n")

    assert (found.projects, len(found.degraded)) == ([], 1)


def test_files_are_recognized() -> None:
    assert all(ics.matches(sample(name), "") for name in FILES)
    assert not ics.matches(sample("todo.txt"), "calendar.ics")


# --- The feed of dues -------------------------------------------------------------------------------


def feed(*tasks: TaskDraft) -> Any:
    data = b"".join(ics.write_feed("Dues of Ann", tasks, ZoneInfo("Europe/Berlin")))
    return parsed(data)


def test_the_feed_has_events_for_open_dues() -> None:
    day, time = TaskDraft(1, "d", title="Day", due_date=dt.date(2026, 12, 1)), TaskDraft(2, "t", title="Time")
    time.due_at = at(2026, 12, 1, 8)
    done = TaskDraft(3, "x", title="Done", due_date=dt.date(2026, 12, 1), status="completed")
    calendar = feed(day, time, done, TaskDraft(4, "n", title="No due"))

    assert calendar["X-WR-CALNAME"] == "Dues of Ann"
    assert [(event["SUMMARY"], event["DTSTART"].dt) for event in calendar.events] == [
        ("Day", dt.date(2026, 12, 1)),
        ("Time", at(2026, 12, 1, 8)),
    ]
    assert {event["TRANSP"] for event in calendar.events} == {"TRANSPARENT"}


def test_the_feed_repeats_what_counts_from_its_due() -> None:
    due = TaskDraft(1, "d", title="Due", due_at=at(2026, 7, 1, 7))
    due.recurrence = {"rule": "FREQ=WEEKLY", "zone": "Europe/Berlin"}
    done = TaskDraft(2, "c", title="Completion", due_date=dt.date(2026, 12, 1))
    done.recurrence = {"rule": "FREQ=WEEKLY", "from": "completion"}
    first, second = feed(due, done).events

    assert (first["DTSTART"].dt.hour, first["RRULE"].to_ical()) == (9, b"FREQ=WEEKLY")
    assert "RRULE" not in second
