"""Services of webhooks: those of owners and of staff, and `notify`, with which other apps tell of an event."""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from operator import attrgetter
from typing import Any

from django.db import connection
from django.db.models import Max
from django.utils import timezone

from config.database.queries import run
from config.database.transactions import retried_transaction
from config.errors import Conflict, Gone, Invalid, LimitReached, NotFound, PreconditionFailed
from users import audit
from users.audit import Action
from users.models import Change, Kind, User
from users.resources import feed
from users.resources.feed import Bounds
from users.resources.resource import registered
from users.services.accounts import AccountGone, locked
from users.webhooks import signing
from users.webhooks.addresses import check, parse
from users.webhooks.messages import PROJECT, TEST
from users.webhooks.models import ALL, Endpoint, Event

MAX_ENDPOINTS = 10  # of an account
MAX_PROJECTS = 100  # in `project_ids`
ROTATION = dt.timedelta(hours=24)  # in which the former secret signs along
OTHER_EVENTS = ("reminder.due", "import.done")  # those that `notify` is called with
ABOUT = {"reminder.due": "task"}  # the resource that such an event is about


class WebhookNotFound(NotFound):
    code = "webhook_not_found"
    title = "No such webhook"


class WebhookInactive(Conflict):
    code = "webhook_inactive"
    title = "The webhook is not active"


class WebhookChanged(PreconditionFailed):
    """A failed If-Match; carries the current one."""


class ReplayExpired(Gone):
    code = "cursor_expired"
    title = "The cursor is too old"


class UnknownProject(Invalid):
    code = "unknown_project"


def event_names() -> list[str]:
    """All that `events` may name."""
    return [*(f"{resource.name}.{kind}" for resource in registered() for kind in Kind.values), *OTHER_EVENTS]


def notify(user: User, name: str, data: dict[str, Any]) -> bool:
    """Tell the user's webhooks of something that is no change of a row, in the caller's transaction. If none wants it,
    nothing is stored: False. Members of `data` are sent as they are; of an `object`, its `project_id` is looked at.
    """
    return bool(notify_each(name, {user: [data]}))


def notify_each(name: str, told: Mapping[User, Iterable[dict[str, Any]]]) -> set[User]:
    """`notify` of several at once, by user; returns those whose webhooks want it."""
    wanting = {*Endpoint.objects.filter(user__in=told).wanting(name).values_list("user", flat=True)}
    users = {user for user in told if user.pk in wanting}
    for user in sorted(users, key=attrgetter("pk")):  # of whose locks no two wait for each other
        _add_events(user, name, told[user])
    return users


@retried_transaction
def _add_events(user: User, name: str, each: Iterable[dict[str, Any]], endpoint: Endpoint | None = None) -> None:
    """Under a lock of the user's events, so that ids are in commit order: a cursor passes over none."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"webhooks_event {user.pk}"])
    Event.objects.bulk_create([Event(user=user, endpoint=endpoint, name=name, data=data) for data in each])


# --- Services of owners -----------------------------------------------------------------------------


def create_webhook(user: User, *, url: str, **fields: Any) -> Endpoint:
    """It is sent what happens from now on. Raises UrlRefused, UnknownProject and LimitReached."""
    return _create(user, check(url), fields)  # the name is looked up outside of a transaction


@retried_transaction
def _create(user: User, url: str, fields: dict[str, Any]) -> Endpoint:
    account = locked(user)
    if Endpoint.objects.for_user(account).count() >= MAX_ENDPOINTS:
        raise LimitReached(f"You have {MAX_ENDPOINTS} webhooks; delete one first.", limit=MAX_ENDPOINTS)
    _require_projects(account, fields.get("project_ids") or ())
    bounds, now = _bounds(account), timezone.now()
    row = Endpoint.objects.create(
        user=account,
        url=url,
        secret=signing.new_secret(),
        created_at=now,
        updated_at=now,
        due_at=now,
        cursor_epoch=bounds.epoch,
        cursor_version=bounds.head,
        cursor_event=_last_event(account),
        **{"events": [ALL], "project_ids": None, **fields},
    )
    _note(Action.WEBHOOK_CREATED, row)
    return row


def update_webhook(user: User, pk: int, changes: dict[str, Any], *, expected: Collection[int] | None) -> Endpoint:
    """Change `url`, `events`, `project_ids` or `is_active`; what is active again is tried at once, from its cursor on.

    Raises WebhookNotFound, WebhookChanged, UrlRefused and UnknownProject.
    """
    if "url" in changes:
        stored, url = find(user, pk).url, str(parse(changes["url"]))
        changes = {**changes, "url": stored if url == stored else check(url)}
    return _update(user, pk, changes, expected)


@retried_transaction
def _update(user: User, pk: int, changes: dict[str, Any], expected: Collection[int] | None) -> Endpoint:
    row = _locked(user, pk, expected)
    changes = {name: value for name, value in changes.items() if getattr(row, name) != value}
    _require_projects(user, {*(changes.get("project_ids") or ())} - {*(row.project_ids or ())})
    if changes:
        if changes.get("is_active"):
            changes |= _revived()
        elif "url" in changes:
            changes |= {"due_at": timezone.now(), "failures": 0, "last_error": "", "is_slow": True}
        _store(row, changes)
        _note(Action.WEBHOOK_CHANGED, row, changed=sorted(changes))
    return row


def _revived() -> dict[str, Any]:
    return {"is_active": True, "disabled_at": None, "failures": 0, "last_error": "", "due_at": timezone.now()}


@retried_transaction
def delete_webhook(user: User, pk: int, *, expected: Collection[int] | None) -> None:
    """Raises WebhookNotFound and WebhookChanged."""
    row = _locked(user, pk, expected)
    _note(Action.WEBHOOK_DELETED, row)
    row.delete()


@retried_transaction
def rotate_secret(user: User, pk: int) -> Endpoint:
    """A new secret; the former one signs along for a day. Raises WebhookNotFound."""
    row, now = _locked(user, pk, None), timezone.now()
    old = {"old_secret": row.secret, "old_secret_until": now + ROTATION}
    _store(row, {"secret": signing.new_secret(), **old})
    _note(Action.WEBHOOK_ROTATED, row)
    return row


@retried_transaction
def send_test(user: User, pk: int) -> Endpoint:
    """Send an event of the name TEST, after what is waiting, which is tried at once. Of two that wait, one is enough.

    Raises WebhookNotFound and WebhookInactive.
    """
    row = _locked(user, pk, None)
    if not row.is_active:
        raise WebhookInactive("It is not active; change `active` to true first.")
    if not Event.objects.for_user(user).filter(endpoint=row, name=TEST, pk__gt=row.cursor_event).exists():
        _add_events(user, TEST, [{}], row)
    _hasten(row)
    return row


@retried_transaction
def replay(user: User, pk: int, *, version: int | None = None, since: dt.datetime | None = None) -> Endpoint:
    """Send again what is after this version of the log, or what has happened since. Raises WebhookNotFound, and
    ReplayExpired where that is not kept any more."""
    row, bounds = _locked(user, pk, None), _bounds(user)
    entries = Change.objects.for_user(user)
    if version is None:
        before = entries.filter(at__lt=since).order_by("-version").values_list("version", flat=True).first()
        version = bounds.floor if before is None else max(before, bounds.floor)
    elif version < bounds.floor:
        raise ReplayExpired("What came after it is no longer kept; fetch everything anew.")
    else:
        since = entries.filter(version__gt=version).order_by("version").values_list("at", flat=True).first()
    event = _last_event(user) if since is None else _last_event(user, since)
    place = {"cursor_epoch": bounds.epoch, "cursor_version": min(version, bounds.head), "cursor_event": event}
    _store(row, place)
    return row


def _store(row: Endpoint, changes: dict[str, Any]) -> None:
    """Also for a worker that is delivering to it: it looks at the version after each delivery."""
    changes |= {"version": row.version + 1, "updated_at": timezone.now()}
    for name, value in changes.items():
        setattr(row, name, value)
    row.save(update_fields=list(changes))


def _hasten(row: Endpoint) -> None:
    """Try it at once. Whoever is trying it now has it leased, and decides about the next time."""
    Endpoint.objects.filter(pk=row.pk).update(due_at=timezone.now())


def _bounds(user: User) -> Bounds:
    if not (found := run(feed.bounds(user))):
        raise AccountGone("The account was deleted.")
    return Bounds(*found[0])


def _last_event(user: User, before: dt.datetime | None = None) -> int:
    """The newest id, or the newest from before; 0 without one."""
    events = Event.objects.for_user(user)
    found = (events if before is None else events.made_before(before)).aggregate(last=Max("pk"))["last"]
    return int(found or 0)


def _require_projects(user: User, pks: Collection[int]) -> None:
    """Raises UnknownProject for what is not a live project of the user's."""
    model = next((each.model for each in registered() if each.name == PROJECT), None)
    known = model.objects.for_user(user).visible().filter(pk__in=pks).values_list("pk", flat=True) if model else ()
    if unknown := sorted({*pks} - {*known}):
        raise UnknownProject(f"You have no project {unknown[0]}.", pointer="/project_ids")


def _locked(user: User, pk: int, expected: Collection[int] | None) -> Endpoint:
    row = _found(Endpoint.objects.for_user(user).filter(pk=pk).select_for_update().first())
    if expected is not None and row.version not in expected:
        raise WebhookChanged("The webhook has changed since; look at it anew.", current=row)
    row.user = user
    return row


def _found(row: Endpoint | None) -> Endpoint:
    if row is None:
        raise WebhookNotFound("You have no webhook with this id.")
    return row


def find(user: User, pk: int) -> Endpoint:
    """Raises WebhookNotFound: one error for another user's and for one that does not exist."""
    return _found(Endpoint.objects.for_user(user).filter(pk=pk).first())


def _note(action: Action, row: Endpoint, **details: Any) -> None:
    """With the host alone: the path may hold a secret of the receiver's."""
    audit.record(action, row.user, of=row, host=row.host, **details)


# --- Services of staff ------------------------------------------------------------------------------


@retried_transaction
def try_now(rows: Collection[Endpoint]) -> list[Endpoint]:
    """Those that wait for their next attempt; returns them."""
    waiting = [each for each in rows if each.status == "failing"]
    for each in waiting:
        _hasten(each)
    return waiting


@retried_transaction
def disable(rows: Collection[Endpoint]) -> list[Endpoint]:
    """Stop sending, until their owners or staff enable them; returns those that were on."""
    on = Endpoint.objects.select_for_update().filter(pk__in=[each.pk for each in rows], is_active=True)
    found, now = list(on.order_by("pk")), timezone.now()
    for each in found:
        _store(each, {"is_active": False, "disabled_at": now, "last_error": "disabled by staff"})
    return found


@retried_transaction
def enable(rows: Collection[Endpoint]) -> list[Endpoint]:
    """Those that were disabled; those that their owners have paused stay so. Returns them."""
    off = Endpoint.objects.select_for_update().filter(pk__in=[each.pk for each in rows], is_active=False)
    found = list(off.exclude(disabled_at=None).order_by("pk"))
    for each in found:
        _store(each, _revived())
    return found
