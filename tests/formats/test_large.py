"""Large files: each task of thousands costs no more than a few hundred calls, and they are written in pieces."""

import datetime as dt
import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from tasks.formats import registry
from tasks.formats.drafts import TaskDraft, WritableFormat
from tests.calls import calls
from tests.formats.samples import BERLIN, SAMPLES, TREES, Sample, tree

pytestmark = pytest.mark.thorough

COUNT = 5_000
MOST = 600  # calls for each task; 5,000 take half a second


def enlarged(sample: Sample) -> bytes:
    """The file with so many copies of its tasks, each with an id of its own."""
    if sample not in TREES:
        lines = sample.text.decode("utf-8-sig").split("\n")
        header = next(number for number, line in enumerate(lines) if line.count(",") + line.count(";") > 5)
        times = COUNT // len(sample.read().tasks) + 1
        return "\n".join([*lines[: header + 1], *lines[header + 1 : -1] * times, ""]).encode()
    value = tree(sample)
    tasks = next(
        each for each in lists(value) if {"title", "content"} & each[0].keys() and "section_order" not in each[0]
    )
    tasks[:] = [copied(each, number) for number in range(COUNT // len(tasks) + 1) for each in tasks]
    return json.dumps(value).encode()


def lists(value: Any) -> Iterator[list[dict[str, Any]]]:
    """Those of tasks come last: deepest first."""
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from lists(each)
        if (
            isinstance(value, list)
            and value
            and isinstance(value[0], dict)
            and {"status", "checked", "done"} & value[0].keys()
        ):
            yield value


def copied(task: dict[str, Any], number: int) -> dict[str, Any]:
    return {**task, **{name: f"{task[name]}{number}" if isinstance(task[name], str) else task[name] * 100_000 + number
                       for name in ("id", "uid") if name in task}}  # fmt: skip


def drafts(count: int) -> Iterator[TaskDraft]:
    moment = dt.datetime(2026, 11, 28, tzinfo=dt.UTC)
    for number in range(count):
        yield TaskDraft(
            number, f"uid-{number}", title=f"Task number {number} {'x' * 200}", description="Some words. " * 80,
            tags=["home", "errand"], due_date=moment.date(), created_at=moment, modified_at=moment,
            recurrence={"rule": "FREQ=WEEKLY;BYDAY=MO,WE", "from": "due", "zone": "Europe/Berlin"},
        )  # fmt: skip


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_many_tasks_of_a_sample_are_read(sample: Sample) -> None:
    data = enlarged(sample)
    assert calls(lambda: sample.read(data)) < MOST * COUNT
    document = sample.read(data)
    assert len(document.tasks) + len(document.skipped) >= COUNT


@pytest.mark.parametrize("format_", registry.WRITABLE, ids=lambda each: each.NAME)
def test_many_tasks_are_written_and_read(format_: WritableFormat) -> None:
    pieces: list[bytes] = []
    assert calls(lambda: pieces.extend(format_.write([], drafts(COUNT), BERLIN))) < MOST * COUNT
    data = b"".join(pieces)
    assert calls(lambda: format_.read(data, BERLIN)) < MOST * COUNT
    assert len(format_.read(data, BERLIN).tasks) == COUNT


@pytest.mark.parametrize("format_", registry.WRITABLE, ids=lambda each: each.NAME)
def test_writing_takes_no_memory(format_: WritableFormat) -> None:
    list(format_.write([], drafts(10), BERLIN))  # imports
    tracemalloc.start()
    try:
        size = sum(map(len, format_.write([], drafts(1_000), BERLIN)))
        assert tracemalloc.get_traced_memory()[1] < 250_000 < size
    finally:
        tracemalloc.stop()
