"""Operations: rows that are read and changed under the lock of their owner's feed, and stored together."""

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from django.conf import settings
from django.utils import timezone

from config.database import session
from config.database.queries import Raw, Statement, run, run_all
from config.errors import OperationTooLarge
from users.models import Feed, Kind
from users.resources import errors, feed, log, references, statements
from users.resources.log import RowChange
from users.resources.models import OwnedModel, Reference, WhenDeleted
from users.resources.references import Family, Named, Relatives
from users.tokens.callers import Actor

R = TypeVar("R", bound=OwnedModel)
Key = tuple[type[OwnedModel], int]

MAX_ROWS = 100_000
# PostgreSQL does not know how many rows are sent, and may compare each with each: of this many on, it must not.
MANY = 100
_OF_MANY = {"statement_timeout": "0", "enable_nestloop": "off"}

_COUNT = """
    SELECT count(*) FILTER (WHERE deleted_at IS NULL), count(*)
    FROM (SELECT deleted_at FROM {table} WHERE user_id = %s LIMIT %s) AS row
"""


class Operation:
    """The rows of an operation, each one instance, which is changed in memory and stored once."""

    def __init__(self, user: Actor, locked: Feed) -> None:
        self.user, self.now = user, timezone.now()
        self._locked = locked
        self._rows: dict[Key, OwnedModel] = {}
        self._before: dict[Key, dict[str, Any]] = {}
        self.effects: list[Raw] = []  # further statements, which `store` appends to its message

    @property
    def head(self) -> int:
        """The change counter, with what is stored already."""
        return self._locked.head

    @property
    def floor(self) -> int:
        """Up to here the log may have been cut off."""
        return self._locked.floor

    def read(self, rows: Iterable[R]) -> list[R]:
        """Rows that may be changed from now on; in place of one that was read before, that instance."""
        known: list[Any] = []
        for row in rows:
            key = type(row), row.pk
            if key not in self._rows:
                self._rows[key], self._before[key] = row, row.values()
            known.append(self._rows[key])
        if len(self._rows) > MAX_ROWS:
            raise too_large()
        return known

    def before(self, row: OwnedModel) -> Mapping[str, Any]:
        """The values of a row as it was read."""
        return self._before[type(row), row.pk]

    def apply(
        self, row: R, sent: Mapping[str, Any], names: Sequence[Named] = (), family: Family[R] | None = None
    ) -> None:
        """Change a row, by ids of what it refers to, and hold the rules of its tree.

        Raises Invalid, also Cycle and TooDeep, and LimitReached.
        """
        before = row.values()
        row.apply(sent, self.user, self.now)
        references.enforce_tree(row, before, sent, names, family or Family(Relatives(type(row), [row]), row.pk))

    def read_family(self, model: type[R], pk: int, rows: Sequence[R], large: Sequence[tuple[Any, ...]]) -> Family[R]:
        """The row with its relatives, as `statements.family` has found them, and `statements.large` the rest of it."""
        for row in rows:
            if large and row.pk == pk:
                row.__dict__ |= zip(model.large, large[0][1:], strict=True)
        return Family(Relatives(model, self.read(rows)), pk)

    def families(self, rows: Sequence[R]) -> list[Family[R]]:
        """Of each of these rows, which are read already and FOR UPDATE."""
        if not rows:
            return []
        model: Any = type(rows[0])
        found: Sequence[R] = rows
        if tree := model.tree():
            pks = [row.pk for row in rows]
            children = model.objects.for_user(self.user).visible().filter(**{f"{tree.name}__in": pks})
            parents = {*children.values_list(tree.attname, flat=True).distinct()}
            related = [row.pk for row in rows if getattr(row, tree.attname) is not None or row.pk in parents]
            found = [*rows, *self.read(run(statements.of(model).families(self.user.pk, related)) if related else [])]
        relatives = Relatives(model, found)
        return [Family(relatives, row.pk) for row in rows]

    def delete(
        self,
        rows: Collection[OwnedModel],
        clearing: Collection[str] = (),
        whole: Reference | None = None,
        *,
        alone: bool = False,
    ) -> None:
        """Turn rows into tombstones, with all that goes along; of references named in `clearing`, which then become
        null, nothing does. `whole` is the reference of a tree of which the rows have all descendants; `alone` are rows
        to which no others refer. Raises StillReferred and OperationTooLarge."""
        gone = {(type(row), row.pk) for row in rows}
        while rows:
            for row in rows:
                row.deleted_at = self.now
            if alone:
                return
            found, whole = self._referring(rows, known=whole), None
            self._leave(rows, gone)
            rows = [each for pair in found for each in self._followers(*pair, gone, clearing)]

    def _leave(self, rows: Collection[OwnedModel], gone: Collection[Key]) -> None:
        """Take these ids out of the References of rows that stay."""
        pks: defaultdict[type[OwnedModel], list[int]] = defaultdict(list)
        for row in rows:
            pks[type(row)].append(row.pk)
        for many, those in ((many, those) for model, those in pks.items() for many in references.listing(model)):
            owner: Any = many.model
            for row in self.read(run(statements.of(owner).listing(self.user.pk, many.name, those))):
                if (type(row), row.pk) not in gone:
                    setattr(row, many.name, [pk for pk in getattr(row, many.name) if pk not in those])

    def _followers(self, reference: Any, found: Iterable[Any], gone: set[Key], clearing: Collection[str]) -> list[Any]:
        """Those of the rows that go along."""
        rows = [row for row in self.read(found) if (type(row), row.pk) not in gone]
        if rows and reference.when_deleted is WhenDeleted.REFUSE:
            plural = reference.model._meta.verbose_name_plural
            raise errors.StillReferred(f"{len(rows)} {plural} refer to it; delete them first.")
        if reference.when_deleted is WhenDeleted.CLEAR or reference.name in clearing:
            for row in rows:
                setattr(row, reference.attname, None)
            return []
        gone |= {(type(row), row.pk) for row in rows}
        return rows

    def _referring(
        self, rows: Collection[OwnedModel], deleted_at: dt.datetime | None = None, known: Reference | None = None
    ) -> list[tuple[Any, Any]]:
        """By reference other than the `known` one, the rows that refer to these: visible ones, or those deleted at a
        moment."""
        pks: defaultdict[type[OwnedModel], list[int]] = defaultdict(list)
        for row in rows:
            pks[type(row)].append(row.pk)
        found = [(each, model) for model in pks for each in references.referring(model) if each is not known]
        reads = [
            statements.of(each.model).referring(self.user.pk, each.name, pks[model], deleted_at)
            for each, model in found
        ]
        return list(zip((each for each, _ in found), run_all(reads) if reads else [], strict=True))

    def restore(self, chosen: Collection[OwnedModel]) -> None:
        """Take rows out of the trash, each with all that went there along with it.

        A reference to what is still there becomes null. Raises OperationTooLarge, and InTrash if it cannot.
        """
        by_moment: defaultdict[Any, list[OwnedModel]] = defaultdict(list)
        for row in chosen:
            by_moment[row.deleted_at].append(row)
        restored: defaultdict[type[OwnedModel], list[Any]] = defaultdict(list)
        for deleted_at, rows in by_moment.items():
            while rows:
                for row in rows:
                    restored[type(row)].append(row)
                    row.deleted_at = None
                    row.follow_zone(self.user)
                found = self._referring(rows, deleted_at)
                rows = [each for _, those in found for each in self.read(those) if each.deleted_at is not None]
        for model, those in restored.items():
            self._detach(model, those)
            references.replant(self.user, model, those, {row.pk for row in chosen if type(row) is model})

    def _detach(self, model: type[OwnedModel], rows: Sequence[Any]) -> None:
        """Set references to what is in the trash to null."""
        for many in model.many():
            live = self._live(many.target, {pk for row in rows for pk in getattr(row, many.name)})
            for row in rows:
                setattr(row, many.name, [pk for pk in getattr(row, many.name) if pk in live])
        for reference in model.references():
            live = self._live(reference.related_model, {getattr(row, reference.attname) for row in rows} - {None})
            for row in rows:
                if getattr(row, reference.attname) in live | {None}:
                    continue
                if not reference.null:
                    raise errors.in_trash(reference)
                setattr(row, reference.attname, None)

    def _live(self, target: Any, pks: set[int]) -> set[int]:
        """Those of the rows that are not in the trash."""
        live = {pk for pk in pks if (row := self._rows.get((target, pk))) and row.deleted_at is None}
        if unknown := pks - live:
            live |= {*target.objects.for_user(self.user).visible().filter(pk__in=unknown).values_list("pk", flat=True)}
        return live

    def changes(self, kind: Kind | None = None) -> list[RowChange]:
        """What has become of the rows, those that have changed."""
        diffs = ((row, row.diff(self._before[key])) for key, row in self._rows.items())
        return [RowChange(row, kind or row.kind_of(diff), diff) for row, diff in diffs if diff]

    def store(
        self, kind: Kind | None = None, *, undoes: int | None = None, actor: str = "", commit: bool = True
    ) -> int | None:
        """Store what has changed; all is one message, with COMMIT if it shall `commit`.

        The rows take consecutive versions, model by model. Returns the operation's number, None without a change.
        Raises LimitReached and OperationTooLarge.
        """
        return store(
            self.user,
            self._locked,
            self.changes(kind),
            self.now,
            actor=actor,
            undoes=undoes,
            effects=self.effects,
            commit=commit,
        )

    def require_room(self, model: type[OwnedModel], count: int) -> None:
        """For so many new rows, before any is made. Raises LimitReached and TombstonesFull."""
        growth = feed.Growth(count, count)
        if reading := counting(self.user, model):
            require_room(model, run(reading), growth)
        elif model.is_counted:
            limit_of(model).require_room(self._locked.live, self._locked.stored, growth)

    def store_changes(self, changes: Sequence[RowChange]) -> None:
        """Store changes of rows that are locked, but not kept here: of thousands, with all their texts."""
        store(self.user, self._locked, changes, self.now)

    def insert(self, rows: Sequence[R]) -> None:
        """Store new rows of one model. They take consecutive versions in their order, and have their ids afterwards.

        What they refer to is stored already; the caller has held the rules of trees. Raises LimitReached and
        TombstonesFull.
        """
        model, growth = type(rows[0]), feed.Growth(len(rows), len(rows))
        self.require_room(model, len(rows))
        counted = growth if model.is_counted else feed.UNCHANGED
        numbers, taking = feed.take_many(self._locked, len(rows), counted, limit_of(model))
        numbered = [
            (RowChange(row, Kind.CREATED, row.content()), version) for row, version in zip(rows, numbers, strict=True)
        ]
        operation = log.Operation(self._locked.head, None, self.now, log.actor_of(self.user))
        entries = log.append_each_params(self.user.pk, model.type_name(), numbered, operation)
        for (row, *_), version in numbered:
            row.version, row.operation = version, operation.id
        _, stored = run_all([taking, statements.of(model).insert_each(rows, entries)])
        ids = dict(stored)
        for row in rows:
            row.pk, row._state.adding = ids[row.version], False
        if steps := [row for row in rows if row.step is not None]:
            run_all(model.effects(self.user.pk, steps, self.now))


def begin(user: Actor, *reads: Statement[Any]) -> tuple[Operation, list[Any]]:
    """Lock the user's account and feed until the commit, and run statements in the same message.

    Raises what `feed.explain` raises.
    """
    locked, found = feed.lock_and_read(user, *reads)
    return Operation(user, locked), found


def too_large() -> OperationTooLarge:
    return OperationTooLarge(f"At most {MAX_ROWS:,} rows change at once; choose fewer.")


def store(
    user: Actor,
    locked: Feed,
    changes: Sequence[RowChange],
    now: dt.datetime,
    *,
    actor: str = "",
    undoes: int | None = None,
    effects: Sequence[Raw] = (),
    commit: bool = False,
) -> int | None:
    """`Operation.store` for changes that somebody else has made of rows."""
    if not changes:
        return None
    if len(changes) > MAX_ROWS:
        raise too_large()
    by_model: defaultdict[type[OwnedModel], list[RowChange]] = defaultdict(list)
    for each in changes:
        by_model[type(each.row)].append(each)
    numbers, taking = feed.take_many(locked, len(changes), *_growth_of(user, by_model))
    versions, operation = iter(numbers), log.Operation(locked.head, undoes, now, actor or log.actor_of(user))
    writing = [taking]
    for model, those in by_model.items():
        alike = _by_columns([(each, next(versions)) for each in those])
        # The entries have the versions of before.
        entries = [log.append_each_params(user.pk, model.type_name(), each, operation) for each in alike]
        for numbered, those_entries in zip(alike, entries, strict=True):
            for (row, *_), version in numbered:
                row.version, row.updated_at, row.operation = version, now, locked.head
            fields = dict.fromkeys(name for each, _ in numbered for name in each.diff)
            rows = [each.row for each, _ in numbered]
            writing.append(
                statements.of(model).update_each(user.pk, rows, (*fields, "version", "updated_at"), those_entries)
            )
        rows = [each.row for each in those]
        if steps := [row for row in rows if row.step is not None]:
            writing += model.effects(user.pk, steps, now)
    with session.local(_OF_MANY if len(changes) >= MANY else {"statement_timeout": "0"}):
        run_all([*writing, *effects], commit=commit)
    return locked.head


def _by_columns(numbered: Sequence[tuple[RowChange, int]]) -> list[list[tuple[RowChange, int]]]:
    """A statement writes the same columns of all its rows, so each of them has to have these."""
    alike: defaultdict[frozenset[str], list[tuple[RowChange, int]]] = defaultdict(list)
    for each, version in numbered:
        alike[frozenset(each.row.get_deferred_fields())].append((each, version))
    return list(alike.values())


def _growth_of(user: Actor, by_model: Mapping[type[OwnedModel], Sequence[RowChange]]) -> tuple[feed.Growth, feed.Limit]:
    """Of the model that the feed counts; rows of others with a limit are counted here. Raises LimitReached."""
    counted = feed.UNCHANGED, feed.Limit()
    for model, changes in by_model.items():
        moved = [each.diff["deleted_at"] for each in changes if "deleted_at" in each.diff]
        growth = feed.Growth(sum(-1 if after else 1 for _, after in moved), 0)
        if model.is_counted:
            counted = growth, limit_of(model)
        elif growth.live > 0 and (reading := counting(user, model)):
            require_room(model, run(reading), growth)
    return counted


def limit_of(model: type[OwnedModel]) -> feed.Limit:
    most = getattr(settings, model.limit_setting) if model.limit_setting else model.max_rows
    return feed.Limit(most, str(model._meta.verbose_name_plural)) if most else feed.Limit()


def counting(user: Actor, model: type[OwnedModel]) -> Raw | None:
    """A statement that counts the user's rows, if there is a limit and the feed does not count them."""
    if model.is_counted or (model.limit_setting is None and model.max_rows is None):
        return None
    return Raw(_COUNT.format(table=model._meta.db_table), [user.pk, 2 * limit_of(model).most + 1])


def require_room(model: type[OwnedModel], counted: Sequence[tuple[int, int]], growth: feed.Growth) -> None:
    """By what `counting` has found. Raises LimitReached and TombstonesFull."""
    ((live, stored),) = counted
    limit_of(model).require_room(live, stored, growth)
