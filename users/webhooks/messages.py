"""What an endpoint is still to be sent: entries of the log and events after its cursor, as messages."""

import datetime as dt
from collections.abc import Iterable, Mapping
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from config.database.queries import run
from config.http.json import to_json
from users.models import Change, User
from users.resources import feed
from users.resources.feed import Bounds
from users.resources.resource import Resource, registered
from users.webhooks import signing
from users.webhooks.models import ALL, Endpoint, Event

PAGE = 50  # entries, and events
TEST, GAP = "webhook.test", "webhook.gap"  # sent to every endpoint, whatever its `events` are
PROJECT = "project"  # the resource that `project_ids` are of

Place = Mapping[str, int]  # columns of the cursor


class Message(NamedTuple):
    name: str
    id: str
    at: dt.datetime
    data: Mapping[str, Any]
    place: Place  # where the cursor is once it was accepted

    @property
    def body(self) -> bytes:
        return to_json({"type": self.name, "timestamp": self.at, "data": self.data})


class Page(NamedTuple):
    messages: list[Message]
    place: Place  # after all of them, and after what was passed over
    more: bool  # whether there may be something after it


def read(endpoint: Endpoint, user: User) -> Page:
    """The next messages, in the order of time: each object as it is now, and nothing of one that was erased meanwhile.

    Each statement sees what is committed when it begins, so their order makes the page right: the change counter; the
    entries up to there, all of which are visible; their rows; and again the floor, below which entries or rows may have
    been removed while they were read.
    """
    bounds = _bounds(user)
    if bounds is None:  # the account was deleted
        return Page([], endpoint.place, more=False)
    if _has_gap(endpoint, bounds):
        return _gap(endpoint, bounds)
    after = Change.objects.for_user(user).filter(version__gt=endpoint.cursor_version, version__lte=bounds.head)
    entries, events = list(after.order_by("version")[:PAGE]), list(_events(endpoint, user))
    more = len(entries) == PAGE or len(events) == PAGE
    found = _in_order(entries, events)
    wanted = [each for each in found if isinstance(each, Change) and _wants(endpoint, _name(each))]
    rows = _rows(user, wanted)
    later = _bounds(user)
    if later is None or _has_gap(endpoint, later):
        return _gap(endpoint, later or bounds)
    messages, place = [], dict(endpoint.place)
    for each in found:
        if isinstance(each, Change):
            place["cursor_version"] = each.version
            message = _of_entry(endpoint, each, rows.get((each.type, each.object_id)), {**place})
        else:
            place["cursor_event"] = each.pk
            message = _of_event(endpoint, each, {**place})
        messages += [message] if message else []
    if not more:  # a lost attempt of a write takes a number, too: the counter may be ahead of the log
        place["cursor_version"] = bounds.head
    return Page(messages, place, more)


def _bounds(user: User) -> Bounds | None:
    found = run(feed.bounds(user))
    return Bounds(*found[0]) if found else None


def _has_gap(endpoint: Endpoint, bounds: Bounds) -> bool:
    """Whether entries after the cursor are gone: pruned, or of a history that a restore has replaced."""
    return endpoint.cursor_epoch != bounds.epoch or not bounds.floor <= endpoint.cursor_version <= bounds.head


def _gap(endpoint: Endpoint, bounds: Bounds) -> Page:
    """The one message that has to be accepted before what is left of the log."""
    version = min(max(endpoint.cursor_version, bounds.floor), bounds.head)
    place = {**endpoint.place, "cursor_epoch": bounds.epoch, "cursor_version": version}
    reason = "history_replaced" if endpoint.cursor_epoch != bounds.epoch else "history_pruned"
    at = dt.datetime.now(dt.UTC)
    made_of = (endpoint.cursor_epoch, endpoint.cursor_version, bounds.epoch)
    message = Message(GAP, _id(endpoint, GAP, *made_of), at, {"reason": reason}, place)
    return Page([message], place, more=True)


def _events(endpoint: Endpoint, user: User) -> Iterable[Event]:
    events = Event.objects.for_user(user).filter(pk__gt=endpoint.cursor_event)
    return events.order_by("pk")[:PAGE]


def _in_order(entries: list[Change], events: list[Event]) -> list[Change | Event]:
    """Merged by time. Of a list that is not at its end yet, nothing of the other one comes after it."""
    merged: list[Change | Event] = []
    left, right = iter(entries), iter(events)
    entry, event = next(left, None), next(right, None)
    while entry or event:
        if entry and (event is None or entry.at <= event.created_at):
            if event is None and len(events) == PAGE:
                break
            merged.append(entry)
            entry = next(left, None)
        elif event:
            if entry is None and len(entries) == PAGE:
                break
            merged.append(event)
            event = next(right, None)
    return merged


def _name(entry: Change) -> str:
    return f"{entry.type}.{entry.kind}"


def _wants(endpoint: Endpoint, name: str) -> bool:
    return endpoint.events == [ALL] or name in endpoint.events


def _id(endpoint: Endpoint, *parts: object) -> str:
    """With the times of both, as a restored database may give out a number again."""
    return signing.webhook_id(endpoint.pk, endpoint.created_at.isoformat(), *parts)


# --- Entries of the log -----------------------------------------------------------------------------


class Row(NamedTuple):
    """An object as it is now."""

    resource: Resource
    shown: Mapping[str, Any]
    is_deleted: bool
    is_erased: bool

    @property
    def object(self) -> Mapping[str, Any]:
        """As `changes` has it; of a deleted one, nothing but what it was."""
        if not self.is_deleted:
            return self.shown
        return {"id": self.shown["id"], "uid": self.shown["uid"], "deleted": True}

    def is_within(self, project_ids: list[int] | None, diff: Mapping[str, Any]) -> bool:
        """Whether it belongs to one of these projects, or did before this change. Nobody knows where an erased one
        was."""
        if project_ids is None or self.is_erased:
            return True
        current = self.shown["id"] if self.resource.name == PROJECT else self.shown.get("project_id")
        return not {current, *diff.get("project_id", ())}.isdisjoint(project_ids)


def _rows(user: User, entries: list[Change]) -> dict[tuple[str, int], Row]:
    by_name = {resource.name: resource for resource in registered()}
    found: dict[tuple[str, int], Row] = {}
    for name, own in groupby(sorted(entries, key=attrgetter("type")), attrgetter("type")):
        if (resource := by_name.get(name)) is None:  # of another version
            continue
        pks = {each.object_id for each in own}
        columns = ("deleted_at", "erased_at", *resource.serializer.columns())
        rows: list[Any] = list(resource.model.objects.for_user(user).filter(pk__in=pks).columns(columns))
        represented = resource.serializer.represent([row[2:] for row in rows], user.public_id)
        for (deleted_at, erased_at, *_), shown in zip(rows, represented, strict=True):
            found[name, shown["id"]] = Row(resource, shown, deleted_at is not None, erased_at is not None)
    return found


def _of_entry(endpoint: Endpoint, entry: Change, row: Row | None, place: Place) -> Message | None:
    is_wanted = _wants(endpoint, _name(entry))  # another entry of the same object may be
    if row is None or not is_wanted or not row.is_within(endpoint.project_ids, entry.diff):
        return None
    data = {
        "object": row.object,
        "version": entry.version,
        "operation": entry.operation,
        "actor": entry.actor,
        **({"diff": entry.diff} if entry.diff and not row.is_deleted else {}),
    }
    return Message(_name(entry), _id(endpoint, "log", entry.version, entry.at.isoformat()), entry.at, data, place)


# --- Events -----------------------------------------------------------------------------------------


def _of_event(endpoint: Endpoint, event: Event, place: Place) -> Message | None:
    is_for_it = event.endpoint_id == endpoint.pk if event.endpoint_id else _wants(endpoint, event.name)
    if not is_for_it:
        return None
    project_id = event.data.get("object", {}).get("project_id")
    if endpoint.project_ids is not None and "object" in event.data and project_id not in endpoint.project_ids:
        return None
    made_of = ("event", event.pk, event.created_at.isoformat())
    return Message(event.name, _id(endpoint, *made_of), event.created_at, event.data, place)
