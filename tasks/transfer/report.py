"""The report of an import: what became of the file's rows."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from config.http.json import to_json
from config.values import storable
from tasks.formats.drafts import Completed, Degraded, Document, Draft, Skipped

MAX_LISTED = 300  # of each list; `counts` has the totals
MAX_VALUE = 200  # characters of a value


@dataclass
class Report:
    format: str
    projects: int = 0  # in the file
    tasks: int = 0
    completions: int = 0
    comments: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    degraded: list[Degraded] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, document: Document, source: str) -> Self:
        """Before any row of it is stored."""
        return cls(
            source,
            len(document.projects),
            len(document.tasks),
            sum(len(task.completions) for task in document.tasks),
            sum(len(task.comments) for task in document.tasks),
            skipped=[*document.skipped],
            degraded=[*document.degraded],
            warnings=[*document.warnings],
        )

    def tell(self, draft: Draft, name: str, value: Any, to: Any) -> None:
        self.degraded.append(Degraded(draft.row, name, value, to))

    def skip(self, draft: Draft, reason: str) -> None:
        self.skipped.append(Skipped(draft.row, reason))

    def with_part(self, part: Self) -> Self:
        """With that of the next part of the same file."""
        return replace(
            self,
            created=self.created + part.created,
            updated=self.updated + part.updated,
            unchanged=self.unchanged + part.unchanged,
            skipped=[*self.skipped, *part.skipped],
            degraded=[*self.degraded, *part.degraded],
        )

    @property
    def counts(self) -> dict[str, int]:
        return {
            "projects": self.projects,
            "tasks": self.tasks,
            "completions": self.completions,
            "comments": self.comments,
            "skipped": len(self.skipped),
            "degraded": len(self.degraded),
            "warnings": len(self.warnings),
        }

    def as_json(self) -> dict[str, Any]:
        return {
            **self.without_text(),
            "degraded": [
                {"row": row, "field": name, "from": _shown(value), "to": _shown(to)}
                for row, name, value, to in _first(self.degraded)
            ],
        }

    def without_text(self) -> dict[str, Any]:
        """As it is kept: the values would outlive the tasks that they are of."""
        return {
            "format": self.format,
            "counts": self.counts,
            "created": self.created,
            "updated": self.updated,
            "unchanged": self.unchanged,
            "skipped": [{"row": row, "reason": _text(reason)} for row, reason in _first(self.skipped)],
            "degraded": [{"row": row, "field": _text(name)} for row, name, *_ in _first(self.degraded)],
            "warnings": [_text(each) for each in self.warnings[:MAX_LISTED]],
        }


def _first(notes: Sequence[Any]) -> Sequence[Any]:
    """In the order of the file."""
    return sorted(notes, key=lambda note: note.row)[:MAX_LISTED]


def _text(text: str) -> str:
    text = storable(text)
    return text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}…"


def _shown(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | dt.date):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Completed):
        return value.at
    try:
        return _text(to_json(value).decode())
    except TypeError:
        return _text(str(value))
