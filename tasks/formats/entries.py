"""One object, or row, of a file, from which a draft takes its members; and what makes a document whole."""

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from tasks.formats import dates
from tasks.formats.drafts import Degraded, Document, Draft, Skipped, TaskDraft, uid_of

UNTITLED = "Untitled"

D = TypeVar("D", bound=Draft)


class Entry:
    """Members are taken out of it. What is left, or is no such value, goes to `extra`: so nothing is dropped."""

    def __init__(self, row: int, members: dict[str, Any], document: Document) -> None:
        self.row, self.members, self.document = row, dict(members), document

    def text(self, name: str) -> str:
        return self.members.pop(name) if isinstance(self.members.get(name), str) else ""

    def title(self, name: str) -> str:
        title = self.text(name)
        if not title.strip():
            self.degrade(name, title, UNTITLED)
            return UNTITLED
        return title

    def key(self, name: str) -> str | None:
        """An id, which may be a number."""
        value = self.members.get(name)
        if isinstance(value, bool) or not isinstance(value, str | int) or value in ("", 0):
            return None
        return str(self.members.pop(name))

    def flag(self, name: str) -> bool:
        """True and false, also as 1 and 0."""
        return bool(self.members.pop(name)) if self.members.get(name) in (True, False) else False

    def choice(self, name: str, choices: dict[Any, str], default: str) -> str:
        """One of our choices. What `choices` does not have is told, and kept."""
        value = self.members.get(name)
        if value is None or value == "":
            return default
        if isinstance(value, str | int | float) and value in choices:
            del self.members[name]
            return choices[value]
        self.degrade(name, value, default)
        return default

    def texts(self, name: str) -> list[str]:
        value = self.members.get(name)
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            return list(self.members.pop(name))
        return []

    def entry(self, name: str) -> "Entry | None":
        """An object within; what is left of it has to be put back."""
        value = self.members.get(name)
        return Entry(self.row, self.members.pop(name), self.document) if isinstance(value, dict) else None

    def entries(self, name: str) -> list[dict[str, Any]]:
        value = self.members.get(name)
        if isinstance(value, list) and all(isinstance(each, dict) for each in value):
            return list(self.members.pop(name))
        return []

    def instant(self, name: str, zone: ZoneInfo) -> dt.datetime | None:
        """A moment. What is none is told, and kept."""
        value = self.members.get(name)
        if value is None or value == "":
            return None
        moment = dates.instant(value, zone) if isinstance(value, str) else None
        if moment is None:
            self.degrade(name, value)
        else:
            del self.members[name]
        return moment

    def due(self, name: str, found: dt.date | None) -> dict[str, Any]:
        """`due_date` or `due_at` of what stands in this member; None is told, and kept."""
        if found is None:
            if self.members.get(name) not in (None, ""):
                self.degrade(name, self.members[name])
            return {}
        self.members.pop(name, None)
        return {"due_at": found} if isinstance(found, dt.datetime) else {"due_date": found}

    def degrade(self, name: str, value: Any, to: Any = None) -> None:
        self.document.degraded.append(Degraded(self.row, name, value, to))

    def keep(self, name: str, value: Any) -> None:
        """Put something back for `extra`, unless it is empty."""
        if value not in (None, "", [], {}):
            self.members[name] = value

    def rest(self) -> dict[str, Any]:
        """What is left. An empty value tells nothing."""
        return {name: value for name, value in self.members.items() if value not in (None, "", [], {})}


class Uids:
    """Uids of what has no id in its source: made of its content. Equal ones differ by their count."""

    def __init__(self, source: str) -> None:
        self.source, self.seen = source, Counter[str]()

    def of(self, *content: str) -> str:
        key = "\x1f".join(content)
        self.seen[key] += 1
        return uid_of(self.source, f"{key}\x1f{self.seen[key]}")


def step(task: TaskDraft, number: int, uid: str, title: str, done: bool) -> TaskDraft:
    """An entry of a task's checklist, as its subtask."""
    return TaskDraft(
        row=task.row,
        uid=uid,
        title=title.strip() or f"{UNTITLED} {number}",
        parent=task.uid,
        project=task.project,
        status="completed" if done else "pending",
    )


def settled(document: Document) -> Document:
    """The document with each uid once, and without circles of parents."""
    document.projects = _unique(document.projects, document)
    document.tasks = _unique(document.tasks, document)
    _break_circles(document.projects, document)
    _break_circles(document.tasks, document)
    return document


def _unique(drafts: list[D], document: Document) -> list[D]:
    first: dict[str, int] = {}
    kept = []
    for draft in drafts:
        if draft.uid in first:
            document.skipped.append(Skipped(draft.row, f"It has the id of row {first[draft.uid]}."))
        else:
            first[draft.uid] = draft.row
            kept.append(draft)
    return kept


def _break_circles(drafts: Sequence[Draft], document: Document) -> None:
    """Makes a root of the first draft of each."""
    by_uid = {draft.uid: draft for draft in drafts}
    done: set[str] = set()
    for draft in drafts:
        path: set[str] = set()
        at: Draft | None = draft
        while at is not None and at.uid not in done:
            if at.uid in path:
                document.degraded.append(Degraded(at.row, "parent", at.parent, None))
                at.parent = None
                break
            path.add(at.uid)
            at = by_uid.get(at.parent) if at.parent else None
        done |= path
