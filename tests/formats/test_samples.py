"""What holds for the sample of every format: it is told apart, read the same twice, and nothing of it is lost."""

import codecs
import csv
import io
from typing import Any

import pytest

from tasks.formats import registry
from tasks.formats.drafts import UnreadableFile
from tests.formats.samples import SAMPLES, TABLES, TEXTS, TREES, Path_, Sample, as_json, at, leaves, replaced, tree

every = pytest.mark.parametrize("sample", [*SAMPLES, *TEXTS], ids=str)
WHOLE = [each for each in [*SAMPLES, *TEXTS] if each.name != "texts/by-hand.ics"]  # folded within a character


@every
def test_format_is_detected(sample: Sample) -> None:
    assert registry.detect(sample.data, sample.name).NAME == sample.format.NAME


@every
def test_uids_are_the_same_each_time_and_occur_once(sample: Sample) -> None:
    first, second = sample.read(), sample.read()
    uids = [draft.uid for draft in [*first.projects, *first.tasks]]
    assert first == second
    assert first.tasks
    assert len(uids) == len(set(uids))


def said(sample: Sample, text: bytes) -> Any:
    """What a reading says, but for where it stands; or why there is none."""
    try:
        document = sample.read(text)
    except UnreadableFile as error:
        return error.message
    for draft in [*document.projects, *document.tasks]:
        draft.row = 0
    return document


@pytest.mark.parametrize("sample", TREES, ids=str)
def test_every_value_lands_is_kept_or_is_told(sample: Sample) -> None:
    """With another value there, it is another document."""
    value = tree(sample)
    whole = said(sample, as_json(value))
    paths = [path for path in leaves(value) if not is_passed_over(value, path)]
    lost = [path for path in paths if said(sample, as_json(replaced(value, path, another(at(value, path))))) == whole]
    assert len(paths) > 15
    assert lost == [], lost


def is_passed_over(value: Any, path: Path_) -> bool:
    """Of what is deleted it is told that it is skipped; of Vikunja's relations, copies of tasks, the ids count."""
    around = [at(value, path[:length]) for length in range(len(path))]
    deleted = any(each.get("deleted") or each.get("is_deleted") for each in around if isinstance(each, dict))
    if path == ("kind",):  # what Google calls the file
        return True
    return (deleted and path[-1] not in ("deleted", "is_deleted")) or ("related_tasks" in path and path[-1] == "title")


def another(value: Any) -> Any:
    """Of the same type."""
    if isinstance(value, bool):
        return not value
    return f"7{value}" if isinstance(value, str) else value + 1


@pytest.mark.parametrize("sample", TABLES, ids=str)
def test_every_cell_lands_is_kept_or_is_told(sample: Sample) -> None:
    text = sample.text.decode("utf-8-sig")
    delimiter = ";" if sample.name == "table.csv" else ","
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    header = next(number for number, row in enumerate(rows) if len(row) > 5)
    whole = said(sample, written(rows, delimiter))
    lost = []
    for number, row in enumerate(rows[header + 1 :], header + 1):
        for column, cell in enumerate(row):
            changed = [*row[:column], another(cell), *row[column + 1 :]]
            text_then = written([*rows[:number], changed, *rows[number + 1 :]], delimiter)
            if cell and said(sample, text_then) == whole:
                lost.append((number, rows[header][column], cell))
    assert lost == [], lost


def written(rows: list[list[str]], delimiter: str) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows(rows)
    return buffer.getvalue().encode()


@pytest.mark.parametrize("sample", WHOLE, ids=str)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_encoding_does_not_matter(sample: Sample, encoding: str) -> None:
    text = sample.text.decode("utf-8-sig")
    assert said(sample, text.encode(encoding)) == said(sample, text.encode())


@every
def test_line_ends_do_not_matter(sample: Sample) -> None:
    lines = sample.text.removeprefix(codecs.BOM_UTF8).replace(b"\r\n", b"\n")
    for end in (b"\r\n", b"\n"):
        found = sample.read(lines.replace(b"\n", end))
        assert [task.title for task in found.tasks] == [task.title for task in sample.read().tasks]
        assert [task.due_date for task in found.tasks] == [task.due_date for task in sample.read().tasks]
