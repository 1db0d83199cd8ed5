"""Files of other to-do software: a module each, pure, from bytes to drafts and back.

A module is named after its format and has `read(data, zone)`, `matches(start, name)`, and `write(drafts, zone)` if
Tickbase writes the format. Every field of a file lands in a draft, in its `extra`, or is told in a note.
"""

from tasks.formats import csv_file as csv
from tasks.formats import google_tasks, tickbase, todo_txt, todoist_csv, todoist_json
from tasks.formats.drafts import Format

_ALL: tuple[Format, ...] = (tickbase, todoist_json, google_tasks, todoist_csv, csv, todo_txt)
FORMATS: dict[str, Format] = {each.NAME: each for each in _ALL}


def detect(data: bytes, name: str) -> Format | None:
    """The first format that a file is of, by its beginning and its name."""
    return next((each for each in _ALL if each.matches(data[: 64 * 1024], name)), None)
