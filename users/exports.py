"""The export of an account: one JSON document with a section per table, which each app registers."""

from collections.abc import Callable, Iterator
from typing import Any

from django.db.models import F, QuerySet
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from config.database.isolation import all_users, each_as
from config.http.json import to_json
from users import audit
from users.models import (
    AccountNote,
    AuditEvent,
    Change,
    EmailChange,
    Feed,
    IdempotencyKey,
    PersonalToken,
    Session,
    User,
)  # fmt: skip

Section = Callable[[User], Iterator[dict[str, Any]]]

BATCH = 100
ACCOUNT = (
    "id", "issuer", "subject", "email", "email_verified_at", "name", "timezone", "reminder_time",
    "reminder_channels", "default_reminder_minutes", "digest_time", "is_active", "is_staff", "is_superuser",
    "created_at", "last_login", "token_version",
)  # fmt: skip
_sections: dict[str, Section] = {}
_outliving: set[str] = set()  # sections whose rows stay when the account is deleted


def register(name: str, *, outlives: bool = False) -> Callable[[Section], Section]:
    """Register a section, an array of objects, in the `ready()` of an app."""

    def decorate(section: Section) -> Section:
        _sections[name] = section
        if outlives:
            _outliving.add(name)
        return section

    return decorate


def stream(user: User, **details: Any) -> Iterator[bytes]:
    """The document in chunks, in constant memory. If the stream breaks off, it is not valid JSON.

    The details are for the audit.
    """
    audit.record(audit.Action.EXPORTED, user, **details)
    return each_as(user.pk, _pieces(user))


def counts(user: User) -> dict[str, int]:
    """The number of rows that would be deleted with the account, by section."""
    going = {name: section for name, section in _sections.items() if name not in _outliving}
    return {name.replace("_", " "): sum(1 for _ in each_as(user.pk, section(user))) for name, section in going.items()}


def _pieces(user: User) -> Iterator[bytes]:
    account = {**User.objects.filter(pk=user.pk).values(*ACCOUNT).get(), "public_id": user.public_id}
    account["groups"] = list(user.groups.values_list("name", flat=True))
    yield b'{"account":' + to_json(account)
    for name, section in _sections.items():
        yield f',"{name}":['.encode()
        separator = b""
        for row in section(user):
            yield separator + to_json(row)
            separator = b","
        yield b"]"
    yield b"}"


def rows(queryset: QuerySet[Any, Any], *fields: str, key: str = "pk") -> Iterator[dict[str, Any]]:
    """The rows in batches by a unique key, so that no cursor or transaction stays open while a slow client reads."""
    following = queryset.order_by(key)
    while batch := list(following.values(*fields, key_of_row=F(key))[:BATCH]):
        for row in batch:
            last = row.pop("key_of_row")
            yield row
        following = following.filter(**{f"{key}__gt": last})


@register("sessions")
def _sessions(user: User) -> Iterator[dict[str, Any]]:
    fields = ("id", "user_agent", "address", "created_at", "last_used_at", "generation")
    return rows(Session.objects.for_user(user), *fields)


@register("personal_tokens")
def _personal_tokens(user: User) -> Iterator[dict[str, Any]]:
    """Without the digest, with which a token could be recognised."""
    fields = (
        "id", "name", "prefix", "scopes", "created_at", "expires_at", "warned_at", "last_used_at", "last_used_network",
    )  # fmt: skip
    return rows(PersonalToken.objects.for_user(user), *fields)


@register("email_changes")
def _email_changes(user: User) -> Iterator[dict[str, Any]]:
    return rows(EmailChange.objects.filter(user=user), "email", "previous", "requested_at", "confirmed_at")


@register("idempotency_keys")
def _idempotency_keys(user: User) -> Iterator[dict[str, Any]]:
    fields = ("status", "headers", "body", "created_at", "expires_at")
    return rows(IdempotencyKey.objects.filter(user=user), *fields)


@register("second_factor")
def _second_factor(user: User) -> Iterator[dict[str, Any]]:
    """The user's devices, without their secrets."""
    fields = ("name", "confirmed", "created_at", "last_used_at")
    for model in (TOTPDevice, StaticDevice):
        yield from rows(model.objects.filter(user=user), *fields)


@register("events", outlives=True)
def _events(user: User) -> Iterator[dict[str, Any]]:
    """Audit events about the account, without names and addresses of staff and operators."""
    fields = ("at", "action", "object_type", "object_id", "address", "request_id", "details", "actor")
    for row in rows(AuditEvent.objects.filter(audit.about(user.pk)), *fields):
        is_staffs = row["actor"] not in (None, user.pk)
        row["details"] = _own_details(row["details"], user.pk)
        yield {**row, "actor": "staff" if is_staffs else row["actor"], "address": None if is_staffs else row["address"]}


def _own_details(details: dict[str, Any], user_id: int) -> dict[str, Any]:
    """Without the operator; of a page that showed rows of several accounts, those of this one."""
    details.pop(audit.OPERATOR, None)
    if details.pop("users", None) is None:
        return details
    owners = details.pop("owners", ())  # of each row, which older events do not have
    own = {
        name: [pk for pk, owner in zip(pks, owners, strict=False) if owner == user_id]
        for name, pks in details.items()
        if isinstance(pks, list)
    }
    return {**details, **own}


@register("staff_notes")
def _staff_notes(user: User) -> Iterator[dict[str, Any]]:
    """What staff wrote about a person is data of that person (GDPR, article 15); who wrote it is not."""
    with all_users():  # closed before the first is yielded
        notes: list[Any] = list(AccountNote.objects.filter(user=user).order_by("pk").values("text", "created_at"))
    yield from notes


@register("staff_actions", outlives=True)
def _staff_actions(user: User) -> Iterator[dict[str, Any]]:
    """Audit events of a member of staff about others, without their names and without the changes."""
    done = AuditEvent.objects.filter(actor=user).exclude(subject=user)
    return rows(done, "at", "action", "object_type", "object_id", "address", "request_id")


@register("feed")
def _feed(user: User) -> Iterator[dict[str, Any]]:
    return rows(Feed.objects.filter(user=user), "head", "floor", "live", "stored")


@register("changes")
def _changes(user: User) -> Iterator[dict[str, Any]]:
    """The log."""
    fields = ("version", "operation", "kind", "type", "object_id", "previous", "undoes", "at", "actor", "diff")
    return rows(Change.objects.for_user(user), *fields, key="version")
