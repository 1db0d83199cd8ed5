"""Rows of the account that an import meets: those that its uids and parents name."""

import datetime as dt
import uuid
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from tasks.formats.drafts import NAMESPACE
from tasks.transfer.fitting import Outside
from users.resources.models import OwnedModel
from users.resources.operations import Operation
from users.resources.querysets import one_of

BATCH = 5_000  # uids of one statement


class Known(NamedTuple):
    """A row with the uid of a draft."""

    id: int
    version: int
    updated_at: dt.datetime
    deleted_at: dt.datetime | None
    erased_at: dt.datetime | None
    parent_id: int | None = None
    project_id: int | None = None  # of a task


class Uids(NamedTuple):
    """By the uid of the file: the rows that have it, and the uids of new rows in place of those that were erased."""

    known: dict[str, Known]
    anew: dict[str, str]


def look_up(operation: Operation, model: type[OwnedModel], uids: Iterable[str]) -> Uids:
    """An erased row keeps its uid for good; so what is imported again has one that is made of it."""
    columns = [name for name in Known._fields if hasattr(model, name)]
    found = Uids({}, {})
    asked = {uid: uid for uid in uids}  # by what is looked up, the uid of the file
    while asked:
        wanted, erased = [*asked], dict[str, str]()
        for start in range(0, len(wanted), BATCH):
            rows: Any = model.objects.for_user(operation.user).filter(one_of("uid", wanted[start : start + BATCH]))
            for uid, *values in rows.values_list("uid", *columns):
                original, row = asked[uid], Known(**dict(zip(columns, values, strict=True)))
                if row.erased_at is None:
                    found.known[original] = row
                else:
                    found.anew[original] = again(uid)
                    erased[again(uid)] = original
        asked = erased
    return found


def again(uid: str) -> str:
    """The uid of what is imported again after it was erased."""
    return str(uuid.uuid5(NAMESPACE, f"again\x1f{uid}"))


def outside(operation: Operation, model: Any, pks: Collection[int]) -> dict[int, Outside]:
    """Of visible rows that may get children: where they are."""
    if not pks:
        return {}
    rows = operation.read(model.objects.for_user(operation.user).visible().filter(pk__in=pks).light())
    families = {family.row.pk: family for family in operation.families(rows) if family.row is not None}
    return {
        pk: Outside(len(family.above) + 1, len(family.levels[0]) if family.levels else 0)
        for pk, family in families.items()
    }
