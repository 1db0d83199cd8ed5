"""Tables: what their columns are called, how they are written, and formulas."""

import datetime as dt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.formats import csv_file
from tasks.formats.drafts import Document, ProjectDraft, TaskDraft
from tests.formats import test_tickbase
from tests.formats.samples import BERLIN, UTC, named, task
from tests.formats.test_tickbase import extras, moments, recurrences, texts, words

INDEX = {column: number for number, column in enumerate(csv_file.COLUMNS)}

tasks = st.builds(
    TaskDraft, row=st.just(0), uid=words, title=words, description=texts, parent=st.none() | words, extra=extras,
    tags=st.lists(words, max_size=3), status=st.sampled_from(["pending", "in_progress", "completed", "cancelled"]),
    priority=st.sampled_from(["low", "medium", "high"]), created_at=st.none() | moments,
    modified_at=st.none() | moments,
    recurrence=st.none() | recurrences.map(lambda each: {**each, "rule": "FREQ=DAILY"}),
    position=st.none() | st.sampled_from(["a0", "hAAAAAAAAzz"]),
)  # fmt: skip


def test_a_series_that_has_begun_counts_what_is_left() -> None:
    series = TaskDraft(1, "1", title="A", recurrence={"rule": "FREQ=DAILY;COUNT=9", "left": "4"})
    (read,) = csv_file.read(b"".join(csv_file.write([], [series], BERLIN)), UTC).tasks
    assert read.recurrence == {"rule": "FREQ=DAILY;COUNT=4"}


@settings(max_examples=50)
@given(st.lists(tasks, max_size=3).map(test_tickbase.numbered), st.none() | st.dates() | moments)
def test_round_trip(tasks: list[TaskDraft], due: dt.date | None) -> None:
    home = ProjectDraft(row=1, uid="7", name="=Home, sweet")
    for each in tasks:
        each.project = home.uid
        setattr(each, "due_at" if isinstance(due, dt.datetime) else "due_date", due)
        each.completed_at = each.created_at if each.status == "completed" else None
        for member in ("anchor", "left"):  # which a table does not have
            (each.recurrence or {}).pop(member, None)
    document = csv_file.read(b"".join(csv_file.write([home], tasks, BERLIN)), UTC)
    for row, each in enumerate(document.tasks, 1):
        each.row = row
    assert document == Document(projects=[ProjectDraft(2, "7", name="=Home, sweet")] if tasks else [], tasks=tasks)


@pytest.mark.parametrize("text", ["=1+1", "+49 30", "-5", "@home", "\tx", "\rx", "\n=x", "\uff1d1", "'=x", "''@"])
def test_formula_is_guarded_and_comes_back(text: str) -> None:
    data = b"".join(csv_file.write([], [TaskDraft(1, "a", title=text, description=text)], UTC))
    assert f"'{text}".encode() in data
    assert csv_file.read(data, UTC).tasks[0].title == text


@pytest.mark.parametrize("text", ["'quoted'", "a=b", "it's", "5-1"])
def test_other_text_is_not_guarded(text: str) -> None:
    data = b"".join(csv_file.write([], [TaskDraft(1, "a", title=text)], UTC))
    assert f",{text},".encode() in data
    assert csv_file.read(data, UTC).tasks[0].title == text


def read(*lines: str, encoding: str = "utf-8", zone: Any = BERLIN) -> Document:
    return csv_file.read("\n".join(lines).encode(encoding), zone)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252"])
def test_delimiters_and_encodings(delimiter: str, encoding: str) -> None:
    rows = [["Title", "Notes", "Due"], ["Café", '"a\nb"', "2026-01-31"]]
    document = read(*(delimiter.join(row) for row in rows), encoding=encoding)
    [found] = document.tasks
    assert (found.title, found.description, found.due_date) == ("Café", "a\nb", dt.date(2026, 1, 31))
    assert bool(document.warnings) is (encoding == "cp1252")


def test_delimiter_that_excel_names() -> None:
    assert read("sep=;", "title;due", "a;2026-01-31").tasks[0].row == 3


@pytest.mark.parametrize("column", ["title", "Name", "TASK", "content", "Summary", "Task Name", "task_name"])
def test_aliases_of_the_title(column: str) -> None:
    assert read(column, "x").tasks[0].title == "x"


@pytest.mark.parametrize(
    ("column", "cell", "member", "value"),
    [
        ("notes", "n", "description", "n"),
        ("Due Date", "2026-01-31", "due_date", dt.date(2026, 1, 31)),
        ("deadline", "31.1.2026", "due_date", dt.date(2026, 1, 31)),
        ("due", "2026-01-31T09:00:00", "due_at", dt.datetime(2026, 1, 31, 8, tzinfo=dt.UTC)),
        ("due", "1/31/2026 9:00 pm", "due_at", dt.datetime(2026, 1, 31, 20, tzinfo=dt.UTC)),
        ("due", "Jan 31, 2026", "due_date", dt.date(2026, 1, 31)),
        ("due", "31 January 2026 09:30", "due_at", dt.datetime(2026, 1, 31, 8, 30, tzinfo=dt.UTC)),
        ("labels", 'a, "b, c"', "tags", ["a", "b, c"]),
        ("tags", "a;b", "tags", ["a", "b"]),
        ("Priority", "Urgent", "priority", "high"),
        ("priority", "1", "priority", "high"),
        ("priority", "p3", "priority", "low"),
        ("status", "In Progress", "status", "in_progress"),
        ("state", "Won't do", "status", "cancelled"),
        ("done", "TRUE", "status", "completed"),
        ("completed", "x", "status", "completed"),
        ("completed", "no", "status", "pending"),
        ("completed", "2026-01-31T00:00Z", "completed_at", dt.datetime(2026, 1, 31, tzinfo=dt.UTC)),
        ("Completion Date", "2026-01-31", "status", "completed"),
        ("rrule", "RRULE:FREQ=DAILY", "recurrence", {"rule": "RRULE:FREQ=DAILY"}),
    ],
)
def test_columns(column: str, cell: str, member: str, value: Any) -> None:
    escaped = cell.replace('"', '""')
    [found] = read(f"title\t{column}", f'a\t"{escaped}"').tasks
    assert getattr(found, member) == value


def test_columns_of_status_and_of_completion() -> None:
    rows = read("title,status,done", "a,open,yes", "b,doing,no", "c,,maybe", "d,cancelled,no", "e,Done,")
    assert [each.status for each in rows.tasks] == ["completed", "in_progress", "pending", "cancelled", "completed"]
    assert [(note.row, note.field, note.value) for note in rows.degraded] == [(4, "done", "maybe")]


def test_dates_that_may_mean_two_days_are_told() -> None:
    """Unless another row of the column says which of the numbers is the day."""
    alone = read("title,due", "a,3/4/2026")
    assert alone.tasks[0].due_date is None
    assert alone.tasks[0].extra == {"due": "3/4/2026"}
    assert [(note.field, note.value) for note in alone.degraded] == [("due", "3/4/2026")]
    assert read("title,due", "a,3/4/2026", "b,13/4/2026").tasks[0].due_date == dt.date(2026, 4, 3)
    assert read("title,due", "a,3/4/2026", "b,4/13/2026").tasks[0].due_date == dt.date(2026, 3, 4)


def test_unknown_columns_and_cells_are_kept() -> None:
    [found] = read("title,Effort,title,,due", "a,8,b,c,,d").tasks
    assert found.title == "a"
    assert found.extra == {"Effort": "8", "title (3)": "b", "column 4": "c", "column 6": "d"}


def test_parents_by_id_and_by_title() -> None:
    document = read("id,title,parent", "7,a,", "8,b,7", "9,c,a", "10,d,nobody")
    a = document.tasks[0].uid
    assert [each.parent for each in document.tasks] == [None, a, a, None]
    assert document.tasks[3].extra == {"parent": "nobody"}
    assert [note.value for note in document.degraded] == ["a", "nobody"]


def test_equal_rows_are_two_tasks_each_time() -> None:
    first, second = read("title", "Milk", "Milk"), read("title", "Milk", "Milk", "Milk")
    assert len({each.uid for each in second.tasks}) == 3
    assert [each.uid for each in first.tasks] == [each.uid for each in second.tasks[:2]]


def test_missing_title_is_told() -> None:
    document = read("title,notes", ",n")
    assert document.tasks[0].title == "Untitled"
    assert [(note.field, note.to) for note in document.degraded] == [("title", "Untitled")]


def test_sample() -> None:
    document = named("table.csv").read()
    exam, chapter = task(document, "Prüfung vorbereiten"), task(document, "Read chapter 1")
    assert exam.due_at == dt.datetime(2026, 2, 13, 13, 30, tzinfo=dt.UTC)
    assert (exam.tags, exam.priority, exam.description) == (["study", "a, b"], "high", "Kapitel 1\nund 2")
    assert exam.extra == {"priority": "High", "Effort": "8"}
    assert (chapter.description, chapter.parent) == ("=not a formula", exam.uid)
    assert (chapter.status, chapter.completed_at) == ("completed", dt.datetime(2026, 4, 4, 22, tzinfo=dt.UTC))
    assert [project.name for project in document.projects] == ["University"]
