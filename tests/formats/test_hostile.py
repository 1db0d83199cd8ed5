"""Damaged and hostile files: UnreadableFile that says where, or notes; never another exception, and soon."""

import codecs
import contextlib
import dataclasses
import json
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.formats import csv_file, registry
from tasks.formats.drafts import Document, UnreadableFile
from tests.formats.samples import (
    BERLIN,
    SAMPLES,
    TABLES,
    TREES,
    UTC,
    Sample,
    as_json,
    at,
    leaves,
    named,
    replaced,
    tree,
)  # fmt: skip

pytestmark = pytest.mark.thorough

every = pytest.mark.parametrize("sample", SAMPLES, ids=str)
VALUES: list[Any] = [
    None, True, -1, 0, 10**15, 2**63, 1e300, "", " ", "x" * 10_000, [], {}, [[]], [None], [{"id": 7}], {"date": 1},
    ["a", 1], "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "0000-00-00", "2026-02-30", "2026-13-01",
    "99999-01-01",
    "FREQ=SECONDLY;INTERVAL=0", "../../etc/passwd", "Europe", "\ufeff", "\u2028", "=cmd|' /C calc'!A0", "None", "٣",
]  # fmt: skip


def outcome(sample: Sample, text: bytes) -> Document | UnreadableFile:
    try:
        return sample.read(text)
    except UnreadableFile as error:
        assert error.message
        return error


def stored(document: Document) -> str:
    """Whatever is read can be stored: as UTF-8 and as JSON, without NUL."""
    text = json.dumps(dataclasses.asdict(document), default=str, ensure_ascii=False)
    assert "\\u0000" not in text
    return text.encode().decode()


@every
@pytest.mark.parametrize("quarter", [0, 1, 2, 3])
def test_truncated_file(sample: Sample, quarter: int) -> None:
    for whole in (sample.data, sample.file(sample.text[: len(sample.text) * quarter // 4])):
        cut = whole[: len(whole) * quarter // 4]
        try:
            document = sample.format.read(cut, BERLIN)
        except UnreadableFile as error:
            assert error.message
        else:
            assert sample.name.endswith(".csv"), "only a table has no end"
            assert len(document.tasks) < len(sample.read().tasks)


@pytest.mark.parametrize("sample", TREES, ids=str)
def test_truncated_json_says_where(sample: Sample) -> None:
    error = outcome(sample, sample.text[: len(sample.text) // 2])
    assert isinstance(error, UnreadableFile)
    assert "line" in str(error.place)


@pytest.mark.parametrize("sample", TREES, ids=str)
@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
def test_any_value_anywhere(sample: Sample, value: Any) -> None:
    whole = tree(sample)
    places = {path[:length] for path in leaves(whole) for length in range(1, len(path) + 1)}
    kinds = {tuple(str(key) if isinstance(key, str) else 0 for key in path): path for path in places}
    for path in kinds.values():  # one of each list
        outcome(sample, as_json(replaced(whole, path, value)))


@pytest.mark.parametrize("sample", TABLES, ids=str)
@pytest.mark.parametrize("value", [each for each in VALUES if isinstance(each, str)], ids=lambda value: value[:20])
def test_any_cell_anywhere(sample: Sample, value: str) -> None:
    text = sample.text.decode()
    for cell in {each for line in text.split("\n") for each in line.replace(";", ",").split(",") if len(each) > 1}:
        outcome(sample, text.replace(cell, value, 1).encode())


@every
def test_nul_and_surrogates_are_replaced(sample: Sample) -> None:
    """In JSON they come escaped, in a table as they are."""
    if sample in TREES:
        path = next(path for path in leaves(tree(sample)) if path[-1] in ("title", "name", "content", "displayName"))
        value = str(at(tree(sample), path))
        text = as_json(replaced(tree(sample), path, f"{value}\x00\ud800\\ud800 \U0001f600"))
        expected = f"{value}\ufffd\ufffd\\\\ud800 \U0001f600"
    else:
        value = sample.read().tasks[0].title
        text, expected = sample.text.replace(value.encode(), value.encode() + b"\x00"), f"{value}\ufffd"
    document = outcome(sample, text)
    assert isinstance(document, Document)
    assert any("cannot be stored" in warning for warning in document.warnings)
    assert expected in stored(document)


@every
def test_wrong_encoding(sample: Sample) -> None:
    broken = sample.text.removeprefix(codecs.BOM_UTF8).decode() + "é€"
    for text in (broken.encode() + b"\xff\xfe\x80", broken.encode("utf-16")[:-1], b"\xff" * 1000, b"\x81" * 10):
        assert isinstance(outcome(sample, text), UnreadableFile)


@pytest.mark.parametrize("sample", TREES, ids=str)
@pytest.mark.parametrize(
    "text",
    [b"[" * 100_000, b'{"a":' * 100_000, b"[" * 500 + b"]" * 500, b"NaN", b'{"a": NaN}', b"1" * 100_000,
     b'{"a": 1e999}', b"", b" ", b"null", b"7", b'"a"', b"[7]", b"[[]]", b"{}", b"\x00" * 100, b"PK\x03\x04",
     b"<html></html>"],
    ids=lambda text: text[:12].decode("latin-1"),
)  # fmt: skip
def test_json_of_nothing(sample: Sample, text: bytes) -> None:
    started = time.perf_counter()
    if sample.name != "vikunja" or text != b"null":  # Vikunja writes it for no projects
        assert isinstance(outcome(sample, text), UnreadableFile)
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize("sample", TREES, ids=str)
def test_json_that_nests_too_deep(sample: Sample) -> None:
    """Deeper than what may follow can walk."""
    deep: Any = "x"
    for _ in range(100):
        deep = {"a": [deep]}
    path = next(path for path in leaves(tree(sample)) if path[-1] in ("title", "content", "displayName"))
    error = outcome(sample, as_json(replaced(tree(sample), path, deep)))
    assert isinstance(error, UnreadableFile)
    assert "nests deeper" in error.message


@pytest.mark.parametrize("sample", TABLES, ids=str)
@pytest.mark.parametrize(
    "cell", [",", ";x", " ", '"a,', '"",', '""', "@x ", "every ", "1/", "\n- ", "▫\n", "starting ", ", and ", "FREQ=;"]
)
def test_long_rows_and_cells_take_no_time(sample: Sample, cell: str) -> None:
    """Many columns, and a cell of 130,000 characters."""
    lines = sample.text.decode().split("\n")
    header = next(number for number, line in enumerate(lines) if line.count(",") + line.count(";") > 5)
    delimiter = ";" if sample.name == "table.csv" else ","
    long = (cell * 130_000)[:130_000].replace('"', '""')
    columns = len(lines[header].split(delimiter))
    rows = [
        lines[header] + delimiter * 900,
        *(delimiter.join(['"a"'] * number + [f'"{long}"'] + ['"a"'] * (columns - number)) for number in range(columns)),
        delimiter.join(f"c{number}" for number in range(900)),
    ]
    started = time.process_time()
    outcome(sample, "\n".join(rows).encode())
    assert time.process_time() - started < 3


def test_millions_of_columns_are_refused_before_they_get_names() -> None:
    """In a row; and in the header, which is read as it is recognised, too."""
    for text in (b"title\nx" + b"," * 2_000_000, b"title" + b"," * 2_000_000):
        tracemalloc.start()
        with pytest.raises(UnreadableFile):
            csv_file.read(text, BERLIN)
        assert tracemalloc.get_traced_memory()[1] < 60_000_000
        tracemalloc.stop()


@pytest.mark.parametrize("sample", TABLES, ids=str)
@pytest.mark.parametrize(
    "text", [b"", b"\n\n", b'"', b'a,b\n"', b"x" * 300_000, b"," * 100_000, b'"a"b,c\n', b"\x00" * 99]
)
def test_table_of_nothing(sample: Sample, text: bytes) -> None:
    assert isinstance(outcome(sample, text), UnreadableFile)


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    for sample in SAMPLES:
        for text in (data, sample.text[:40] + data, sample.text[:-40] + data):
            outcome(sample, text)
    with contextlib.suppress(UnreadableFile):
        registry.detect(data).read(data, UTC)


# --- Parents ----------------------------------------------------------------------------------------

CHAINS = {
    "tickbase.json": lambda own, parent: {
        "format": "tickbase", "version": 1, "projects": [],
        "tasks": [{"uid": a, "title": a, "parent_uid": b} for a, b in zip(own, parent, strict=True)],
    },
    "todoist.json": lambda own, parent: {
        "items": [{"id": a, "content": a, "parent_id": b, "project_id": "1"} for a, b in zip(own, parent, strict=True)]
    },
    "google-tasks.json": lambda own, parent: {
        "kind": "tasks#taskLists",
        "items": [
            {"title": "L", "items": [{"id": a, "title": a, "parent": b} for a, b in zip(own, parent, strict=True)]}
        ],
    },
    "vikunja": lambda own, parent: [
        {"id": 1, "title": "P", "tasks": [
            {"id": int(a), "title": a, "related_tasks": {"parenttask": [{"id": int(b)}]} if b else {}}
            for a, b in zip(own, parent, strict=True)
        ]}
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", CHAINS)
def test_circles_of_parents_are_broken_and_told(name: str) -> None:
    document = named(name).read(as_json(CHAINS[name](["1", "2", "3", "4"], ["3", "1", "2", "4"])))
    roots = [task for task in document.tasks if task.parent is None]
    assert len(document.tasks) == 4
    assert len(roots) == 2
    assert sorted(note.row for note in document.degraded if note.field == "parent") == sorted(
        each.row for each in roots
    )


@pytest.mark.parametrize("name", CHAINS)
def test_ten_thousand_levels(name: str) -> None:
    own = [str(number) for number in range(1, 10_001)]
    document = named(name).read(as_json(CHAINS[name](own, [None, *own[:-1]])))
    assert sum(task.parent is None for task in document.tasks) == 1
    assert len(document.tasks) == 10_000


def test_circle_in_a_table() -> None:
    document = named("table.csv").read(b"id,title,parent\n1,a,2\n2,b,1\n3,c,3\n")
    assert [task.parent is None for task in document.tasks] == [True, False, True]
    assert [note.field for note in document.degraded] == ["parent", "parent"]
