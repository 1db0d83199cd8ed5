"""Our own JSON: everything comes back, and the published schema is what is read and written."""

import datetime as dt
import json
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.formats import tickbase
from tasks.formats.drafts import (
    Comment,
    Completed,
    Document,
    ProjectDraft,
    Reminding,
    TaskDraft,
    UnreadableFile,
)  # fmt: skip
from tests.formats.samples import BERLIN, UTC, as_json, at, leaves, named, replaced, tree
from tests.server import ROOT

pytestmark = pytest.mark.thorough

SCHEMA = ROOT / "docs" / "tickbase.schema.json"
SAMPLE = named("tickbase.json")

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)
words = texts.filter(str.strip)
# Datetimes of Hypothesis have bounds without a zone.
moments = st.datetimes(dt.datetime(1, 1, 3), dt.datetime(9999, 12, 29), timezones=st.just(dt.UTC))  # noqa: DTZ001
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda each: st.lists(each) | st.dictionaries(texts, each),
)
extras = st.dictionaries(texts, values, max_size=2)
common: dict[str, Any] = {
    "description": texts, "parent": st.none() | words, "position": st.none() | words, "extra": extras,
    "created_at": st.none() | moments, "modified_at": st.none() | moments,
}  # fmt: skip
completions = st.builds(
    Completed,
    at=moments,
    due_date=st.none() | st.dates(),
    due_at=st.none() | moments,
    skipped=st.booleans(),
    missed=st.integers(0, 1000),
)
comments = st.builds(Comment, uid=words, text=words, created_at=st.none() | moments, modified_at=st.none() | moments)
reminders = st.builds(
    Reminding, uid=st.none() | words, at=st.none() | moments, minutes_before=st.none() | st.integers(0, 40_320)
)
recurrences = st.fixed_dictionaries(
    {"rule": words},
    optional={"zone": words, "from": st.sampled_from(["due", "completion"]), "anchor": words, "left": words},
)
projects = st.builds(
    ProjectDraft, row=st.just(0), uid=words, name=words, **common,
    color=st.none() | st.from_regex(r"#[0-9a-f]{6}", fullmatch=True), archived=st.booleans(),
    archived_at=st.none() | moments,
)  # fmt: skip
tasks = st.builds(
    TaskDraft, row=st.just(0), uid=words, title=words, **common, tags=st.lists(texts, max_size=3),
    status=st.sampled_from(["pending", "in_progress", "completed", "cancelled"]),
    priority=st.sampled_from(["low", "medium", "high"]), due_date=st.none() | st.dates(), due_at=st.none() | moments,
    completed_at=st.none() | moments, project=st.none() | words, recurrence=st.none() | recurrences,
    completions=st.lists(completions, max_size=2), comments=st.lists(comments, max_size=2),
    reminders=st.none() | st.lists(reminders, max_size=2),
)  # fmt: skip

# Made once: `jsonschema.validate` would check the schema itself with each file.
OF_SCHEMA = jsonschema.Draft202012Validator(tickbase.schema())


def numbered(drafts: list[Any]) -> list[Any]:
    """As they stand in a file, and without circles of parents, which nothing of ours has."""
    for row, draft in enumerate(drafts, 1):
        draft.row, draft.uid, draft.parent = row, f"{draft.uid}{row}", draft.parent and f"{draft.parent}?"
    return drafts


@settings(max_examples=50)
@given(st.lists(projects, max_size=3).map(numbered), st.lists(tasks, max_size=3).map(numbered))
def test_round_trip(projects: list[ProjectDraft], tasks: list[TaskDraft]) -> None:
    data = b"".join(tickbase.write(projects, tasks, BERLIN))
    assert tickbase.read(data, UTC) == Document(projects=projects, tasks=tasks)
    OF_SCHEMA.validate(json.loads(data))


def test_published_schema_is_that_of_the_code() -> None:
    assert SCHEMA.read_text() == json.dumps(tickbase.schema(), indent=2) + "\n", "write it anew, as it stands here"
    jsonschema.Draft202012Validator.check_schema(tickbase.schema())


VALUES = [None, 7, -1.5, True, "", "x", [], ["x"], {}, {"x": 1}, "2026-01-01", "2026-01-01T00:00:00Z"]


@pytest.mark.parametrize("value", VALUES)
def test_schema_refuses_what_is_refused(value: Any) -> None:
    """The sample with one value replaced: the schema and the reader say the same."""
    whole = tree(SAMPLE)
    for path in sorted({leaf[:length] for leaf in leaves(whole) for length in range(1, len(leaf) + 1)}, key=str):
        changed = replaced(whole, path, value)
        assert is_read(changed) == OF_SCHEMA.is_valid(changed), path


def is_read(value: Any) -> bool:
    try:
        SAMPLE.read(as_json(value))
    except UnreadableFile:
        return False
    return True


@pytest.mark.parametrize(
    ("path", "value", "place", "message"),
    [
        (("version",), 2, "/version", "It is of another version than 1."),
        (("tasks", 0, "due_at"), "2026-02-30T00:00:00Z", "/tasks/0/due_at", "It is no day of the calendar."),
        (("tasks", 2, "priority"), "urgent", "/tasks/2/priority", "It is none of low, medium, high."),
        (("tasks", 0, "completions", 1, "at"), "now", "/tasks/0/completions/at", "It does not match"),
        (("tasks", 0, "nose"), 1, "/tasks/0", "It has no member 'nose'."),
        (("projects", 0), [], "/projects/0", "It is no object."),
        (("more",), [], "/more", "There is no such member."),
    ],
)
def test_refusal_names_the_place(path: Any, value: Any, place: str, message: str) -> None:
    with pytest.raises(UnreadableFile) as caught:
        SAMPLE.read(as_json(replaced(tree(SAMPLE), path, value)))
    assert caught.value.place == place
    assert caught.value.message.startswith(message)


def test_missing_member_is_named() -> None:
    value = tree(SAMPLE)
    del at(value, ("tasks", 0))["title"]
    with pytest.raises(UnreadableFile, match="needs the member 'title'"):
        SAMPLE.read(as_json(value))


def test_is_written_line_by_line() -> None:
    pieces = tickbase.write([], iter([TaskDraft(1, "a", title="A"), TaskDraft(2, "b", title="B")]), UTC)
    lines = b"".join(pieces).splitlines()
    assert [json.loads(line.rstrip(b","))["title"] for line in lines[2:4]] == ["A", "B"]


def test_same_uid_twice_is_told() -> None:
    value = tree(SAMPLE)
    value["tasks"].append(value["tasks"][0])
    document = SAMPLE.read(as_json(value))
    assert [(note.row, note.reason) for note in document.skipped] == [(4, "It has the id of row 1.")]
    assert len(document.tasks) == 3
