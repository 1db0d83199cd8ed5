"""Drafts that the text formats can say, and what each test does with their files."""

import datetime as dt
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from tasks.formats.drafts import Document, Format, ProjectDraft, TaskDraft, WritableFormat

BERLIN = ZoneInfo("Europe/Berlin")
SAMPLES = Path(__file__).parent / "samples" / "texts"
RULES = (
    "FREQ=DAILY",
    "FREQ=WEEKLY;INTERVAL=2",
    "FREQ=MONTHLY;BYMONTHDAY=28,29,30,31;BYSETPOS=-1",
    "FREQ=HOURLY;COUNT=3",
)

texts = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Zs"]), min_size=1, max_size=20)
lines = st.lists(texts, min_size=1, max_size=4).map(" ".join)
uids = st.one_of(st.uuids().map(str), texts)
days = st.dates(dt.date(1970, 1, 3), dt.date(2090, 1, 1))
instants = st.datetimes(dt.datetime(1970, 1, 3), dt.datetime(2090, 1, 1), timezones=st.just(dt.UTC))  # noqa: DTZ001
seconds = instants.map(lambda at: at.replace(microsecond=0))


@st.composite
def recurrences(draw: st.DrawFn) -> dict[str, str]:
    recurrence = {"rule": draw(st.sampled_from(RULES)), "from": draw(st.sampled_from(["due", "completion"]))}
    return recurrence | draw(st.sampled_from([{}, {"zone": "America/New_York"}]))


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def read(module: Format, text: str | bytes, zone: ZoneInfo = BERLIN) -> Document:
    return module.read(text if isinstance(text, bytes) else text.encode(), zone)


def written(module: WritableFormat, projects: list[ProjectDraft], tasks: list[TaskDraft]) -> bytes:
    return b"".join(module.write(projects, tasks, BERLIN))


def again(module: WritableFormat, document: Document) -> Document:
    return read(module, written(module, document.projects, document.tasks))


def plain(document: Document) -> list[dict[str, Any]]:
    """All but the rows, which tell where a draft stands."""
    return [asdict(replace(draft, row=0)) for draft in [*document.projects, *document.tasks]]


def one(document: Document) -> TaskDraft:
    assert len(document.tasks) == 1
    return document.tasks[0]
