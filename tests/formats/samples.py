"""The files in samples/ (its README says where each comes from), and how their values are taken out one by one."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from tasks.formats import (
    csv_file,
    google_tasks,
    ics,
    ms_todo,
    taskwarrior,
    tickbase,
    ticktick,
    todo_txt,
    todoist_csv,
    todoist_json,
    vikunja,
)
from tasks.formats.drafts import Document, Format, TaskDraft

FOLDER = Path(__file__).parent / "samples"
BERLIN, UTC = ZoneInfo("Europe/Berlin"), ZoneInfo("UTC")
Path_ = tuple[str | int, ...]


class Sample(NamedTuple):
    format: Format
    name: str

    def __str__(self) -> str:
        return self.name

    @property
    def data(self) -> bytes:
        path = FOLDER / self.name
        return zipped({each.name: each.read_bytes() for each in sorted(path.iterdir())}) if path.is_dir() else self.text

    @property
    def text(self) -> bytes:
        """What a person can read of it: of an archive, its JSON."""
        path = FOLDER / self.name
        return (path / "data.json" if path.is_dir() else path).read_bytes()

    def file(self, text: bytes) -> bytes:
        """The file around another text."""
        return zipped({"data.json": text}) if (FOLDER / self.name).is_dir() else text

    def read(self, text: bytes | None = None) -> Document:
        return self.format.read(self.file(self.text if text is None else text), BERLIN)


SAMPLES = (
    Sample(tickbase, "tickbase.json"),
    Sample(csv_file, "table.csv"),
    Sample(csv_file, "tickbase.csv"),
    Sample(todoist_csv, "todoist.csv"),
    Sample(todoist_json, "todoist.json"),
    Sample(todoist_json, "todoist-api.json"),
    Sample(google_tasks, "google-tasks.json"),
    Sample(ms_todo, "ms-todo.json"),
    Sample(ticktick, "ticktick.csv"),
    Sample(vikunja, "vikunja"),
)
TEXTS = (
    Sample(todo_txt, "texts/todo.txt"),
    Sample(todo_txt, "texts/by-hand.txt"),
    Sample(taskwarrior, "texts/taskwarrior.json"),
    Sample(taskwarrior, "texts/taskwarrior-lines.json"),
    Sample(taskwarrior, "texts/taskwarrior-by-hand.json"),
    Sample(ics, "texts/todoman.ics"),
    Sample(ics, "texts/icalendar.ics"),
    Sample(ics, "texts/by-hand.ics"),
)
TREES = [sample for sample in SAMPLES if not sample.name.endswith(".csv")]  # JSON
TABLES = [sample for sample in SAMPLES if sample.name.endswith(".csv")]


def named(name: str) -> Sample:
    return next(sample for sample in SAMPLES if sample.name == name)


def zipped(entries: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def task(document: Document, title: str) -> TaskDraft:
    [found] = [each for each in document.tasks if each.title == title]
    return found


def leaves(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """The paths of all values that say something."""
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(each, (*path, key))
    elif value not in (None, ""):
        yield path


def at(value: Any, path: Path_) -> Any:
    for key in path:
        value = value[key]
    return value


def replaced(value: Any, path: Path_, by: Any) -> Any:
    """A copy along the path; the rest is shared."""
    if not path:
        return by
    value = value.copy()
    value[path[0]] = by if len(path) == 1 else replaced(value[path[0]], path[1:], by)
    return value


def tree(sample: Sample) -> Any:
    return json.loads(sample.text)


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()
