"""Who follows the log and nothing else: the state that its entries tell of, beside what is stored."""

from typing import Any

import orjson

from config.http.json import to_json
from users.models import Change, Kind, User
from users.resources import log
from users.resources.models import OwnedModel

State = dict[tuple[str, int], dict[str, Any]]  # by type and id, the members as JSON


def as_json(values: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = orjson.loads(to_json(values))
    return told


def state(user: User, *models: type[OwnedModel]) -> State:
    """All that is stored, tombstones included, of what the log tells."""
    rows = [row for model in models for row in model.objects.for_user(user)]
    return {(row.type_name(), row.pk): _shown(row) for row in rows}


def _shown(row: OwnedModel) -> dict[str, Any]:
    """Of what is erased, the log tells nothing else, not even when it was deleted."""
    told = {name: getattr(row, name) for name in row.blank()}
    is_erased = row.erased_at is not None
    deleted_at = None if is_erased else row.deleted_at
    return as_json({**told, "deleted_at": deleted_at, "version": row.version, "is_erased": is_erased})


class Replica:
    def __init__(self, user: User, *models: type[OwnedModel]) -> None:
        self.user, self.models = user, models
        self.cursor = 0
        self.rows: State = {}

    def follow(self) -> None:
        """Apply what is new, a few entries at a time."""
        while found := log.entries(self.user, self.cursor, 3):
            for entry in found:
                self._apply(entry)
            self.cursor = found[-1].version

    def _apply(self, entry: Change) -> None:
        key = entry.type, entry.object_id
        (blank,) = (as_json(model.blank()) for model in self.models if model.type_name() == entry.type)
        known = self.rows.get(key, {**blank, "deleted_at": None, "is_erased": False})
        if entry.kind == Kind.ERASED:
            (erasable,) = (model.erasable() for model in self.models if model.type_name() == entry.type)
            known |= {name: blank[name] for name in erasable if name in blank}
            known |= {"deleted_at": None, "is_erased": True}
        assert (key in self.rows) != (entry.kind == Kind.CREATED)
        self.rows[key] = {**known, **{name: new for name, (_, new) in entry.diff.items()}, "version": entry.version}

    def check(self) -> None:
        self.follow()
        assert self.rows == state(self.user, *self.models)
