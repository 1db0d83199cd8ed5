"""iCalendar's grammar (RFC 5545, section 3.1): content lines and components, in and out.

`icalendar` is no reader for this: 10,000 to-dos cost it 5 s and a tree of all of them, and it refuses a file for one
value that is none. Here they cost 0.6 s, and one at a time. The tests hold what is written against it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, NamedTuple

from tasks.formats.drafts import UnreadableFile

MAX_LINES = 100_000  # of a component
MAX_DEPTH = 8  # a calendar, a to-do, an alarm
WIDTH = 75  # octets of a line

_NAME = re.compile(r"[A-Za-z0-9-]+", re.ASCII)
_HEAD = re.compile(r'((?:[^":]++|"[^"]*+")*+):')
_PARAMETER = re.compile(r';([^=;:"]++)=((?:[^";]++|"[^"]*+")*+)')
_ESCAPED = re.compile(r"\\([nN,;\\])")
_PART = re.compile(r"(?:[^\\,]++|\\.|\\$)++", re.DOTALL)
# A key of `extra` that can stand before a colon.
_KEY = re.compile(r'[A-Z0-9-]+(;[A-Z0-9-]+=("[^"\x00-\x1f\x7f]*"|[^";:\x00-\x1f\x7f])+)*', re.ASCII)
_TRIGGER = re.compile(r"[+-]?P[0-9DTHMSW]{2,30}|\d{8}T\d{6}Z", re.ASCII)
_CONTROLS = {code: None for code in range(32) if code != 9} | {127: None}


class Line(NamedTuple):
    """`key` is the name with its parameters as they were written."""

    name: str
    key: str
    value: str

    @property
    def parameters(self) -> dict[str, str]:
        if len(self.key) == len(self.name):
            return {}
        return {name.upper(): value.strip('"') for name, value in _PARAMETER.findall(self.key)}


@dataclass(slots=True)
class Component:
    name: str
    lines: list[Line] = field(default_factory=list)
    children: list["Component"] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)  # lines without a name or value

    def value(self, name: str) -> str | None:
        return next((line.value for line in self.lines if line.name == name), None)


# --- In ---------------------------------------------------------------------------------------------


def components(data: bytes) -> Iterator[tuple[Component, Component]]:
    """Each component of a calendar with the calendar, which comes after them with itself. Keeps none of them.

    Raises UnreadableFile.
    """
    stack = [Component("")]
    number = 0
    for number, text in _unfolded(data):
        line = _line(text)
        if len(stack) == 1 and (line is None or line.name != "BEGIN"):
            raise UnreadableFile("An iCalendar file begins with BEGIN:VCALENDAR.", f"line {number}")
        if line is None:
            stack[-1].broken.append(text)
        elif line.name == "BEGIN":
            stack.append(Component(line.value.strip().upper()))
        elif line.name == "END":
            ended = _end(stack, line, number)
            if len(stack) < 3:
                yield (stack[-1] if len(stack) == 2 else ended), ended
            else:
                stack[-1].children.append(ended)
        else:
            stack[-1].lines.append(line)
        _check_size(stack, number)
    if len(stack) > 1 or number == 0:
        raise UnreadableFile("The file ends before its calendar does.", f"line {number + 1}")


def _check_size(stack: list[Component], number: int) -> None:
    if len(stack) > MAX_DEPTH or len(stack[-1].lines) > MAX_LINES:
        raise UnreadableFile("Components are nested too deeply, or have too many lines.", f"line {number}")


def _end(stack: list[Component], line: Line, number: int) -> Component:
    ended, name = stack.pop(), line.value.strip().upper()
    if ended.name != name:
        raise UnreadableFile(f"END:{name[:40]} does not end {ended.name[:40]}.", f"line {number}")
    return ended


def _unfolded(data: bytes) -> Iterator[tuple[int, str]]:
    """Logical lines, joined as bytes: programs fold within characters."""
    current, first = bytearray(), 1
    for number, raw in enumerate(BytesIO(data), 1):
        text = raw.removesuffix(b"\n").removesuffix(b"\r")
        if raw[:1] in (b" ", b"\t"):
            current += text[1:]
            continue
        if current:
            yield first, _decoded(current, first)
        current, first = bytearray(text), number
    if current:
        yield first, _decoded(current, first)


def _decoded(line: bytearray, number: int) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise UnreadableFile("The file is not UTF-8.", f"line {number}") from error


def _line(text: str) -> Line | None:
    head, colon, value = text.partition(":")
    if '"' in head:
        found = _HEAD.match(text)
        if not found:
            return None
        head, value = found[1], text[found.end() :]
    name, _, parameters = head.partition(";")
    if not colon or not _NAME.fullmatch(name):
        return None
    name = name.upper()
    return Line(name, f"{name};{parameters}" if parameters else name, value)


def unescaped(value: str) -> str:
    """A text, in which commas and semicolons need not be escaped."""
    if "\\" not in value:
        return value
    return _ESCAPED.sub(lambda found: "\n" if found[1] in "nN" else found[1], value)


def split(value: str) -> list[str]:
    """Texts between commas that are not escaped."""
    return [text for part in _PART.findall(value) if (text := unescaped(part).strip())]


# --- Out --------------------------------------------------------------------------------------------


def escaped(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    return text.replace("\n", "\\n").translate(_CONTROLS)


def folded(line: str) -> bytes:
    raw = line.translate(_CONTROLS).encode()
    if len(raw) <= WIDTH:
        return raw + b"\r\n"
    pieces, start, width = [], 0, WIDTH
    while start < len(raw):
        end = start + width
        while end < len(raw) and raw[end] & 0xC0 == 0x80:  # within a character
            end -= 1
        pieces.append(raw[start:end])
        start, width = end, WIDTH - 1
    return b"\r\n ".join(pieces) + b"\r\n"


def component(name: str, lines: Iterable[str]) -> bytes:
    return b"".join(map(folded, [f"BEGIN:{name}", *lines, f"END:{name}"]))


def is_key(text: str) -> bool:
    return _KEY.fullmatch(text) is not None


def quoted(value: str) -> str:
    """A parameter's value."""
    value = value.translate(_CONTROLS).replace('"', "'")
    return f'"{value}"' if re.search("[:;,]", value) else value


def is_alarm(lines: Any) -> bool:
    """Content lines that open and close nothing, and a trigger that programs can read."""
    if not isinstance(lines, list) or not all(
        isinstance(line, str) and line.translate(_CONTROLS) == line for line in lines
    ):
        return False
    found = [_line(line) for line in lines]
    if not all(line and line.name not in ("BEGIN", "END") and is_key(line.key) for line in found):
        return False
    return any(line and line.name == "TRIGGER" and _TRIGGER.fullmatch(line.value) for line in found)


def zone_names(line: str) -> list[str]:
    found = _line(line)
    name = found.parameters.get("TZID") if found else None
    return [name] if name else []
