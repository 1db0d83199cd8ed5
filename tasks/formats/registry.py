"""All formats, and which of them a file is of."""

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
from tasks.formats.drafts import Format, UnreadableFile, WritableFormat

START = 64 * 1024  # bytes that tell the format

# In the order in which they are asked: CSV takes every table with a title.
FORMATS: tuple[Format, ...] = (
    tickbase,
    taskwarrior,
    ics,
    google_tasks,
    ms_todo,
    todoist_json,
    vikunja,
    todoist_csv,
    ticktick,
    csv_file,
    todo_txt,
)
WRITABLE: tuple[WritableFormat, ...] = (
    tickbase,
    todoist_csv,
    csv_file,
    todo_txt,
    taskwarrior,
    ics,
)


def detect(data: bytes, name: str = "") -> Format:
    """Raises UnreadableFile if it is of none."""
    start = data[:START]
    found = next((each for each in FORMATS if each.matches(start, name)), None)
    if found is None:
        raise UnreadableFile("It looks like no format that can be imported; if it is one, name it with `format`.")
    return found
