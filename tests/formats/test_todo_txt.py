"""todo.txt, both ways."""

import datetime as dt
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.formats import todo_txt
from tasks.formats.drafts import Degraded, Document, ProjectDraft, TaskDraft
from tests.formats.text_files import (
    BERLIN,
    RULES,
    again,
    days,
    instants,
    one,
    plain,
    read,
    recurrences,
    sample,
    texts,
    uids,
    written,
)


def line(text: str) -> TaskDraft:
    return one(read(todo_txt, text))


# --- In ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("letter", "priority"), [("A", "high"), ("B", "medium"), ("C", "low"), ("Z", "low")])
def test_letters_are_priorities_and_are_kept(letter: str, priority: str) -> None:
    task = line(f"({letter}) Call")

    assert (task.title, task.priority, task.extra) == ("Call", priority, {"()": letter})


def test_first_date_of_an_open_task_is_its_creation() -> None:
    task = line("(B) 2011-05-09 Call")

    assert (task.title, task.created_at) == ("Call", dt.datetime(2011, 5, 8, 22, tzinfo=dt.UTC))


def test_first_date_of_a_completed_task_is_its_completion() -> None:
    task = line("x 2011-05-11 2011-05-09 +P +Q @c Call")

    assert (task.title, task.status, task.tags) == ("Call", "completed", ["P", "Q", "c"])
    assert task.completed_at == dt.datetime(2011, 5, 10, 22, tzinfo=dt.UTC)
    assert task.created_at == dt.datetime(2011, 5, 8, 22, tzinfo=dt.UTC)
    assert task.project is None


@pytest.mark.parametrize("text", ["xylophone", "x", "X ray", "(a) small", "(AA) two", "2011-13-01 no month"])
def test_what_only_looks_like_a_mark_is_title(text: str) -> None:
    task = line(text)

    assert (task.title, task.status, task.priority) == (text, "pending", "medium")


def test_the_date_of_a_cancelled_task_is_extra() -> None:
    document = read(todo_txt, "x 2011-05-11 2011-05-09 Call status:cancelled uid:u")
    task = one(document)

    assert (task.status, task.completed_at, task.extra) == ("cancelled", None, {"(x)": "2011-05-11"})
    assert written(todo_txt, [], [task]) == b"x 2011-05-11 2011-05-09 Call status:cancelled uid:u\n"


def test_priority_of_a_completed_task_is_a_pair() -> None:
    assert line("x Call pri:A").priority == "high"


@pytest.mark.parametrize(
    ("text", "rule", "origin"),
    [
        ("1w", "FREQ=WEEKLY", "completion"),
        ("+1w", "FREQ=WEEKLY", "due"),
        ("+3d", "FREQ=DAILY;INTERVAL=3", "due"),
        ("m", "FREQ=MONTHLY", "completion"),
        ("+2y", "FREQ=YEARLY;INTERVAL=2", "due"),
    ],
)
def test_rec_counts_from_completion_and_with_plus_from_due(text: str, rule: str, origin: str) -> None:
    assert line(f"Call due:2026-12-01 rec:{text}").recurrence == {"rule": rule, "from": origin}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("+1b", "FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR"),
        ("+3b", "FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR;INTERVAL=3"),
        ("+10b", "FREQ=WEEKLY;INTERVAL=2"),
    ],
)
def test_business_days_are_told(text: str, rule: str) -> None:
    document = read(todo_txt, f"Call due:2026-12-01 rec:{text}")

    assert one(document).recurrence == {"rule": rule, "from": "due"}
    assert document.degraded == [Degraded(1, "rec", text, rule)]
    assert f"rec:{text}" in written(todo_txt, [], document.tasks).decode()


@pytest.mark.parametrize("pair", ["due:tomorrow", "due:2026-02-30", "rec:1w", "rec:0d", "pri:AA"])
def test_pairs_without_a_meaning_are_kept_told_and_written(pair: str) -> None:
    document = read(todo_txt, f"Call {pair}")
    name, _, value = pair.partition(":")

    assert one(document).extra == {name: value}
    assert document.degraded == [Degraded(1, name, value, None)]
    assert pair in written(todo_txt, [], document.tasks).decode()


def test_unknown_pairs_are_extra_and_addresses_are_title() -> None:
    task = line("Read https://example.org/a:b 12:30 mailto:a@b.c k:v k:w t:2026-01-01 h:1")

    assert task.title == "Read https://example.org/a:b 12:30 mailto:a@b.c k:v"
    assert task.extra == {"k": "w", "t": "2026-01-01", "h": "1"}


def test_time_of_day_stands_beside_the_date() -> None:
    assert line("Call due:2026-12-01 at:09:30").due_at == dt.datetime(2026, 12, 1, 8, 30, tzinfo=dt.UTC)


def test_parents_are_named_by_id_or_uid() -> None:
    document = read(todo_txt, "Child p:7\nParent id:7\nOther p:u\nBoss uid:u")

    assert document.tasks[0].parent == document.tasks[1].uid
    assert document.tasks[2].parent == document.tasks[3].uid == "u"


def test_a_circle_of_parents_is_cut_and_told() -> None:
    document = read(todo_txt, "a uid:1 p:2\nb uid:2 p:3\nc uid:3 p:1")

    assert [task.parent for task in document.tasks] == [None, "3", "1"]
    assert document.degraded == [Degraded(1, "parent", "2", None)]


def test_uid_survives_completion_priority_and_dates() -> None:
    uid = line("(A) 2026-01-01 Call @phone").uid

    assert {line("x 2026-02-01 2026-01-01 Call @phone pri:A").uid, line("Call @phone").uid} == {uid}


def test_equal_lines_are_different_tasks() -> None:
    first, second = read(todo_txt, "Same\nx Same").tasks

    assert first.uid != second.uid


def test_a_uid_that_stands_twice_is_told() -> None:
    document = read(todo_txt, "One uid:u\nTwo uid:u")

    assert len({task.uid for task in document.tasks}) == 2
    assert document.degraded == [Degraded(2, "uid", "u", None)]


@pytest.mark.parametrize("data", [b"\xef\xbb\xbfa\r\n\r\nb\r\n", "a\n\nb".encode("utf-16"), b"a\r\rb\r"])
def test_blank_lines_crlf_and_byte_order_marks_are_no_tasks(data: bytes) -> None:
    assert [(task.row, task.title) for task in read(todo_txt, data).tasks] == [(1, "a"), (3, "b")]


@pytest.mark.parametrize("name", ["todo.txt", "by-hand.txt"])
def test_each_word_of_the_samples_lands(name: str) -> None:
    text = sample(name).decode()
    document = read(todo_txt, text)

    for task in document.tasks:
        said = text.split("\n")[task.row - 1].split()
        kept = [*task.title.split(), *(f"{name}:{value}" for name, value in task.extra.items())]
        rest = [word for word in said if word not in kept and word[1:] not in task.tags]
        members = re.compile(r"x|\([A-Z]\)|\d{4}-\d\d-\d\d|(due|at|rec|pri|p):\S+")
        assert [word for word in rest if not members.fullmatch(word)] == []
    assert len(document.tasks) == len([each for each in text.split("\n") if each.strip()])


# --- Both -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["todo.txt", "by-hand.txt"])
def test_samples_are_read_again_as_the_same_tasks(name: str) -> None:
    document = read(todo_txt, sample(name))

    assert plain(again(todo_txt, document)) == plain(document)


words = texts.filter(lambda word: word[0] not in "+@" and ":" not in word)
midnights = days.map(lambda day: dt.datetime.combine(day, dt.time.min, BERLIN).astimezone(dt.UTC))


@st.composite
def tasks(draw: st.DrawFn) -> TaskDraft:
    status = draw(st.sampled_from(["pending", "in_progress", "completed", "cancelled"]))
    task = TaskDraft(1, draw(uids), title=" ".join(draw(st.lists(words, min_size=1))), status=status)
    task.created_at = draw(midnights)
    task.completed_at = draw(midnights) if status == "completed" else None
    task.priority, letter = draw(st.sampled_from([("medium", None), ("high", "A"), ("medium", "B"), ("low", "Q")]))
    task.due_date, task.due_at = draw(st.one_of(days.map(lambda day: (day, None)), instants.map(lambda at: (None, at))))
    task.recurrence = draw(st.none() | recurrences())
    task.parent = draw(st.none() | uids)
    task.tags = draw(st.lists(texts, unique=True, max_size=3))
    plus = draw(st.sampled_from([task.tags[:1], []]))
    task.extra = ({"()": letter} if letter else {}) | ({"+": plus} if plus else {})
    return task


@given(tasks())
def test_a_line_says_a_task(task: TaskDraft) -> None:
    task.parent = None if task.parent == task.uid else task.parent

    assert plain(again(todo_txt, Document(tasks=[task]))) == plain(Document(tasks=[task]))


@given(uids, words, uids)
def test_a_line_says_its_project(project: str, name: str, uid: str) -> None:
    kitchen = ProjectDraft(1, project, name=f"{name.replace('_', '-')} x")
    drafts = Document([kitchen], [TaskDraft(1, uid, title="a", project=project)])

    assert plain(again(todo_txt, drafts)) == plain(drafts)


def test_what_a_line_cannot_say_is_left_out() -> None:
    task = TaskDraft(1, "u", title="a  +b\nc", description="long", tags=["d e"], position="a0")

    assert written(todo_txt, [], [task]) == b"a +b c @d_e uid:u\n"


def test_every_rule_is_written() -> None:
    for rule in RULES:
        task = TaskDraft(1, "u", title="a", due_date=dt.date(2026, 1, 31), recurrence={"rule": rule})
        assert one(again(todo_txt, Document(tasks=[replace(task)]))).recurrence == {"rule": rule, "from": "due"}


def test_files_are_recognized() -> None:
    assert todo_txt.matches(sample("todo.txt"), "todo.txt")
    assert todo_txt.matches(sample("todo.txt"), "")
    assert not todo_txt.matches(b'[{"a":1}]', "")
    assert not todo_txt.matches(b"BEGIN:VCALENDAR\r\n", "calendar.ics")
