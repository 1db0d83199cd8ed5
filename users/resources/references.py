"""References in requests: the rows that are named by id or by uid, and the rules of trees."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import chain
from typing import Any, Generic, TypeVar

from config.database.queries import Raw, Statement, run_all
from config.errors import Invalid, LimitReached
from config.values import nfc
from users.resources import errors, statements
from users.resources.models import OwnedModel, Reference, WhenDeleted
from users.resources.pairs import References
from users.resources.resource import registered
from users.tokens.callers import Actor

R = TypeVar("R", bound=OwnedModel)

_CHILDREN = """
    SELECT count(*) FROM {table} WHERE user_id = %s AND deleted_at IS NULL
    AND {parent} = (SELECT id FROM {table} WHERE user_id = %s AND {key} = %s)
"""


@dataclass
class Named:
    """A row that a request names, with its ancestors, the nearest first, and the number of its children."""

    reference: Reference
    member: str  # `parent_id` or `parent_uid`
    key: int | str
    row: OwnedModel | None = None
    above: list[OwnedModel] = field(default_factory=list)
    children: int = 0

    @property
    def by(self) -> str:
        return self.member.rpartition("_")[2]

    def reads(self, user: Actor) -> Iterator[Statement[Any]]:
        model: Any = self.reference.related_model
        yield statements.of(model).line(user.pk, self.key, self.by)
        if self.reference.is_tree:
            names = {"table": model._meta.db_table, "parent": self.reference.attname, "key": self.by}
            yield Raw(_CHILDREN.format(**names), [user.pk, user.pk, self.key])

    def take(self, found: Iterator[Any]) -> None:
        """The results of `reads`. Raises an Invalid such as UnknownProject."""
        line = {row.pk: row for row in next(found)}
        self.row = next((row for row in line.values() if getattr(row, self.by) == self.key), None)
        if self.row is None:
            raise errors.unknown(self.reference, self.member)
        if self.reference.is_tree:
            self.above = _ancestors(self.row, line, self.reference.attname)
            ((self.children,),) = next(found)


@dataclass
class NamedEach:
    """Rows that a request names in one member, `label_ids` or `label_uids`."""

    reference: References
    member: str
    keys: list[Any]
    ids: list[int] = field(default_factory=list)
    children: int = 0  # none is a parent

    def reads(self, user: Actor) -> Iterator[Statement[Any]]:
        if self.keys:
            yield statements.of(self.reference.target).some(user.pk, self.keys, self.member.rpartition("_")[2][:-1])

    def take(self, found: Iterator[Any]) -> None:
        """The results of `reads`. Raises an Invalid such as UnknownLabel."""
        ids = dict(next(found)) if self.keys else {}
        if len(ids) < len({*self.keys}):
            raise errors.unknown_ones(self.reference, self.member)
        self.ids = sorted(ids.values())


Name = Named | NamedEach


def named_by(model: type[OwnedModel], sent: Mapping[str, Any]) -> dict[str, Any]:
    """The members by which a request names rows."""
    return {member: sent[member] for member in _members(model) & sent.keys()}


def named(model: type[OwnedModel], sent: Mapping[str, Any]) -> list[Any]:
    """A Name for each member that names something."""
    if _members(model).isdisjoint(sent):
        return []
    members = ((reference, f"{reference.name}_{by}") for reference in model.references() for by in ("id", "uid"))
    keys = ((reference, member, sent.get(member)) for reference, member in members)
    names: list[Name] = [
        Named(reference, member, nfc(key) if isinstance(key, str) else key)
        for reference, member, key in keys
        if key is not None
    ]
    for each in model.many():
        for member in (each.name, f"{each.stem}_uids"):
            if member in sent:
                own = [nfc(key) if isinstance(key, str) else key for key in sent[member] or ()]
                names.append(NamedEach(each, member, own))
    return names


def reads(user: Actor, names: Collection[Any]) -> list[Statement[Any]]:
    return [read for each in names for read in each.reads(user)]


def resolved(
    model: type[OwnedModel], sent: Mapping[str, Any], names: Collection[Any], found: Sequence[Any]
) -> dict[str, Any]:
    """`sent` with the ids of the rows that it names; `found` is what `reads` has found.

    Raises an Invalid such as UnknownProject, and ConflictingMembers.
    """
    if _members(model).isdisjoint(sent):
        return dict(sent)
    results = iter(found)
    for each in names:
        each.take(results)
    values = dict(sent)
    for reference in model.references():
        uid, attname = f"{reference.name}_uid", reference.attname
        given = {each.row.pk for each in names if each.reference is reference and each.row}
        if len(given) > 1 or (given and {attname, uid} <= sent.keys() and None in (sent[attname], sent[uid])):
            raise errors.ConflictingMembers(f"{attname} and {uid} name two rows; send one.", pointer=f"/{uid}")
        if values.keys() & {attname, uid}:
            values[attname] = next(iter(given), None)
        values.pop(uid, None)
    for many in model.many():
        _resolve_each(many, values, [each for each in names if each.reference is many])
    return values


def _resolve_each(many: References, values: dict[str, Any], names: Sequence[NamedEach]) -> None:
    """Put the ids of all that is named in place of it."""
    uids = f"{many.stem}_uids"
    if len({tuple(each.ids) for each in names}) > 1:
        raise errors.ConflictingMembers(f"{many.name} and {uids} name other rows; send one.", pointer=f"/{uids}")
    for each in names:
        if len(each.ids) > many.most:
            raise Invalid(f"{many.most} are the most.", pointer=f"/{each.member}")
        values[many.name] = each.ids
    values.pop(uids, None)


class Relatives(Generic[R]):
    """Rows of a model, by id, and if they are a tree, by parent."""

    def __init__(self, model: type[R], rows: Iterable[R]) -> None:
        self.tree = model.tree()
        self.by_id = {row.pk: row for row in rows}
        self.children: defaultdict[int | None, list[R]] = defaultdict(list)
        if self.tree is not None:
            for row in self.by_id.values():
                self.children[getattr(row, self.tree.attname)].append(row)

    def above(self, row: R) -> list[R]:
        return _ancestors(row, self.by_id, self.tree.attname) if self.tree is not None else []


class Family(Generic[R]):
    """A row of a tree with its ancestors, the nearest first, and its descendants, level by level."""

    def __init__(self, relatives: Relatives[R], pk: int | None) -> None:
        self.row = relatives.by_id.get(pk) if pk is not None else None  # a new row is nobody's parent
        self.above = relatives.above(self.row) if self.row is not None else []
        self.levels: list[list[R]] = []
        level = relatives.children.get(pk, []) if self.row is not None else []
        while level:
            self.levels.append(level)
            level = [child for row in level for child in relatives.children.get(row.pk, [])]

    @property
    def below(self) -> list[R]:
        return [*chain.from_iterable(self.levels)]


def _ancestors(row: R, by_id: Mapping[int, R], attname: str) -> list[R]:
    above: list[R] = []
    while (row := by_id.get(getattr(row, attname))) and row not in above:  # type: ignore[assignment]
        above.append(row)
    return above


def enforce_tree(
    row: OwnedModel, before: Mapping[str, Any], sent: Mapping[str, Any], names: Sequence[Named], family: Any
) -> None:
    """Hold the rules of a tree for a row whose references were just set, and pass on what descendants inherit. From now
    on, the family has the ancestors of the new place, which are read without content.

    Raises Cycle, TooDeep, LimitReached, and an Invalid such as ProjectFollowsParent.
    """
    tree = row.tree()
    if tree is None:
        return
    parent_id = getattr(row, tree.attname)
    if parent_id != before.get(tree.attname) and parent_id is not None:
        name = next(each for each in names if each.reference is tree)
        line = [name.row, *name.above]
        _check_place(row, name, line, len(family.levels))
    else:
        line = family.above if parent_id is not None else []
    if line:
        for attname in row.inherited:
            _inherit(row, line[0], attname, sent, names)
    family.above = line
    for attname in row.inherited:
        for child in family.below:
            setattr(child, attname, getattr(row, attname))


def _check_place(row: OwnedModel, name: Named, line: Sequence[Any], height: int) -> None:
    kind, tree, pointer = row._meta.verbose_name, name.reference, f"/{name.member}"
    if row.pk is not None and row.pk in {each.pk for each in line}:
        raise errors.Cycle(f"A {kind} cannot be within itself.", pointer=pointer)
    if len(line) + 1 + height > tree.max_depth:
        raise errors.TooDeep(f"It would be too deep: {tree.max_depth} levels are the most.", pointer=pointer)
    if name.children >= tree.max_children:
        raise LimitReached(
            f"It has {name.children} within it already, and may have {tree.max_children}.", limit=tree.max_children
        )


def _open_cycles(tree: Reference, rows: Sequence[Any]) -> None:
    """In the trash there can be some: an undo puts a row back there without a look at what else is there."""
    by_id = {row.pk: row for row in rows}
    for row in rows:
        if row in _ancestors(row, by_id, tree.attname):
            setattr(row, tree.attname, None)


def replant(user: Actor, model: type[OwnedModel], rows: Sequence[Any], chosen: Collection[int]) -> None:
    """Hold the rules of a tree, which may have changed meanwhile, for restored rows that do not just come along with
    their parent. One that has no place any more becomes a root."""
    tree = model.tree()
    if tree is None:
        return
    _open_cycles(tree, rows)
    relatives: Relatives[Any] = Relatives(model, rows)
    parents = {row.pk: getattr(row, tree.attname) for row in rows}
    outer = {pk: Named(tree, tree.attname, pk) for pk in {*parents.values()} - parents.keys() - {None}}
    if outer:
        found = iter(run_all(reads(user, outer.values())))
        for each in outer.values():
            each.take(found)
    alone = [row for row in rows if row.pk in chosen or parents[row.pk] not in parents]
    counts = Counter(parents.values()) - Counter(parents[row.pk] for row in alone)
    for row in sorted(alone, key=lambda row: len(relatives.above(row))):
        family = Family(relatives, row.pk)
        parent_id, line = parents[row.pk], [*family.above]
        if name := outer.get(getattr(line[-1] if line else row, tree.attname)):
            line += [name.row, *name.above]
        children = counts[parent_id] + (outer[parent_id].children if parent_id in outer else 0)
        names = [Named(tree, tree.attname, parent_id, line[0], line[1:], children)] if line else []
        try:
            enforce_tree(row, {}, {}, names, family)
            counts[parent_id] += 1
        except (errors.TooDeep, LimitReached):
            setattr(row, tree.attname, None)
            enforce_tree(row, {}, {}, [], family)


def _inherit(row: OwnedModel, parent: Any, attname: str, sent: Mapping[str, Any], names: Sequence[Named]) -> None:
    value = getattr(parent, attname)
    if attname in sent and getattr(row, attname) != value:
        member = next((each.member for each in names if each.reference.attname == attname), attname)
        raise errors.follows_parent(attname.removesuffix("_id"), member, str(row._meta.verbose_name))
    setattr(row, attname, value)


def referring(model: type[OwnedModel]) -> list[Reference]:
    """The references of registered resources to this model."""
    return [each for resource in registered() for each in resource.model.references() if each.related_model is model]


def listing(model: type[OwnedModel]) -> list[References]:
    """The References of registered resources to this model."""
    return [each for resource in registered() for each in resource.model.many() if each.target is model]


def others(model: type[OwnedModel]) -> tuple[Reference | References, ...]:
    """What refers to its rows beside their own tree."""
    return _others(model, tuple([each.model for each in registered()]))


@lru_cache(maxsize=256)
def _others(model: type[OwnedModel], models: tuple[type[OwnedModel], ...]) -> tuple[Reference | References, ...]:
    """Of these models, which are those of the registered resources."""
    return (*(each for each in referring(model) if not each.is_tree), *listing(model))


def concerned(model: type[OwnedModel]) -> bool:
    """Whether its rows refer to others, or others to them."""
    return bool(model.references() or model.many() or referring(model) or listing(model))


def followers(model: type[OwnedModel], rows: Iterable[OwnedModel]) -> dict[type[OwnedModel], set[int]]:
    """These rows, of any users, and those that go to the trash with them: a query for each reference and level."""
    owners = {row.pk: row.user_id for row in rows}
    users, level = {*owners.values()}, {model: {*owners}}
    found: defaultdict[type[OwnedModel], set[int]] = defaultdict(set, {model: set()})
    while level:
        following: defaultdict[type[OwnedModel], set[int]] = defaultdict(set)
        for target, pks in level.items():
            found[target] |= pks
        for target, pks in level.items():
            for each in referring(target):
                if each.when_deleted is WhenDeleted.TRASH:
                    owned: Any = each.model
                    those = owned.objects.visible().filter(user__in=users, **{f"{each.name}__in": pks})
                    following[owned] |= {*those.values_list("pk", flat=True)} - found[owned]
        level = {each: pks for each, pks in following.items() if pks}
    return {each: pks for each, pks in found.items() if pks}


@cache
def _members(model: type[OwnedModel]) -> frozenset[str]:
    """By which a request names rows."""
    single = (f"{each.name}_{by}" for each in model.references() for by in ("id", "uid"))
    return frozenset((*single, *(f"{each.stem}_{by}" for each in model.many() for by in ("ids", "uids"))))


@cache
def reference_names(model: type[OwnedModel]) -> frozenset[str]:
    return frozenset(each.attname for each in (*model.references(), *model.many()))
