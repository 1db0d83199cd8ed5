"""The log of a user's changes: an entry for each row, appended by the statement that writes it, in commit order."""

import datetime as dt
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, NamedTuple, Self

import orjson
from django.db.models import Subquery, TextField
from django.db.models.functions import Cast, Coalesce

from config.database.pipeline import Rows, Sql
from config.database.queries import Compiled, Param, Query
from config.errors import Gone
from config.http.json import to_json
from config.http.request import current_request, is_in_admin
from users.models import Change, ChangeQuerySet, Feed, Kind, User
from users.resources.models import Diff, OwnedModel
from users.services import epochs
from users.tokens.callers import Actor, Caller

COMMAND, WORKER = "command", "worker"
_acting: ContextVar[str] = ContextVar("acting", default=COMMAND)
_PACKED = struct.Struct(">qq")  # a cursor as bytes, before Base64

# Of the row that the CTE `written` returns.
_APPEND = """
    INSERT INTO users_change (user_id, version, operation, kind, type, object_id, previous, undoes, at, actor, diff)
    SELECT %s::bigint, version, version, %s::text, %s::text, id, %s::bigint, NULL, %s::timestamptz, %s::text, %s::jsonb
    FROM written RETURNING version, object_id
"""
# Of several such rows, whose entries are sent as one JSON array.
_APPEND_EACH = """
    INSERT INTO users_change (user_id, version, operation, kind, type, object_id, previous, undoes, at, actor, diff)
    SELECT %s::bigint, version, %s::bigint, kind, %s::text, id, previous, %s::bigint, %s::timestamptz, %s::text, diff
    FROM written JOIN jsonb_to_recordset(%s::jsonb) AS entry (version bigint, kind text, previous bigint, diff jsonb)
    USING (version)
"""
# Of new rows of any users, whose content is in the table `incoming`; a user's are one operation.
_APPEND_CREATED = """
    INSERT INTO users_change (user_id, version, operation, kind, type, object_id, at, actor, diff)
    SELECT user_id, version, max(version) OVER (PARTITION BY user_id), %s, %s, written.id, %s, %s, diff
    FROM written JOIN incoming USING (user_id, version)
"""


class CursorExpired(Gone):
    code = "cursor_expired"
    title = "The cursor is too old"


class Cursor(NamedTuple):
    """A position in a user's log: the epoch and a version."""

    epoch: int
    version: int

    def encode(self) -> str:
        """As opaque text."""
        return urlsafe_b64encode(_PACKED.pack(*self)).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str) -> Self:
        """Raises ValueError for any text that `encode` does not make."""
        try:
            cursor = cls(*_PACKED.unpack(urlsafe_b64decode(text.encode("ascii") + b"==")))
        except struct.error as error:
            raise ValueError("not a cursor") from error
        if min(cursor) < 0 or cursor.encode() != text:
            raise ValueError("not a cursor")
        return cursor

    def require_kept(self, user: Actor) -> None:
        """Raises CursorExpired for a cursor of another history, and for one below the floor, up to which entries may
        be gone. To be called after they were read, as pruning raises the floor in the transaction that deletes them.
        """
        if self.epoch != current_epoch() or Feed.objects.filter(pk=user.pk, floor__gt=self.version).exists():
            raise CursorExpired("Too much has changed since then; fetch everything anew.")


@contextmanager
def acting_as(actor: str) -> Iterator[None]:
    """What is changed outside of a request within this is this actor's, such as `import:3`."""
    token = _acting.set(actor)
    try:
        yield
    finally:
        _acting.reset(token)


def current_epoch() -> int:
    """The history that the database is in."""
    return epochs.current().value


class RowChange(NamedTuple):
    """The change of a row that is not stored yet; the row has its new values, and its version of before."""

    row: OwnedModel
    kind: Kind
    diff: Diff


class Operation(NamedTuple):
    id: int
    undoes: int | None
    at: dt.datetime
    actor: str


def actor_of(user: Actor) -> str:
    """Who is changing something: a session, staff in the admin, or a command."""
    if isinstance(user, Caller):
        return user.actor
    request = current_request()
    if request is None:
        return _acting.get()
    acting = getattr(request, "user", None)
    if is_in_admin(request) and isinstance(acting, User):
        return f"staff:{acting.pk}"
    return acting.actor if isinstance(acting, Caller) else WORKER


def append_sql(written: str) -> str:
    """The statement with its entry; it returns `id` and `version` of at most one row. To come after WITH."""
    return f"written AS ({written}){_APPEND}"


def append_params(user: Actor, changed: RowChange, now: dt.datetime) -> list[Any]:
    """The parameters of `append_sql`, after those of the statement."""
    row = changed.row
    previous = None if row._state.adding else row.version
    diff = to_json(_logged_diff(changed)).decode()
    return [row.user_id, changed.kind.value, row.type_name(), previous, now, actor_of(user), diff]


def append_each_sql(written: str) -> str:
    return f"written AS ({written}){_APPEND_EACH}"


def append_each_params(
    user_id: int, type_name: str, changes: Sequence[tuple[RowChange, int]], operation: Operation
) -> list[Any]:
    """The parameters of `append_each_sql`, after those of the statement: rows of one model with their new versions."""
    entries = [
        {
            "version": version,
            "kind": each.kind,
            "previous": None if each.row._state.adding else each.row.version,
            "diff": _logged_diff(each),
        }
        for each, version in changes
    ]
    id_, undoes, at, actor = operation
    return [user_id, id_, type_name, undoes, at, actor, to_json(entries).decode()]


def append_created_sql(written: str) -> str:
    """The statement with its entries; it returns `user_id`, `version` and `id`, and `incoming` has `diff` beside the
    first two."""
    return f"WITH written AS ({written}){_APPEND_CREATED}"


def append_created_params(type_name: str, now: dt.datetime) -> list[Any]:
    return [Kind.CREATED.value, type_name, now, COMMAND]


def _logged_diff(changed: RowChange) -> Mapping[str, Any]:
    if changed.kind == Kind.ERASED:
        return {}
    derived = changed.row.derived
    return {name: pair for name, pair in changed.diff.items() if name not in derived}


def erase(user: Actor, type_name: str, object_ids: Collection[int]) -> None:
    """Empty the diffs of these objects' entries."""
    Change.objects.for_user(user).filter(type=type_name, object_id__in=object_ids).update(diff={})


def join(user: Actor, after: int) -> int:
    """Make one operation of all entries after this version, in the transaction that has locked the feed. Returns the
    change counter, which is its number."""
    head = Feed.objects.values_list("head", flat=True).get(pk=user.pk)
    if head > after:
        Change.objects.for_user(user).filter(version__gt=after).update(operation=head)
    return head


def entries(user: Actor, after: int, limit: int) -> list[Change]:
    """Up to `limit` entries after this version, the oldest first. Raises CursorExpired."""
    found = list(Change.objects.for_user(user).filter(version__gt=after).order_by("version")[:limit])
    Cursor(current_epoch(), after).require_kept(user)
    return found


@lru_cache(maxsize=256)
def _after(limit: int) -> Compiled[Any]:
    later = Change.objects.for_user(Param("user")).filter(version__gt=Param("after")).order_by("version")
    return Compiled(lambda: later.values_list("version", "type")[:limit])


def after(user: Actor, version: int, limit: int) -> Query[Any]:
    """A statement that reads up to `limit` entries after this version, the oldest first: their version and type.

    What is gone is not told: the caller has to read the floor later.
    """
    return _after(limit).given(user=user.pk, after=version)


def of_operation(user: Actor | Param, operation: int | Param) -> ChangeQuerySet:
    """The entries of an operation: those from its number down to that of another one, as they are consecutive."""
    own = Change.objects.for_user(user)
    before = own.filter(version__lt=operation).exclude(operation=operation).order_by("-version").values("version")[:1]
    return own.filter(version__gt=Coalesce(Subquery(before), 0), version__lte=operation, operation=operation)


_ENTRIES = Compiled(
    lambda: (
        of_operation(Param("user"), Param("operation"))
        .order_by("-version")
        .values_list("version", "type", "object_id", "kind", Cast("diff", TextField()))
    )
)


class Entry(NamedTuple):
    """An entry as `undo` needs it."""

    version: int
    type: str
    object_id: int
    kind: str
    diff: dict[str, tuple[Any, Any]]


class Entries(NamedTuple):
    """A statement that reads the entries of an operation, the last one first."""

    user_id: int
    operation: int

    @property
    def statement(self) -> Sql:
        return _ENTRIES.given(user=self.user_id, operation=self.operation).statement

    def result(self, rows: Rows) -> list[Entry]:
        return [Entry(*entry, orjson.loads(diff)) for *entry, diff in rows]  # type: ignore[call-arg]
