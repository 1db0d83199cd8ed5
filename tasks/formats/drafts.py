"""What the formats read and write: projects and tasks as plain data, and notes of what does not fit."""

import datetime as dt
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol
from zoneinfo import ZoneInfo

# Our namespace (RFC 9562, section 6.6), so that the uids of an import are the same in every Tickbase.
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "tickbase")
MAX_UID = 255  # characters that a uid can have
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def uid_of(source: str, key: str) -> str:
    """The uid of what a source knows by `key`: the key itself if that is a UUID, else a UUIDv5 of both."""
    try:
        return str(uuid.UUID(key))
    except ValueError:
        return str(uuid.uuid5(NAMESPACE, f"{source}\x1f{key}"))


class UnreadableFile(Exception):
    """The file is no such file: truncated, damaged, hostile, or of another format.

    `place` names the line, the entry or the member of an archive, for people: `line 7`, `data.json`.
    """

    def __init__(self, message: str, place: str | None = None) -> None:
        super().__init__(message)
        self.message, self.place = message, place


@dataclass(slots=True)
class Completed:
    """One occurrence of a series that was completed, or skipped."""

    at: dt.datetime
    due_date: dt.date | None = None
    due_at: dt.datetime | None = None
    skipped: bool = False
    missed: int = 0  # occurrences that passed before the next one


@dataclass(slots=True)
class Comment:
    """A remark on a task."""

    uid: str
    text: str
    created_at: dt.datetime | None = None
    modified_at: dt.datetime | None = None


@dataclass(slots=True)
class Reminding:
    """A reminder, at a moment or before the due."""

    uid: str | None = None
    at: dt.datetime | None = None
    minutes_before: int | None = None


@dataclass(slots=True)
class Draft:
    """What projects and tasks have in common. `row` is where it stands in the file: a line, or an entry, from 1."""

    row: int
    uid: str
    description: str = ""
    parent: str | None = None  # its uid
    position: str | None = None  # a fractional index of ours; without one, the order of the file counts
    created_at: dt.datetime | None = None
    modified_at: dt.datetime | None = None  # newer than the row of this uid: the import changes that one
    extra: dict[str, Any] = field(default_factory=dict)  # what the model has no member for; goes to `extra.<format>`

    @property
    def stamp(self) -> dt.datetime:
        """For formats that need a time even if it has none."""
        return self.modified_at or self.created_at or EPOCH


@dataclass(slots=True)
class ProjectDraft(Draft):
    name: str = ""
    color: str | None = None  # "#rrggbb"
    archived: bool = False
    archived_at: dt.datetime | None = None


@dataclass(slots=True)
class TaskDraft(Draft):
    title: str = ""
    status: str = "pending"  # as `tasks.choices.Status`
    priority: str = "medium"
    tags: list[str] = field(default_factory=list)
    due_date: dt.date | None = None  # a whole day; None where there is a `due_at`
    due_at: dt.datetime | None = None  # aware
    completed_at: dt.datetime | None = None
    project: str | None = None  # its uid; None is the inbox
    # `rule` as RFC 5545 writes it, perhaps `zone` and `from`. Without a due (some sources tell none, formats have no
    # clock) the import takes the rule's first occurrence from today on.
    # From us it has `anchor`, and `left` of COUNT, too.
    recurrence: dict[str, str] | None = None
    completions: list[Completed] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    reminders: list[Reminding] | None = None  # None: the file says nothing of them


class Skipped(NamedTuple):
    """A row that is not imported."""

    row: int
    reason: str


class Degraded(NamedTuple):
    """A field that lands as less, or as something else, than the file says; `to` is None if it is left out."""

    row: int
    field: str
    value: Any
    to: Any


@dataclass(slots=True)
class Document:
    """All of a file. Parents and projects may come in any order; a uid occurs once."""

    projects: list[ProjectDraft] = field(default_factory=list)
    tasks: list[TaskDraft] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    degraded: list[Degraded] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)  # about the file as a whole


class Format(Protocol):
    """A module of this package; those that Tickbase writes are `WritableFormat`s."""

    NAME: str
    LABEL: str  # for people: "Todoist (CSV)"

    def matches(self, start: bytes, name: str) -> bool:
        """Whether a file is of this format, by its first 64 KiB and its name, which may be empty."""

    def read(self, data: bytes, zone: ZoneInfo) -> Document:
        """Dates and times without a zone are of `zone`. Raises UnreadableFile."""


class WritableFormat(Format, Protocol):
    MEDIA_TYPE: str
    EXTENSION: str

    def write(self, projects: Iterable[ProjectDraft], tasks: Iterable[TaskDraft], zone: ZoneInfo) -> Iterator[bytes]:
        """The file in pieces, in constant memory but for the projects.

        Tasks come project by project, the inbox first, and depth first: each parent right before its descendants.
        """
