"""The bytes of a file as text, as JSON, or as the rows of a table."""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from tasks.formats.drafts import Document, UnreadableFile

MAX_DEPTH = 64  # of JSON; what nests deeper is no file of a to-do list
MAX_TASKS = 200_000  # of a file of lines or entries, which are read one by one
MAX_COLUMNS = 1_000  # of a table; a name for each of millions would fill the memory
MAX_OBJECTS = 1_000_000  # of JSON: empty ones in an archive would fill the memory
REPLACED = "Characters that cannot be stored were replaced by U+FFFD."

_BOMS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
# What JSON can escape and PostgreSQL cannot store: NUL, and surrogates outside of a pair. Backslashes go in pairs, too.
_ESCAPES = re.compile(
    r"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u0000|\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
_MAY_BE_ESCAPED = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


def is_json(start: bytes) -> bool:
    return start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[")


def check_count(row: int, noun: str) -> None:
    """Raises UnreadableFile for more tasks than the memory is meant for."""
    if row > MAX_TASKS:
        raise UnreadableFile(f"A file has up to {MAX_TASKS:,} tasks.", f"{noun} {row}")


def has_member(start: bytes, name: str) -> bool:
    return re.search(rb'"' + re.escape(name.encode()) + rb'"\s*:', start) is not None


def decode(data: bytes, document: Document, *, windows: bool = False) -> str:
    """UTF-8 or UTF-16, with or without a BOM; else Windows-1252, if `windows` may have written it."""
    encoding, start = next(
        ((name, len(bom)) for bom, name in _BOMS.items() if data.startswith(bom)), (_without_bom(data), 0)
    )
    try:
        text = data[start:].decode(encoding)
    except UnicodeDecodeError as error:
        first = error.start + start
        if not windows or encoding != "utf-8" or error.reason == "unexpected end of data" or not data[:first].isascii():
            raise UnreadableFile(f"It is no {encoding.upper()}: {error.reason}.", _line(data, first)) from None
        try:
            text = data.decode("cp1252")
        except UnicodeDecodeError as other:
            raise UnreadableFile("It is neither UTF-8 nor Windows-1252.", _line(data, other.start)) from None
        document.warnings.append("The file is no UTF-8 and was read as Windows-1252.")
    if "\x00" in text:
        document.warnings.append(REPLACED)
    return text.replace("\x00", "\ufffd")


def decode_lines(data: bytes, document: Document) -> str:
    """As `decode`; lines end with LF."""
    return decode(data, document).replace("\r\n", "\n").replace("\r", "\n")


def _without_bom(data: bytes) -> str:
    """UTF-16 is told by its NULs: every second byte of what is mostly ASCII."""
    start = data[:1024]
    for encoding, high in (("utf-16-le", start[1::2]), ("utf-16-be", start[::2])):
        if high.count(0) > len(high) * 0.6:
            return encoding
    return "utf-8"


def _line(data: bytes, at: int) -> str:
    return f"line {data.count(10, 0, at) + 1}"


def read_json(data: bytes, document: Document) -> Any:
    """Plain values, at most MAX_DEPTH deep. Raises UnreadableFile."""
    if data.count(b"{") > MAX_OBJECTS:
        raise UnreadableFile(f"It has more than {MAX_OBJECTS:,} objects; split it.")
    value = _parsed_as_it_is(data)
    if value is None:
        value = parse_json(storable_json(decode(data, document), document))
    if is_deeper(value, MAX_DEPTH):
        raise UnreadableFile(f"It nests deeper than {MAX_DEPTH} levels.")
    return value


def _parsed_as_it_is(data: bytes) -> Any:
    """Without a copy as text, which would be as large as the file; None if it needs one, or is no JSON."""
    if _MAY_BE_ESCAPED.search(data):
        return None
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None


def parse_json(text: str, line: int | None = None) -> Any:
    """`line` is where the text stands in its file, if it is one of several. Raises UnreadableFile."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        place = f"line {line or error.lineno}, column {error.colno}"
        raise UnreadableFile(f"It is no JSON: {error.msg}.", place) from None


def storable_json(text: str, document: Document) -> str:
    """With U+FFFD for what PostgreSQL cannot store."""
    found = False

    def replace(match: re.Match[str]) -> str:
        nonlocal found
        found = found or match[1] is not None
        return match[0] if match[1] is None else "\ufffd"

    text = _ESCAPES.sub(replace, text)
    if found:
        document.warnings.append(REPLACED)
    return text


def is_deeper(value: Any, limit: int) -> bool:
    """Whether it has more levels; a value that holds no others is one."""
    level = [value]
    for _ in range(limit):
        level = [
            child
            for each in level
            if isinstance(each, dict | list)
            for child in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return True


def objects(value: Any, place: str) -> list[dict[str, Any]]:
    """A list of objects. Raises UnreadableFile, which names the place."""
    if not isinstance(value, list):
        raise UnreadableFile("It is no list.", place)
    wrong = next((number for number, each in enumerate(value, 1) if not isinstance(each, dict)), None)
    if wrong:
        raise UnreadableFile("It is no object.", f"{place}, entry {wrong}")
    return value


# --- Tables -----------------------------------------------------------------------------------------


def rows(text: str, delimiter: str = ",", line: int = 1) -> Iterator[tuple[int, list[str]]]:
    """Each row that has something in it, with the line that it begins on. Raises UnreadableFile."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    before = line
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise UnreadableFile(f"It is no table: {error}.", f"line {line}") from None
        if len(cells) > MAX_COLUMNS:
            raise UnreadableFile(f"It has more than {MAX_COLUMNS:,} columns.", f"line {line}")
        if any(cells):
            yield line, cells
        line = before + reader.line_num


def records(header: list[str], found: Iterable[tuple[int, list[str]]]) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows by the names of their columns. Cells beyond the header are `column 7`; empty cells are left out."""
    names: list[str] = []
    seen: set[str] = set()
    for number, column in enumerate(header, 1):
        name = column.strip() or f"column {number}"
        names.append(f"{name} ({number})" if name in seen else name)
        seen.add(name)
    for line, cells in found:
        while len(cells) > len(names):
            names.append(f"column {len(names) + 1}")
        yield line, {name: cell for name, cell in zip(names, cells, strict=False) if cell}


def write_rows(found: Iterable[list[str]]) -> Iterator[bytes]:
    """A table as RFC 4180 has it, a piece for each row."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    for cells in found:
        writer.writerow(cells)
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()
