"""Drafts within the limits of the model: what does not fit is shortened, kept in `extra` or left out, and told."""

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from config.errors import Invalid
from config.http.json import to_json
from config.values import FIRST_DATE, FIRST_INSTANT, LAST_DATE, LAST_INSTANT, nfc, storable
from tasks import positions, recurring, reminding
from tasks.choices import Priority, Status
from tasks.comments.models import MAX_TEXT
from tasks.formats.drafts import (
    NAMESPACE,
    Comment,
    Completed,
    Degraded,
    Document,
    Draft,
    ProjectDraft,
    Reminding,
    Skipped,
    TaskDraft,
)
from tasks.formats.entries import UNTITLED
from tasks.models import MAX_DESCRIPTION, MAX_TAG, MAX_TAGS, MAX_TITLE
from tasks.placed import is_extra
from tasks.projects import models as projects
from tasks.recurrence import rules, series
from tasks.text import tag_key
from users.resources.models import MAX_UID
from users.text import known_timezones

MAX_MOVED = dt.timedelta(days=400)  # of a due, from where its rule has put it
TICKBASE = "tickbase"  # the format whose `extra` is the row's own
MAX_TRIED = 1_000  # tags, or members of `extra`, of a draft; the others are left out, and told in one note
Tell = Callable[[Draft, str, Any, Any], None]
T = TypeVar("T")


def fit(
    document: Document,
    source: str,
    zone: ZoneInfo,
    now: dt.datetime,
    advance: Callable[[int], None] = lambda more: None,
) -> None:
    """Change drafts so that rows can be made of them; what they refer to is looked at when they are `Planted`.

    `advance` is told of each draft, and may raise: a rule may take milliseconds.
    """
    fitting = _Fitting(document.degraded, source, zone, now)
    document.projects = _unique(document.projects, document.skipped)
    document.tasks = _unique(document.tasks, document.skipped)
    for project in document.projects:
        fitting.project(project)
        advance(1)
    for task in document.tasks:
        fitting.task(task)
        advance(1)


def _unique(drafts: Iterable[Any], skipped: list[Skipped]) -> list[Any]:
    found: dict[str, Any] = {}
    for draft in drafts:
        draft.uid = _uid(draft.uid)
        if found.setdefault(draft.uid, draft) is not draft:
            skipped.append(Skipped(draft.row, f"row {found[draft.uid].row} has the same uid"))
    return [*found.values()]


def _uid(uid: str) -> str:
    """As it is stored; what cannot be is replaced by one that is the same each time."""
    uid = nfc(storable(uid))
    return uid if 1 <= len(uid) <= MAX_UID else str(uuid.uuid5(NAMESPACE, uid))


class _Fitting:
    def __init__(self, degraded: list[Degraded], source: str, zone: ZoneInfo, now: dt.datetime) -> None:
        self._degraded, self._source, self._zone, self._now = degraded, source, zone, now
        self._comments: set[str] = set()  # uids

    def _tell(self, draft: Draft, name: str, value: Any, to: Any) -> None:
        self._degraded.append(Degraded(draft.row, name, value, to))

    def _tried(self, draft: Draft, name: str, found: Collection[T]) -> Iterable[T]:
        if len(found) > MAX_TRIED:
            self._tell(draft, name, f"{len(found) - MAX_TRIED:,} more", None)
        return islice(found, MAX_TRIED)

    def project(self, draft: ProjectDraft) -> None:
        self._title(draft, "name", projects.MAX_NAME)
        self._common(draft, projects.MAX_DESCRIPTION)
        if draft.color is not None and not projects.COLOR.match(draft.color):
            color = draft.color.lower()
            to = color if projects.COLOR.match(color) else None
            self._tell(draft, "color", draft.color, to)
            draft.color = to
        draft.archived_at = self._instant(draft, "archived_at", draft.archived_at)

    def task(self, draft: TaskDraft) -> None:
        self._title(draft, "title", MAX_TITLE)
        for name, choices, default in (("status", Status, Status.PENDING), ("priority", Priority, Priority.MEDIUM)):
            if getattr(draft, name) not in choices:
                self._tell(draft, name, getattr(draft, name), default.value)
                setattr(draft, name, default.value)
        self._tags(draft)
        self._due(draft)
        self._recurrence(draft)
        draft.project = draft.project and _uid(draft.project)
        draft.completed_at = self._instant(draft, "completed_at", draft.completed_at)
        draft.completions = [each for each in draft.completions if self._completed(draft, each)]
        self._reminders(draft)
        draft.comments = [each for each in draft.comments if self._comment(draft, each)]
        self._common(draft, MAX_DESCRIPTION)

    def _comment(self, draft: TaskDraft, each: Comment) -> bool:
        uid, text = _uid(each.uid), storable(each.text).strip()[:MAX_TEXT].strip()
        is_kept = bool(text) and uid not in self._comments
        if text != each.text.strip() or not is_kept:
            self._tell(draft, "comments", each.text, text if is_kept else None)
        self._comments.add(uid)
        each.uid, each.text = uid, text
        each.created_at = self._instant(draft, "comments", each.created_at)
        each.modified_at = self._instant(draft, "comments", each.modified_at)
        return is_kept

    def _reminders(self, draft: TaskDraft) -> None:
        """Those that a task may have; a uid that is another's is made anew."""
        if draft.reminders is None:
            return
        kept: list[Reminding] = []
        for each in draft.reminders:
            each.uid = _uid(each.uid) if each.uid else None
            is_one = (each.at is None) != (each.minutes_before is None)
            if each.at is not None and self._instant(draft, "reminders", each.at) is None:
                continue
            if not is_one or len(kept) == reminding.MAX_REMINDERS:
                self._tell(draft, "reminders", each.at or each.minutes_before, None)
                continue
            if each.uid in {other.uid for other in kept}:
                each.uid = None
            kept.append(each)
        draft.reminders = kept

    def _common(self, draft: Draft, most: int) -> None:
        draft.parent = draft.parent and _uid(draft.parent)
        draft.created_at = self._instant(draft, "created_at", draft.created_at)
        draft.modified_at = self._instant(draft, "modified_at", draft.modified_at)
        if draft.position is not None and not positions.is_valid(draft.position):
            self._tell(draft, "position", draft.position, None)
            draft.position = None
        description = storable(draft.description)[:most]
        if description != draft.description:
            self._tell(draft, "description", draft.description, description)
            draft.description = description
        draft.extra = self._extra(draft)

    def _title(self, draft: Any, name: str, most: int) -> None:
        """The rest of a long one goes in front of the description."""
        text: str = getattr(draft, name)
        title = storable(text).strip()
        if len(title) > most:
            title, rest = title[:most].rstrip(), title[most:].lstrip()
            draft.description = "\n\n".join(filter(None, (rest, draft.description)))
        title = title or UNTITLED
        if title != text.strip():
            self._tell(draft, name, text, title)
        setattr(draft, name, title)

    def _tags(self, draft: TaskDraft) -> None:
        tags: dict[str, str] = {}
        for each in self._tried(draft, "tags", draft.tags):
            tag = storable(each).strip()[:MAX_TAG].strip()
            kept = bool(tag) and (tag_key(tag) in tags or len(tags) < MAX_TAGS)
            if tag != each.strip() or not kept:
                self._tell(draft, "tags", each, tag if kept else None)
            if kept:
                tags.setdefault(tag_key(tag), tag)
        draft.tags = [*tags.values()]

    def _instant(self, draft: Draft, name: str, value: dt.datetime | None) -> dt.datetime | None:
        if value is None or (value.tzinfo is not None and FIRST_INSTANT <= value <= LAST_INSTANT):
            return value
        self._tell(draft, name, value, None)
        return None

    def _due(self, draft: TaskDraft) -> None:
        draft.due_at = self._instant(draft, "due_at", draft.due_at)
        if draft.due_at is not None:
            draft.due_date = None  # it follows from the instant
        elif draft.due_date is not None and not FIRST_DATE <= draft.due_date <= LAST_DATE:
            self._tell(draft, "due_date", draft.due_date, None)
            draft.due_date = None

    def _completed(self, draft: TaskDraft, each: Completed) -> bool:
        return all(
            value is None or self._instant(draft, "completions", value) is not None for value in (each.at, each.due_at)
        ) and (each.due_date is None or FIRST_DATE <= each.due_date <= LAST_DATE)

    def _recurrence(self, draft: TaskDraft) -> None:
        """One that is refused is kept in `extra`. Without a due, its next occurrence is it, also today's."""
        sent = draft.recurrence
        if sent is None:
            return
        zone = sent.get("zone") or self._zone.key
        try:
            if zone not in known_timezones():
                raise Invalid("This is no time zone.")
            due = draft.due_at or draft.due_date or self._first_due(sent["rule"], ZoneInfo(zone))
            from_completion = sent.get("from") == recurring.FROM_COMPLETION
            series.start(sent["rule"], ZoneInfo(zone), due, from_completion=from_completion)
        except (Invalid, KeyError):
            self._tell(draft, "recurrence", sent.get("rule"), None)
            draft.extra = {**draft.extra, "recurrence": dict(sent)}
            draft.recurrence = None
            return
        draft.recurrence = {**sent, "zone": zone}
        if draft.due_at is None and draft.due_date is None:
            name = "due_at" if isinstance(due, dt.datetime) else "due_date"
            self._tell(draft, name, None, due)
            setattr(draft, name, due)

    def _first_due(self, rule: str, zone: ZoneInfo) -> dt.date:
        """A moment, if the rule names times of day. Raises Invalid."""
        before = self._now.astimezone(zone).date() - dt.timedelta(days=1)
        if rules.parse(rule, zone).time_part:
            before = self._now.replace(second=0, microsecond=0)
        _, *following = series.preview(series.start(rule, zone, before), before, 2).occurrences
        if not following:
            raise Invalid("It has ended.")
        return following[0]

    def _extra(self, draft: Draft) -> dict[str, Any]:
        """As the row gets it: within the bounds, member by member."""
        kept: dict[str, Any] = {}
        wrap = (lambda value: value) if self._source == TICKBASE else (lambda value: {self._source: value})
        if is_extra(wrap(draft.extra)):
            return wrap(draft.extra) if draft.extra else {}
        for name, value in self._tried(draft, "extra", draft.extra.items()):
            for each in (value, _as_text(value)):
                if is_extra(wrap({**kept, name: each})):
                    kept[name] = each
                    break
            if name not in kept or kept[name] is not value:
                self._tell(draft, f"extra.{name}", _as_text(value), kept.get(name))
        return wrap(kept) if kept else {}


def _as_text(value: Any) -> str:
    """What JSON of ours has no place for, as it was."""
    if isinstance(value, str):
        return storable(value)
    try:
        return to_json(value).decode()
    except TypeError:  # an integer beyond 64 bits, a lone surrogate
        return storable(repr(value))


# --- Trees ------------------------------------------------------------------------------------------


class Outside(NamedTuple):
    """A row of the account that is not placed by the file, but may be the parent of one that is."""

    level: int
    children: int


class Planted:
    """A place in the tree for each draft: what is too deep, in a cycle or without a parent is moved up, and told.

    `parents` are by uid; `levels` have the drafts by depth, the roots first.
    """

    def __init__(
        self, drafts: Sequence[Draft], outside: Mapping[str, Outside], max_depth: int, max_children: int, tell: Tell
    ) -> None:
        self.parents: dict[str, str | None] = {draft.uid: draft.parent for draft in drafts}
        self.levels: list[list[Any]] = [[] for _ in range(max_depth)]
        self._by_uid = {draft.uid: draft for draft in drafts}
        self._depths = {uid: each.level for uid, each in outside.items()}
        self._children = Counter({uid: each.children for uid, each in outside.items()})
        self._max_children, self._tell = max_children, tell
        for draft in drafts:
            for each in self._unplaced_above(draft):
                self._place(each)

    def _unplaced_above(self, draft: Draft) -> list[Draft]:
        """The draft and what is above it, as far as it has no place yet; the topmost first."""
        line: dict[str, Draft] = {}
        each: Draft | None = draft
        while each is not None and each.uid not in self._depths:
            line[each.uid] = each
            above = self.parents[each.uid]
            if above is not None and (above in line or not (above in self._by_uid or above in self._depths)):
                self._move(each, None)
            each = self._by_uid.get(self.parents[each.uid] or "")
        return [*reversed(line.values())]

    def _place(self, draft: Draft) -> None:
        above = self.parents[draft.uid]
        if above is not None and self._depths[above] >= len(self.levels):
            above = self._move(draft, self.parents.get(above))
        if above is not None and self._children[above] >= self._max_children:
            above = self._move(draft, None)
        depth = 1
        if above is not None:
            self._children[above] += 1
            depth += self._depths[above]
        self._depths[draft.uid] = depth
        self.levels[depth - 1].append(draft)

    def _move(self, draft: Draft, to: str | None) -> str | None:
        self._tell(draft, "parent", draft.parent, to)
        self.parents[draft.uid] = to
        return to


def anchored(recurrence: Mapping[str, str], stored: dict[str, Any]) -> dict[str, Any]:
    """The stored series with the anchor and what is left of COUNT, where the file has them, as ours does.

    Not with an anchor far from the due, from which a search would take long.
    """
    anchor, left = recurrence.get("anchor", ""), recurrence.get("left", "")
    try:
        moved = dt.datetime.fromisoformat(anchor) - dt.datetime.fromisoformat(stored["anchor"])
    except (ValueError, TypeError):
        pass
    else:
        if ("T" in anchor) == ("T" in stored["anchor"]) and abs(moved) <= MAX_MOVED:
            stored = {**stored, "anchor": anchor}
    if left.isascii() and left.isdecimal() and len(left) < 5 and 1 <= int(left) <= (stored["left"] or 0):
        stored = {**stored, "left": int(left)}
    return stored
