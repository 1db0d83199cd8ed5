"""Our own format: JSON with everything. docs/tickbase.schema.json is its schema; what that refuses, `read` refuses."""

import datetime as dt
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, NoReturn, TypeVar
from zoneinfo import ZoneInfo

import orjson

from tasks.formats import dates, files
from tasks.formats.drafts import (
    Comment,
    Completed,
    Document,
    Draft,
    ProjectDraft,
    Reminding,
    TaskDraft,
    UnreadableFile,
)  # fmt: skip
from tasks.formats.entries import settled

NAME, LABEL = "tickbase", "Tickbase (JSON)"
MEDIA_TYPE, EXTENSION = "application/json", "json"
VERSION = 1

D = TypeVar("D", bound=Draft)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.A)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.A)
_COLOR = re.compile(r"#[0-9a-f]{6}", re.A)


class Kind(NamedTuple):
    """Of values: their schema, how they are read (ValueError for what they are not), and how they are written."""

    schema: dict[str, Any]
    read: Callable[[Any], Any]
    write: Callable[[Any], Any] = lambda value: value


class Member(NamedTuple):
    name: str
    attribute: str  # of the draft
    kind: Kind
    required: bool = False


# --- Kinds ------------------------------------------------------------------------------------------


def _of_type(kind: type, *, but: type | None = None) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if not isinstance(value, kind) or (but and isinstance(value, but)):
            raise ValueError(f"is no {kind.__name__}")
        return value

    return read


def _refuse(reason: str) -> NoReturn:
    raise ValueError(reason)


def _pattern(pattern: re.Pattern[str], read: Callable[[str], Any], **schema: Any) -> Kind:
    def checked(value: Any) -> Any:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise ValueError(f"does not match {pattern.pattern}")
        try:
            return read(value)
        except ValueError:
            raise ValueError("is no day of the calendar") from None

    return Kind({"type": "string", "pattern": f"^{pattern.pattern}$", **schema}, checked)


def _one_of(*choices: str) -> Kind:
    def read(value: Any) -> Any:
        if value not in choices:
            raise ValueError(f"is none of {', '.join(choices)}")
        return value

    return Kind({"enum": list(choices)}, read)


def _or_null(kind: Kind) -> Kind:
    return Kind(
        {"anyOf": [kind.schema, {"type": "null"}]},
        lambda value: None if value is None else kind.read(value),
        lambda value: None if value is None else kind.write(value),
    )


def _list_of(kind: Kind) -> Kind:
    def read(value: Any) -> Any:
        return [kind.read(each) for each in _of_type(list)(value)]

    return Kind({"type": "array", "items": kind.schema}, read, lambda value: [kind.write(each) for each in value])


def _schema_of(members: tuple[Member, ...]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {member.name: member.kind.schema for member in members},
        "required": [member.name for member in members if member.required],
        "additionalProperties": False,
    }


TEXT = Kind({"type": "string"}, _of_type(str))
NAMED = Kind({"type": "string", "minLength": 1}, lambda value: TEXT.read(value) or _refuse("is empty"))
FLAG = Kind({"type": "boolean"}, _of_type(bool))
COUNT = Kind(
    {"type": "integer", "minimum": 0, "maximum": 1000},
    lambda value: value if _of_type(int, but=bool)(value) in range(1001) else _refuse("is no number up to 1,000"),
)
MINUTES = Kind(
    {"type": "integer", "minimum": 0, "maximum": 40_320},
    lambda value: value if _of_type(int, but=bool)(value) in range(40_321) else _refuse("is no number up to 40,320"),
)
OBJECT = Kind({"type": "object"}, _of_type(dict))
DATE = _pattern(_DATE, dt.date.fromisoformat, format="date")._replace(write=dt.date.isoformat)
MOMENT = _pattern(_MOMENT, dt.datetime.fromisoformat, format="date-time")._replace(write=dates.written)
RECURRENCE_MEMBERS = (
    Member("rule", "rule", TEXT, True), Member("zone", "zone", TEXT),
    Member("from", "from", _one_of("due", "completion")),
    Member("anchor", "anchor", TEXT), Member("left", "left", TEXT),  # of a series that has begun
)  # fmt: skip
COMPLETION_MEMBERS = (
    Member("at", "at", MOMENT, True), Member("due_date", "due_date", _or_null(DATE)),
    Member("due_at", "due_at", _or_null(MOMENT)), Member("skipped", "skipped", FLAG),
    Member("missed", "missed", COUNT),
)  # fmt: skip
COMMENT_MEMBERS = (
    Member("uid", "uid", NAMED, True), Member("text", "text", NAMED, True),
    Member("created_at", "created_at", _or_null(MOMENT)), Member("updated_at", "modified_at", _or_null(MOMENT)),
)  # fmt: skip

REMINDER_MEMBERS = (
    Member("uid", "uid", _or_null(NAMED)), Member("at", "at", _or_null(MOMENT)),
    Member("minutes_before", "minutes_before", _or_null(MINUTES)),
)  # fmt: skip


def _read_members(value: Any, members: dict[str, Member]) -> dict[str, Any]:
    """By attribute. Raises ValueError that names the member."""
    if not isinstance(value, dict):
        raise ValueError("is no object")
    found = {}
    for name, each in value.items():
        member = members.get(name)
        if member is None:
            raise ValueError(f"has no member {name[:60]!r}")
        try:
            found[member.attribute] = member.kind.read(each)
        except ValueError as error:
            raise ValueError(f"/{name}", *error.args) from None
    missing = next((each.name for each in members.values() if each.required and each.name not in value), None)
    if missing:
        raise ValueError(f"needs the member {missing!r}")
    return found


def _by_name(members: tuple[Member, ...]) -> dict[str, Member]:
    return {member.name: member for member in members}


def _parts(part: Callable[..., Any], members: tuple[Member, ...]) -> Kind:
    """A list of what a task has."""
    by_name = _by_name(members)
    return _list_of(
        Kind(
            _schema_of(members),
            lambda value: part(**_read_members(value, by_name)),
            lambda value: _written(value, members),
        )
    )


_RECURRENCE = _by_name(RECURRENCE_MEMBERS)
RECURRENCE = Kind(_schema_of(RECURRENCE_MEMBERS), lambda value: _read_members(value, _RECURRENCE))

# --- The format -------------------------------------------------------------------------------------

_COMMON = (
    Member("description", "description", TEXT), Member("parent_uid", "parent", _or_null(TEXT)),
    Member("position", "position", _or_null(TEXT)), Member("created_at", "created_at", _or_null(MOMENT)),
    Member("updated_at", "modified_at", _or_null(MOMENT)), Member("extra", "extra", OBJECT),
)  # fmt: skip
PROJECT_MEMBERS = (
    Member("uid", "uid", NAMED, True), Member("name", "name", NAMED, True), *_COMMON,
    Member("color", "color", _or_null(_pattern(_COLOR, str))), Member("archived", "archived", FLAG),
    Member("archived_at", "archived_at", _or_null(MOMENT)),
)  # fmt: skip
TASK_MEMBERS = (
    Member("uid", "uid", NAMED, True), Member("title", "title", NAMED, True), *_COMMON,
    Member("status", "status", _one_of("pending", "in_progress", "completed", "cancelled")),
    Member("priority", "priority", _one_of("low", "medium", "high")), Member("tags", "tags", _list_of(TEXT)),
    Member("due_date", "due_date", _or_null(DATE)), Member("due_at", "due_at", _or_null(MOMENT)),
    Member("completed_at", "completed_at", _or_null(MOMENT)), Member("project_uid", "project", _or_null(TEXT)),
    Member("recurrence", "recurrence", _or_null(RECURRENCE)),
    Member("completions", "completions", _parts(Completed, COMPLETION_MEMBERS)),
    Member("comments", "comments", _parts(Comment, COMMENT_MEMBERS)),
    Member("reminders", "reminders", _or_null(_parts(Reminding, REMINDER_MEMBERS))),
)  # fmt: skip


def schema() -> dict[str, Any]:
    """JSON Schema 2020-12."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Export of Tickbase",
        "description": "Projects and tasks of one account. Parents and projects may come in any order.",
        "type": "object",
        "properties": {
            "format": {"const": NAME},
            "version": {"const": VERSION},
            "projects": {"type": "array", "items": _schema_of(PROJECT_MEMBERS)},
            "tasks": {"type": "array", "items": _schema_of(TASK_MEMBERS)},
        },
        "required": ["format", "version", "projects", "tasks"],
        "additionalProperties": False,
    }


def matches(start: bytes, name: str) -> bool:
    return files.is_json(start) and re.search(rb'"format"\s*:\s*"tickbase"', start) is not None


def read(data: bytes, zone: ZoneInfo) -> Document:
    document = Document()
    value = files.read_json(data, document)
    if not isinstance(value, dict) or value.get("format") != NAME:
        raise UnreadableFile("It is no export of Tickbase.", "/format")
    if value.get("version") != VERSION or isinstance(value["version"], bool | float):
        raise UnreadableFile(f"It is of another version than {VERSION}.", "/version")
    if unknown := value.keys() - {"format", "version", "projects", "tasks"}:
        raise UnreadableFile("There is no such member.", f"/{min(unknown)[:60]}")
    document.projects = _drafts(value.get("projects"), "/projects", ProjectDraft, PROJECT_MEMBERS)
    document.tasks = _drafts(value.get("tasks"), "/tasks", TaskDraft, TASK_MEMBERS)
    return settled(document)


def _drafts(value: Any, place: str, draft: type[D], members: tuple[Member, ...]) -> list[D]:
    if not isinstance(value, list):
        raise UnreadableFile("It is no list.", place)
    by_name, found = _by_name(members), []
    for number, each in enumerate(value):
        value[number] = None  # what is read need not stay beside its draft
        try:
            found.append(draft(row=number + 1, **_read_members(each, by_name)))
        except ValueError as error:
            *path, reason = map(str, error.args)
            raise UnreadableFile(f"It {reason}.", f"{place}/{number}{''.join(path)}") from None
    return found


def _written(draft: Any, members: tuple[Member, ...]) -> dict[str, Any]:
    return {member.name: member.kind.write(getattr(draft, member.attribute)) for member in members}


def write(projects: Iterable[ProjectDraft], tasks: Iterable[TaskDraft], zone: ZoneInfo) -> Iterator[bytes]:
    """A line for each project and task, so that other programs can read them one by one."""
    yield b'{"format":"%s","version":%d,"projects":[' % (NAME.encode(), VERSION)
    yield from _lines(projects, PROJECT_MEMBERS)
    yield b'\n],"tasks":['
    yield from _lines(tasks, TASK_MEMBERS)
    yield b"\n]}\n"


def _lines(drafts: Iterable[Draft], members: tuple[Member, ...]) -> Iterator[bytes]:
    separator = b"\n"
    for draft in drafts:
        yield separator + orjson.dumps(_written(draft, members))
        separator = b",\n"
