"""All formats: what a file is of, and what is written is read."""

import datetime as dt

import pytest

from tasks.formats import registry
from tasks.formats.drafts import ProjectDraft, TaskDraft, UnreadableFile, WritableFormat, uid_of
from tests.formats.samples import BERLIN

TASKS = [
    TaskDraft(1, "a", title="Call", tags=["home"], priority="high", due_date=dt.date(2026, 1, 31)),
    TaskDraft(2, "b", title="Write", project="p", description="Two\nlines"),
]


@pytest.mark.parametrize("format_", registry.WRITABLE, ids=lambda each: each.NAME)
def test_what_is_written_is_detected_and_read(format_: WritableFormat) -> None:
    data = b"".join(format_.write([ProjectDraft(1, "p", name="Home")], TASKS, BERLIN))
    assert registry.detect(data).NAME == format_.NAME
    found = format_.read(data, BERLIN).tasks
    assert [(each.title, each.priority, each.due_date) for each in found] == [
        (each.title, each.priority, each.due_date) for each in TASKS
    ]


@pytest.mark.parametrize("format_", registry.WRITABLE, ids=lambda each: each.NAME)
def test_nothing_is_written_as_an_empty_file_of_the_format(format_: WritableFormat) -> None:
    data = b"".join(format_.write([], [], BERLIN))
    if data.strip() not in (b"", b"[\n]"):  # which say nothing of themselves
        assert registry.detect(data).NAME == format_.NAME
    assert format_.read(data, BERLIN).tasks == []


def test_names_are_unique() -> None:
    names = [each.NAME for each in registry.FORMATS]
    assert len(names) == len(set(names))
    assert {each.NAME for each in registry.WRITABLE} <= set(names)


@pytest.mark.parametrize(
    "data", [b"", b"\x00\x01", b"%PDF-1.7", b"\x89PNG\r\n", b"{}", b"[]", b'{"a": [1]}', b"PK\x03\x04"]
)
def test_other_files(data: bytes) -> None:
    with pytest.raises(UnreadableFile, match="no format"):
        registry.detect(data)


def test_uids() -> None:
    """A UUID is kept in its canonical form; what else a source knows it by gives the same UUID each time."""
    uuid = "0197a0c2-0000-7000-8000-000000000001"
    assert uid_of("x", uuid.upper()) == uid_of("y", "{" + uuid + "}") == uuid
    assert uid_of("x", "1") == uid_of("x", "1") != uid_of("y", "1")
