"""Taskwarrior's JSON, both ways."""

import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.formats import taskwarrior
from tasks.formats.drafts import Completed, Degraded, Document, ProjectDraft, Skipped, TaskDraft, UnreadableFile
from tests.formats.text_files import (
    BERLIN,
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

UUID = "0a7a44b3-5f2c-4a4e-9f3b-000000000001"
TEMPLATE = {"uuid": UUID, "description": "Water", "status": "recurring", "recur": "daily", "due": "20261201T080000Z"}


def document(*entries: dict[str, Any]) -> Document:
    return read(taskwarrior, json.dumps(entries))


def task(**members: Any) -> TaskDraft:
    return one(document({"uuid": UUID, "description": "Call", "status": "pending"} | members))


def instance(number: int, day: int, **members: Any) -> dict[str, Any]:
    own = {"uuid": UUID[:-2] + f"f{number}", "status": "pending", "due": f"202612{day:02}T080000Z", "imask": number}
    return TEMPLATE | own | {"parent": UUID} | members


# --- In ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("due", "day"), [("20140603T220000Z", dt.date(2014, 6, 4)), ("20140604", dt.date(2014, 6, 4))])
def test_a_local_midnight_is_a_day(due: str, day: dt.date) -> None:
    assert (task(due=due).due_date, task(due=due).due_at) == (day, None)


@pytest.mark.parametrize("due", ["20140604T093000", "2014-06-04T09:30:00", "20140604T073000Z"])
def test_a_time_without_a_zone_is_local(due: str) -> None:
    assert task(due=due).due_at == dt.datetime(2014, 6, 4, 7, 30, tzinfo=dt.UTC)


@pytest.mark.parametrize(("status", "ours"), [("pending", "pending"), ("waiting", "pending"), ("deleted", "cancelled")])
def test_statuses(status: str, ours: str) -> None:
    assert task(status=status).status == ours


def test_a_started_task_is_in_progress() -> None:
    found = task(start="20261201T080000Z")

    assert (found.status, found.extra) == ("in_progress", {"start": "20261201T080000Z"})


def test_dotted_projects_are_nested() -> None:
    found = document({"uuid": UUID, "description": "Call", "project": "home.kitchen"})
    home, kitchen = found.projects

    assert (home.name, home.parent, kitchen.name, kitchen.parent) == ("home", None, "kitchen", home.uid)
    assert found.tasks[0].project == kitchen.uid


def test_annotations_are_the_description_and_are_kept() -> None:
    annotations = [{"entry": "20261201T080000Z", "description": "a"}, {"entry": "20261201T080001Z", "description": "b"}]
    found = task(annotations=annotations)

    assert (found.description, found.extra) == ("a\nb", {"annotations": annotations})


def test_what_the_model_has_no_member_for_is_extra() -> None:
    members: dict[str, Any] = {"wait": "20261201T080000Z", "until": "20270101T000000Z", "scheduled": "20261130T080000Z"}
    members |= {"depends": [UUID], "estimate": 2.5, "size": "large"}

    assert task(**members).extra == members


@pytest.mark.parametrize(
    ("recur", "rule"),
    [
        ("weekdays", "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"),
        ("biweekly", "FREQ=WEEKLY;INTERVAL=2"),
        ("quarterly", "FREQ=MONTHLY;INTERVAL=3"),
        ("3days", "FREQ=DAILY;INTERVAL=3"),
        ("P2W", "FREQ=WEEKLY;INTERVAL=2"),
        ("P1Y6M", "FREQ=MONTHLY;INTERVAL=18"),
        ("6m", "FREQ=MONTHLY;INTERVAL=6"),
        ("PT8H", "FREQ=HOURLY;INTERVAL=8"),
    ],
)
def test_recur_is_a_rule(recur: str, rule: str) -> None:
    found = document(TEMPLATE | {"recur": recur})

    assert one(found).recurrence == {"rule": rule, "from": "due"}
    assert found.degraded == []


def test_months_that_taskwarrior_counts_as_days_are_told() -> None:
    found = document(TEMPLATE | {"recur": "2months"})

    assert found.degraded == [Degraded(1, "recur", "2months", "FREQ=MONTHLY;INTERVAL=2")]


@pytest.mark.parametrize("recur", ["PT1M", "30min", "P", "P1Y2D", "never", "0d"])
def test_recur_without_a_rule_is_kept_and_told(recur: str) -> None:
    found = document(TEMPLATE | {"recur": recur})

    assert (one(found).recurrence, one(found).extra) == (None, {"recur": recur})
    assert found.degraded == [Degraded(1, "recur", recur, None)]


def test_a_template_and_its_instances_are_one_task() -> None:
    closed = (
        instance(0, 1, status="completed", end="20261201T090000Z"),
        instance(1, 2, status="deleted", end="20261202"),
    )
    found = document(TEMPLATE | {"mask": "+X--"}, *closed, instance(3, 4), instance(2, 3))
    series = one(found)

    assert (series.uid, series.due_at) == (UUID, dt.datetime(2026, 12, 3, 8, tzinfo=dt.UTC))
    assert series.completions == [
        Completed(dt.datetime(2026, 12, 1, 9, tzinfo=dt.UTC), None, dt.datetime(2026, 12, 1, 8, tzinfo=dt.UTC)),
        Completed(
            dt.datetime(2026, 12, 1, 23, tzinfo=dt.UTC), None, dt.datetime(2026, 12, 2, 8, tzinfo=dt.UTC), skipped=True
        ),
    ]
    assert found.skipped == [Skipped(4, "The occurrence on 2026-12-04 08:00:00+00:00 of the task of entry 1.")]


def test_an_instance_that_says_more_is_a_task_of_its_own() -> None:
    found = document(TEMPLATE, instance(0, 1), instance(1, 2, tags=["own"]))

    assert [(each.tags, each.recurrence is None) for each in found.tasks] == [([], False), (["own"], True)]


def test_a_template_whose_instances_are_closed_advances() -> None:
    due = {"due": "20260130T230000Z", "recur": "monthly", "mask": "++"}
    closed = {"status": "completed", "end": "20260301T100000Z"}
    found = document(
        TEMPLATE | due, instance(0, 1, **due | closed), instance(1, 1, **due | closed | {"due": "20260227T230000Z"})
    )

    assert one(found).due_date == dt.date(2026, 3, 31)


def test_an_object_a_line_is_read_as_the_array_is() -> None:
    assert plain(read(taskwarrior, sample("taskwarrior-lines.json"))) == plain(
        read(taskwarrior, sample("taskwarrior.json"))
    )


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ("[1]", "entry 1"),
        ('[{"a":1}', "line 1, column 9"),
        ('{"description":"a"}\n{"descr', "line 2, column 8"),
    ],
)
def test_what_is_no_export_is_unreadable_by_its_place(data: str, place: str) -> None:
    with pytest.raises(UnreadableFile) as refusal:
        read(taskwarrior, data)

    assert refusal.value.place == place


@pytest.mark.parametrize("name", ["taskwarrior.json", "taskwarrior-by-hand.json"])
def test_each_field_of_the_samples_lands_or_is_told(name: str) -> None:
    found = read(taskwarrior, sample(name))
    told = {(note.row, note.field) for note in found.degraded} | {(note.row, "*") for note in found.skipped}
    members = {"description", "uuid", "status", "due", "entry", "modified", "project", "tags", "annotations"}
    drafts = {draft.row: draft for draft in found.tasks}

    for row, entry in enumerate(json.loads(sample(name)), 1):
        draft = drafts.get(row)
        if draft is None:  # an open instance, or a completion
            assert (row, "*") in told or entry["status"] in ("completed", "deleted") or "parent" in entry
            continue
        rest = set(entry) - members - {"id", "urgency"} - set(draft.extra) - {name for at, name in told if at == row}
        rest -= {"recur", "mask", "rtype"} if draft.recurrence or "recur" in draft.extra else set()
        rest -= {"end"} if draft.status in ("completed", "cancelled") else set()
        rest -= {"start"} if draft.status == "in_progress" else set()
        assert rest - {"priority"} == set()


# --- Both -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["taskwarrior.json", "taskwarrior-by-hand.json"])
def test_samples_are_read_again_as_the_same_tasks(name: str) -> None:
    found = read(taskwarrior, sample(name))

    assert plain(again(taskwarrior, found)) == plain(found)


@st.composite
def drafts(draw: st.DrawFn) -> TaskDraft:
    status = draw(st.sampled_from(["pending", "in_progress", "completed", "cancelled"]))
    found = TaskDraft(
        1,
        draw(uids),
        title=draw(lines),
        status=status,
        description=draw(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"))),
    )
    found.created_at, found.modified_at = draw(st.none() | seconds), draw(st.none() | seconds)
    found.completed_at = draw(seconds) if status == "completed" else None
    found.priority, found.position = draw(st.sampled_from(["high", "medium", "low"])), draw(st.none() | texts)
    timed = seconds.filter(lambda at: at.astimezone(BERLIN).time() != dt.time.min)
    found.due_date, found.due_at = draw(st.one_of(days.map(lambda day: (day, None)), timed.map(lambda at: (None, at))))
    found.recurrence = draw(st.none() | recurrences())
    if found.recurrence and status == "pending":
        done = st.builds(Completed, seconds, due_date=days, skipped=st.booleans())
        found.completions = sorted(draw(st.lists(done, max_size=3)), key=lambda each: str(each.due_date))
    found.parent, found.tags = draw(st.none() | texts), draw(st.lists(lines, unique=True, max_size=3))
    found.extra = draw(st.dictionaries(st.sampled_from(["estimate", "size"]), st.integers(0, 9) | texts))
    return found


@given(drafts())
def test_an_object_says_a_task(draft: TaskDraft) -> None:
    assert plain(again(taskwarrior, Document(tasks=[draft]))) == plain(Document(tasks=[draft]))


@given(uids, lines, uids, lines)
def test_an_object_says_its_projects(upper: str, name: str, lower: str, other: str) -> None:
    if upper == lower:
        return
    projects = [
        ProjectDraft(1, upper, name=name.replace(".", "-")),
        ProjectDraft(1, lower, name=other.replace(".", "-"), parent=upper),
    ]
    given_ = Document(projects, [TaskDraft(1, "u", title="a", project=lower)])

    assert plain(again(taskwarrior, given_)) == plain(given_)


def test_nothing_is_an_empty_array() -> None:
    assert json.loads(written(taskwarrior, [], [])) == []
    assert plain(again(taskwarrior, Document())) == []


def test_files_are_recognized() -> None:
    for name in ("taskwarrior.json", "taskwarrior-lines.json", "taskwarrior-by-hand.json"):
        assert taskwarrior.matches(sample(name), "")
    assert taskwarrior.matches(written(taskwarrior, [], [TaskDraft(1, "u", title="a", description="b")]), "")
    assert not taskwarrior.matches(b'{"kind":"tasks#taskLists","items":[]}', "x.json")
