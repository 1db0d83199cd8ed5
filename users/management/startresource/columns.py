"""The fields of a spec: their types, bounds and defaults."""

import datetime as dt
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from config.values import FIRST_DATE, LAST_DATE
from users.management.startresource.documents import Node

COMMON = {
    "type": "what it holds",
    "required": "whether a new row must have it",
    "null": "whether it may be nothing",
    "default": "what a new row has",
    "example": "for the documentation",
    "help": "a sentence for the API's reader",
}
OWN: Mapping[str, Mapping[str, str]] = {
    "text": {"min": "characters", "max": "characters", "pattern": "of the whole text", "search": "found by search"},
    "int": {"min": "the least", "max": "the most"},
    "decimal": {"min": "the least", "max": "the most", "digits": "of the whole number", "places": "after the point"},
    "bool": {},
    "date": {},
    "instant": {},
    "enum": {"values": "the words"},
    "uuid": {},
    "json": {},
    "text[]": {"max": "elements", "each": "characters of each", "search": "found by search"},
}
MAX_TEXT, MAX_INT = 100_000, 2**31 - 1
MAX_INDEXED = 500  # characters of a text within an index, whose entries PostgreSQL bounds
MAX_LINE = 500  # characters of a text that is one line, and trimmed
MIN_TITLE = 60
MAX_VALUES, MAX_VALUE = 50, 40


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    required: bool = False
    null: bool = False
    default: Any = None
    example: Any = None
    min: Any = None
    max: Any = None
    pattern: str = ""
    search: bool = False
    values: tuple[str, ...] = ()
    digits: int = 12
    places: int = 2
    each: int = 50
    help: str = ""

    @property
    def is_line(self) -> bool:
        """Of a text: one line rather than several."""
        return int(self.max) <= MAX_LINE

    @property
    def is_clearable(self) -> bool:
        """Whether null in a request means the default."""
        return not self.required and not self.null and self.type != "bool"


def is_title(column: Column) -> bool:
    is_free = not column.pattern and column.min <= 1 if column.type == "text" else False
    return is_free and column.required and column.max >= MIN_TITLE


def sentence(node: Node) -> str:
    text = node.text()
    if not 1 <= len(text) <= 200 or "\n" in text:
        node.refuse("Write one line of up to 200 characters.")
    return text


def parse(name: str, node: Node) -> Column:
    """Raises SpecError."""
    if node.kind != "map" or "type" not in node.value:
        node.refuse(f"Say its type: `{name}: {{type: text}}`.")
    kind = node.value["type"].text()
    if kind not in OWN:
        node.value["type"].refuse(f"{kind[:60]!r} is no type; use {', '.join(OWN)}.")
    entries = node.entries({**COMMON, **OWN[kind]})
    flags: dict[str, Any] = {key: entries[key].flag() for key in ("required", "null", "search") if key in entries}
    if flags.get("required") and flags.get("null"):
        node.refuse("A field that is required is never null; choose one of the two.")
    if kind in ("json", "text[]") and (flags.get("required") or flags.get("null")):
        node.refuse(f"{kind} is empty rather than nothing; leave required and null out.")
    if flags.get("required") and "default" in entries:
        entries["default"].refuse("A field that is required needs no default; choose one of the two.")
    bounds = _BOUNDS[kind](entries) if kind in _BOUNDS else {}
    help_text = sentence(entries["help"]) if "help" in entries else ""
    column = Column(name, kind, help=help_text, **flags, **bounds)
    return _with_values(column, node, entries)


def _with_values(column: Column, node: Node, entries: Mapping[str, Node]) -> Column:
    """With its default and its example, which the bounds allow."""
    default = BLANK.get(column.type)
    if column.required or column.null:
        default = None
    if "default" in entries and entries["default"].kind != "null":
        default = value_of(column, entries["default"])
    elif "default" in entries and not column.null:
        entries["default"].refuse("A default of null needs null: true.")
    if default is None and not (column.required or column.null):
        node.refuse(f"A new {column.type} needs a value: say required: true, null: true, or a default.")
    if column.type == "text" and default == "":
        _refuse_empty(column, node)
    example = value_of(column, entries["example"]) if "example" in entries else None
    if example is None and column.pattern and column.required:
        node.refuse("A pattern that every row must match needs an example that does.")
    return Column(**{**vars(column), "default": default, "example": example})


def _refuse_empty(column: Column, node: Node) -> None:
    if column.min:
        node.refuse("An empty text is shorter than min; say required: true, null: true, or a default.")
    if column.pattern and not re.fullmatch(column.pattern, ""):
        node.refuse("An empty text does not match the pattern; say required: true, null: true, or a default.")


BLANK: Mapping[str, Any] = {"text": "", "bool": False, "json": {}, "text[]": []}


# --- Bounds -----------------------------------------------------------------------------------------


def _bound(entries: Mapping[str, Node], key: str, default: int, least: int, most: int) -> int:
    if key not in entries:
        return default
    number = entries[key].whole()
    if not least <= number <= most:
        entries[key].refuse(f"Use a whole number from {least:,} to {most:,}.")
    return number


def _refuse_crossed(entries: Mapping[str, Node], least: Any, most: Any) -> None:
    if least > most:
        blamed = entries["max"] if "max" in entries else entries["min"]
        blamed.refuse(f"min is {least} and max is {most}: nothing is between them.")


def _text(entries: Mapping[str, Node]) -> dict[str, Any]:
    required = "required" in entries and entries["required"].value is True
    most = _bound(entries, "max", 200, 1, MAX_TEXT)
    least = _bound(entries, "min", int(required), 0, MAX_TEXT)
    _refuse_crossed(entries, least, most)
    if required and least == 0:
        entries["min"].refuse("A text that is required has at least one character.")
    pattern = ""
    if "pattern" in entries:
        pattern = entries["pattern"].text()
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            entries["pattern"].refuse(f"This is no regular expression: {error}.")
        if len(pattern) > 200 or "\n" in pattern:
            entries["pattern"].refuse("A pattern is one line of up to 200 characters.")
    return {"min": least, "max": most, "pattern": pattern}


def _int(entries: Mapping[str, Node]) -> dict[str, Any]:
    least = _bound(entries, "min", -MAX_INT, -MAX_INT, MAX_INT)
    most = _bound(entries, "max", MAX_INT, -MAX_INT, MAX_INT)
    _refuse_crossed(entries, least, most)
    return {"min": least, "max": most}


def _decimal(entries: Mapping[str, Node]) -> dict[str, Any]:
    digits = _bound(entries, "digits", 12, 1, 30)
    places = _bound(entries, "places", 2, 0, 20)
    if places > digits:
        entries["places"].refuse(f"places is {places}, more than all digits, {digits}.")
    furthest = Decimal(10) ** (digits - places) - Decimal(10) ** -places
    least = _number(entries["min"], digits, places) if "min" in entries else -furthest
    most = _number(entries["max"], digits, places) if "max" in entries else furthest
    _refuse_crossed(entries, least, most)
    return {"min": least, "max": most, "digits": digits, "places": places}


def _enum(entries: Mapping[str, Node]) -> dict[str, Any]:
    if "values" not in entries:
        raise_at = next(iter(entries.values()))
        raise_at.refuse("An enum needs its values: `values: [build, quit]`.")
    values: list[str] = []
    for each in entries["values"].items():
        if not re.fullmatch(f"[a-z][a-z0-9_]{{0,{MAX_VALUE - 1}}}", each.text()):
            each.refuse(f"A value of an enum is a word of up to {MAX_VALUE} small letters, digits and _.")
        if each.text() in values:
            each.refuse(f"{each.text()} stands twice.")
        values.append(each.text())
    if not 2 <= len(values) <= MAX_VALUES:
        entries["values"].refuse(f"An enum has 2 to {MAX_VALUES} values.")
    return {"values": tuple(values)}


def _list(entries: Mapping[str, Node]) -> dict[str, Any]:
    return {"max": _bound(entries, "max", 20, 1, 1000), "each": _bound(entries, "each", 50, 1, 1000)}


_BOUNDS = {"text": _text, "int": _int, "decimal": _decimal, "enum": _enum, "text[]": _list}


# --- Values -----------------------------------------------------------------------------------------


def _number(node: Node, digits: int, places: int) -> Decimal:
    if node.kind not in ("int", "float", "str"):
        node.refuse("Write a number.")
    try:
        number = Decimal(str(node.value))
        rounded = number.quantize(Decimal(1).scaleb(-places))
    except InvalidOperation:
        node.refuse("Write a number that fits into the digits.")
    if rounded != number or abs(number) >= Decimal(10) ** (digits - places):
        node.refuse(f"{number} has more than {digits} digits, or more than {places} after the point.")
    return rounded


def value_of(column: Column, node: Node) -> Any:
    """A default or an example. Raises SpecError for one that the field would not take."""
    value = _VALUES[column.type](column, node)
    if column.type in ("int", "decimal") and not column.min <= value <= column.max:
        node.refuse(f"{value} is not between min and max, {column.min} and {column.max}.")
    return value


def _text_value(column: Column, node: Node) -> str:
    text = node.text()
    if not column.min <= len(text) <= column.max:
        node.refuse(f"It has {len(text)} characters; min and max are {column.min} and {column.max}.")
    if column.pattern and not re.fullmatch(column.pattern, text):
        node.refuse("It does not match the pattern.")
    return text


def _enum_value(column: Column, node: Node) -> str:
    if node.text() not in column.values:
        node.refuse(f"It is none of the values: {', '.join(column.values)}.")
    return node.text()


def _date_value(column: Column, node: Node) -> dt.date:
    try:
        date = dt.date.fromisoformat(node.text())
    except ValueError:
        node.refuse("Write a date that exists, as 2026-12-01.")
    if not FIRST_DATE <= date <= LAST_DATE:
        node.refuse(f"Use a date from {FIRST_DATE} to {LAST_DATE}.")
    return date


def _instant_value(column: Column, node: Node) -> dt.datetime:
    try:
        instant = dt.datetime.fromisoformat(node.text().replace("Z", "+00:00"))
    except ValueError:
        node.refuse("Write an instant that exists, as 2026-12-01T09:30:00Z.")
    if instant.tzinfo is None or not FIRST_DATE < instant.date() < LAST_DATE:
        node.refuse("Write an instant with its offset, as 2026-12-01T09:30:00Z.")
    return instant.astimezone(dt.UTC)


def _uuid_value(column: Column, node: Node) -> uuid.UUID:
    try:
        return uuid.UUID(node.text())
    except ValueError:
        node.refuse("Write a UUID.")


def _json_value(column: Column, node: Node) -> dict[str, Any]:
    if node.kind != "map":
        node.refuse("json holds an object.")
    if node.value and column.example is None and node.key.endswith(".default"):
        node.refuse("The default of json is {}; leave it out.")
    value: dict[str, Any] = node.plain()
    return value


def _list_value(column: Column, node: Node) -> list[str]:
    texts = [each.text() for each in node.items()]
    if len(texts) > column.max or any(not 1 <= len(text) <= column.each for text in texts):
        node.refuse(f"Write up to {column.max} texts of up to {column.each} characters.")
    if texts and node.key.endswith(".default"):
        node.refuse("The default of text[] is []; leave it out.")
    return texts


_VALUES: Mapping[str, Any] = {
    "text": _text_value,
    "int": lambda column, node: node.whole(),
    "decimal": lambda column, node: _number(node, column.digits, column.places),
    "bool": lambda column, node: node.flag(),
    "date": _date_value,
    "instant": _instant_value,
    "enum": _enum_value,
    "uuid": _uuid_value,
    "json": _json_value,
    "text[]": _list_value,
}
