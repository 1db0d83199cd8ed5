"""The log of a user's changes: an entry for each row, appended by the statement that writes it, in commit order."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from config.errors import Gone
from config.http.json import to_json
from config.http.request import current_request, is_in_admin
from users.models import Change, Feed, Kind, User
from users.resources.models import Diff, OwnedModel
from users.tokens.callers import Actor, Caller

COMMAND, WORKER = "command", "worker"

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
_APPEND_NEW = """
    INSERT INTO users_change (user_id, version, operation, kind, type, object_id, at, actor, diff)
    SELECT user_id, version, max(version) OVER (PARTITION BY user_id), %s, %s, id, %s, %s, diff
    FROM written JOIN incoming USING (user_id, version)
"""


class CursorExpired(Gone):
    code = "cursor_expired"
    title = "The cursor is too old"


class Changed(NamedTuple):
    """A row that has been changed, but not stored; its version is still that of before."""

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
        return COMMAND
    acting = getattr(request, "user", None)
    if is_in_admin(request) and isinstance(acting, User):
        return f"staff:{acting.pk}"
    return acting.actor if isinstance(acting, Caller) else WORKER


def appended(written: str) -> str:
    """The statement with its entry; it returns `id` and `version` of at most one row. To come after WITH."""
    return f"written AS ({written}){_APPEND}"


def entry(user: Actor, changed: Changed, now: dt.datetime) -> list[Any]:
    """The parameters of `appended`, after those of the statement."""
    row = changed.row
    previous = None if row._state.adding else row.version
    diff = to_json(_told(changed)).decode()
    return [row.user_id, changed.kind.value, row.type_name(), previous, now, actor_of(user), diff]


def appended_each(written: str) -> str:
    return f"written AS ({written}){_APPEND_EACH}"


def entries_of(user_id: int, type_name: str, changes: Sequence[tuple[Changed, int]], operation: Operation) -> list[Any]:
    """The parameters of `appended_each`, after those of the statement, for rows of one model and their new versions."""
    told = [
        {"version": version, "kind": each.kind, "previous": each.row.version, "diff": _told(each)}
        for each, version in changes
    ]
    id_, undoes, at, actor = operation
    return [user_id, id_, type_name, undoes, at, actor, to_json(told).decode()]


def appended_new(written: str) -> str:
    """The statement with its entries; it returns `user_id`, `version` and `id`, and `incoming` has `diff` beside the
    first two."""
    return f"WITH written AS ({written}){_APPEND_NEW}"


def entries_new(type_name: str, now: dt.datetime) -> list[Any]:
    return [Kind.CREATED.value, type_name, now, COMMAND]


def _told(changed: Changed) -> Mapping[str, Any]:
    if changed.kind == Kind.ERASED:
        return {}
    derived = changed.row.derived
    return {name: pair for name, pair in changed.diff.items() if name not in derived}


def erase(user: Actor, type_name: str, object_ids: Collection[int]) -> None:
    """Remove what these objects' entries tell of them."""
    told = Change.objects.for_user(user).filter(type=type_name, object_id__in=object_ids)
    told.update(diff={})


def entries(user: Actor, after: int, limit: int) -> list[Change]:
    """Up to `limit` entries after this version, the oldest first.

    Raises CursorExpired for a version below the floor, up to which entries may be gone. The floor is read last, as
    pruning raises it in the transaction that deletes them.
    """
    found = list(Change.objects.for_user(user).filter(version__gt=after).order_by("version")[:limit])
    if Feed.objects.filter(pk=user.pk, floor__gt=after).exists():
        raise CursorExpired("Too much has changed since then; fetch everything anew.")
    return found
