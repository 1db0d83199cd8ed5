"""Checks a spec as a whole: names, relations, constraints and lists. Each refusal names the line and the key."""

import keyword
import re
from collections.abc import Collection, Mapping

from users.management.startresource import columns, names, rules, validation
from users.management.startresource.columns import Column
from users.management.startresource.documents import Node
from users.management.startresource.rules import Rule
from users.management.startresource.spec import (
    ON_DELETE,
    OWN_SORTS,
    Filter,
    Many,
    Relation,
    Spec,
    Target,
    Unique,
    World,
)

KEYS = {
    "resource": "its name, one of them: habit",
    "plural": "its name, several of them",
    "icon": "a name of Material Symbols, for the admin",
    "fields": "by name, what a row has",
    "relations": "by name, what a row refers to",
    "constraints": "what is unique, and what must hold",
    "indexes": "lists of fields",
    "filters": "parameters of the list",
    "sort": "orders of the list",
    "default_sort": "one of them, with a leading - to reverse it",
    "limits": "how many rows an account may have",
}
RELATION_KEYS = {
    "to": "the resource, or self",
    "null": "whether there may be none",
    "on_delete": "what happens to a row when that goes to the trash: trash, null or refuse",
    "max_depth": "levels of a tree",
    "max_children": "rows within one, of a tree",
    "help": "a sentence for the API's reader",
    "many": "whether a row refers to several, by `label_ids`",
    "max": "how many, of several",
}
OF_MANY, OF_ONE = {"max"}, {"null", "on_delete", "max_depth", "max_children"}
MAX_MANY = 1000
CONSTRAINT_KEYS = {"unique": "fields", "when": "live or always", "check": "a comparison: goal <= 7"}
MAX_FIELDS, MAX_RELATIONS, MAX_LISTED = 60, 10, 20
MAX_ROWS = 1_000_000
_SORTED = ("text", "int", "decimal", "date", "instant")
_INDEXED = (*_SORTED, "bool", "enum", "uuid")
_RANGES = {
    "date": ("before", "after"),
    "instant": ("before", "after"),
    "int": ("min", "max"),
    "decimal": ("min", "max"),
}


class _Parser:
    """One reading of a spec; each step refuses at the node that is to blame."""

    def __init__(self, root: Node, world: World) -> None:
        self.root, self.world = root, world
        self.entries = root.entries(KEYS)
        self.checked: list[Node] = []  # the checks

    def parse(self) -> Spec:
        for name in ("resource", "fields"):
            if name not in self.entries:
                self.root.refuse(f"The spec lacks {name!r}: {KEYS[name]}.")
        self.name = self._name(self.entries["resource"], "the resource")
        self.plural = self._plural()
        self.columns = self._columns()
        self.relations, self.many = self._relations()
        self._refuse_clashes()
        uniques, checks = self._constraints()
        spec = Spec(
            name=self.name,
            plural=self.plural,
            icon=self._icon(),
            columns=self.columns,
            relations=self.relations,
            many=self.many,
            uniques=uniques,
            checks=checks,
            indexes=tuple(self._listed(each, _INDEXED, "an index") for each in self._items("indexes")),
            filters=self._filters(),
            sorts=self._sorts(),
            default_sort=self._default_sort(),
            limit=self._limit(),
            plain=self.root.plain(),
        )
        validation.refuse_long_names(self.root, spec)
        validation.refuse_broken_checks(self.checked, spec)
        return spec

    # --- Names ------------------------------------------------------------------------------------------

    def _name(self, node: Node, what: str) -> str:
        return checked_name(node, node.text(), what)

    def _plural(self) -> str:
        node = self.entries.get("plural", self.entries["resource"])
        plural = self._name(node, "the plural") if "plural" in self.entries else names.plural_of(self.name)
        if plural == self.name:
            node.refuse("The plural is the name; say another one, as the path of the list has it.")
        if self.name in self.world.targets:
            self.entries["resource"].refuse(f"There is a resource {self.name} already; choose another name.")
        for word in (self.name, plural):
            if word in names.SQL or keyword.iskeyword(word) or word in names.MEMBERS:
                node.refuse(f"{word} is a reserved word; choose another name.")
        if plural in self.world.paths or plural in names.PLANNED:
            node.refuse(f"/api/{{user_id}}/{plural} is another route; choose another plural.")
        if plural in self.world.labels:
            node.refuse(f"There is an app {plural} already; choose another plural.")
        return plural

    def _icon(self) -> str:
        if "icon" not in self.entries:
            return "label"
        node = self.entries["icon"]
        if not re.fullmatch("[a-z0-9_]{1,40}", node.text()):
            node.refuse("An icon is a name of Material Symbols, such as fitness_center.")
        return node.text()

    def _refuse_clashes(self) -> None:
        """Members and columns that the generator makes of names."""
        made: dict[str, str] = {each.name: each.name for each in self.columns}
        sources = [(f"{each.name}_json", each.name) for each in self.columns if each.type == "json"]
        sources += [(f"{each.name}_key", each.name) for each in self.columns if each.type == "text"]
        sources += [("search_text", each.name) for each in self.columns if each.search][:1]
        for relation in self.relations:
            sources += [(f"{relation.name}{suffix}", relation.name) for suffix in ("", "_id", "_uid")]
        for many in self.many:
            sources += [(name, many.name) for name in (many.name, many.column, f"{many.stem}_uids")]
        for name, source in sources:
            if name in made:
                blamed = self.entries["fields"].value.get(name) or self.entries["relations"].value[source]
                blamed.refuse(f"{made[name]} and {source} would both make {name}; rename one of them.")
            made[name] = source

    # --- What a row has ---------------------------------------------------------------------------------

    def _columns(self) -> tuple[Column, ...]:
        node = self.entries["fields"]
        found = node.named()
        if not found or len(found) > MAX_FIELDS:
            node.refuse(f"A resource has 1 to {MAX_FIELDS} fields.")
        for name, each in found.items():
            checked_member(each, name, "a field")
        made = tuple(columns.parse(name, each) for name, each in found.items())
        if not any(map(columns.is_title, made)):
            node.refuse(
                "People know a row by a text: give it one of `type: text` with `required: true`, a max of "
                f"{columns.MIN_TITLE} or more, and without pattern and min."
            )
        return made

    def _relations(self) -> tuple[tuple[Relation, ...], tuple[Many, ...]]:
        if "relations" not in self.entries:
            return (), ()
        node = self.entries["relations"]
        found = node.named()
        if len(found) > MAX_RELATIONS:
            node.refuse(f"A resource has up to {MAX_RELATIONS} relations.")
        read = [self._relation(name, each) for name, each in found.items()]
        made = tuple(each for each in read if isinstance(each, Relation))
        trees = [each.name for each in made if each.is_tree]
        if len(trees) > 1:
            found[trees[1]].refuse("A resource is within itself by one relation; take the second out.")
        return made, tuple(each for each in read if isinstance(each, Many))

    def _relation(self, name: str, node: Node) -> Relation | Many:
        checked_member(node, name, "a relation")
        entries = node.entries(RELATION_KEYS)
        if "to" not in entries:
            node.refuse("Say which resource it refers to: `to: tasks.project`.")
        is_many = "many" in entries and entries["many"].flag()
        for key in sorted(entries.keys() & (OF_ONE if is_many else OF_MANY)):
            entries[key].refuse(f"{key} is for relations to {'one row' if is_many else 'several: many: true'}.")
        target = self._target(entries["to"])
        return self._many(name, entries, target) if is_many else self._one(name, node, entries, target)

    def _many(self, name: str, entries: Mapping[str, Node], target: Target) -> Many:
        if target.name == self.name:
            entries["to"].refuse("A row refers to several of another resource, not of its own; make a tree.")
        help_text = columns.sentence(entries["help"]) if "help" in entries else ""
        return Many(name, target, _whole(entries.get("max"), 20, 2, MAX_MANY), help_text)

    def _one(self, name: str, node: Node, entries: Mapping[str, Node], target: Target) -> Relation:
        is_tree = target.name == self.name
        null = entries["null"].flag() if "null" in entries else is_tree
        if is_tree and not null:
            node.refuse("A row that must be within another of its kind could never be made; say `null: true`.")
        on_delete = self._on_delete(entries.get("on_delete"), null)
        for key in ("max_depth", "max_children"):
            if key in entries and not is_tree:
                entries[key].refuse(f"{key} is for relations to self.")
        if not null and self.name in self._required_by(target):
            node.refuse(f"{self.name} and {target.name} would need each other first; let one of them be null.")
        return Relation(
            name=name,
            target=target,
            null=null,
            on_delete=on_delete,
            is_tree=is_tree,
            max_depth=_whole(entries.get("max_depth"), 4, 2, 10),
            max_children=_whole(entries.get("max_children"), 500, 1, 10_000),
            help=columns.sentence(entries["help"]) if "help" in entries else "",
        )

    def _target(self, node: Node) -> Target:
        package, _, name = node.text().rpartition(".")
        if name in ("self", self.name):
            label, model = self.plural, names.class_name(self.name)
            return Target(self.name, "", "self", f"{label}_{model.lower()}")
        target = self.world.targets.get(name)
        if target is None or (package and not f"{target.package}.".startswith(f"{package}.")):
            known = ", ".join(sorted(self.world.targets))
            node.refuse(f"{node.text()!r} is no resource; there are {known}, and self.")
        return target

    def _required_by(self, target: Target) -> set[str]:
        found, more = set[str](), [target.name]
        while more:
            name = more.pop()
            if name not in found and name in self.world.targets:
                found.add(name)
                more += self.world.targets[name].requires
            found.add(name)
        return found

    def _on_delete(self, node: Node | None, null: bool) -> str:
        if node is None:
            return "trash"
        word = "null" if node.kind == "null" else node.text()
        if word not in ON_DELETE:
            node.refuse("Use trash, null or refuse.")
        if word == "null" and not null:
            node.refuse("on_delete: null needs null: true.")
        return word

    # --- Constraints and lists --------------------------------------------------------------------------

    def _items(self, name: str) -> list[Node]:
        if name not in self.entries:
            return []
        items = self.entries[name].items()
        if len(items) > MAX_LISTED:
            self.entries[name].refuse(f"Write up to {MAX_LISTED}.")
        return items

    def _constraints(self) -> tuple[tuple[Unique, ...], tuple[Rule, ...]]:
        uniques, checks = [], []
        for node in self._items("constraints"):
            entries = node.entries(CONSTRAINT_KEYS)
            if ("unique" in entries) == ("check" in entries):
                node.refuse("A constraint is either `unique` or `check`.")
            if "check" in entries:
                if "when" in entries:
                    entries["when"].refuse("`when` is for `unique`.")
                checks.append(rules.parse(entries["check"], self.columns))
                self.checked.append(entries["check"])
                continue
            when = entries["when"].text() if "when" in entries else "live"
            if when not in ("live", "always"):
                entries["when"].refuse("Use live, for rows that are not in the trash, or always.")
            uniques.append(Unique(self._listed(entries["unique"], _INDEXED, "unique"), when == "live"))
            if uniques[-1] in uniques[:-1]:
                node.refuse("This constraint stands twice.")
        return tuple(uniques), tuple(checks)

    def _listed(self, node: Node, types: Collection[str], what: str) -> tuple[str, ...]:
        """The names of a list of fields and relations."""
        listed = []
        for each in node.items():
            name = each.text()
            column = next((one for one in self.columns if one.name == name), None)
            if column is None and name not in {one.name for one in self.relations}:
                each.refuse(f"There is no field or relation {name!r}.")
            if column is not None and column.type not in types:
                each.refuse(f"{name} is {column.type}, which {what} does not take.")
            if column is not None and column.type == "text" and column.max > columns.MAX_INDEXED:
                each.refuse(f"{what} takes texts up to {columns.MAX_INDEXED} characters; lower the max of {name}.")
            if name in listed:
                each.refuse(f"{name} stands twice.")
            listed.append(name)
        if not 1 <= len(listed) <= 5:
            node.refuse("Name 1 to 5 fields.")
        return tuple(listed)

    def _filters(self) -> tuple[Filter, ...]:
        made: list[Filter] = []
        for node in self._items("filters"):
            name = node.text()
            if name in {each.name for each in made}:
                node.refuse(f"{name} stands twice.")
            made.append(self._filter(node, name))
        return tuple(made)

    def _filter(self, node: Node, name: str) -> Filter:
        if name in names.PARAMETERS:
            node.refuse(f"{name} is a parameter of every list; it filters by nothing else.")
        if any(each.name == name for each in self.relations):
            return Filter(name, name, "relation")
        for many in self.many:
            if name == many.stem:
                return Filter(name, many.column, "many")
            if name == many.name:
                node.refuse(f"A list is filtered by one of them: write {many.stem}.")
        return self._filter_by_field(node, name)

    def _filter_by_field(self, node: Node, name: str) -> Filter:
        for column in self.columns:
            if column.name == name:
                if column.type not in (*_INDEXED, "text[]"):
                    node.refuse(f"{name} is {column.type}, by which no list is filtered.")
                return Filter(name, name, "exact")
            for end in _RANGES.get(column.type, ()):
                if name == f"{column.name}_{end}":
                    return Filter(name, column.name, end)
        node.refuse(
            f"{name} is no filter: name a field, a relation, a date or instant with _before or _after, "
            "or a number with _min or _max."
        )

    def _sorts(self) -> tuple[str, ...]:
        made: list[str] = []
        for node in self._items("sort"):
            name = node.text()
            column = next((each for each in self.columns if each.name == name), None)
            if name in made:
                node.refuse(f"{name} stands twice.")
            if name not in OWN_SORTS and (column is None or column.type not in _SORTED):
                node.refuse(f"Sort by created, updated, or a field that is {', '.join(_SORTED)}; {name} is none.")
            if column is not None and column.type == "text" and column.max > columns.MAX_INDEXED:
                node.refuse(f"Texts of more than {columns.MAX_INDEXED} characters have no order; lower its max.")
            made.append(name)
        return tuple(each for each in made if each not in OWN_SORTS)

    def _default_sort(self) -> str:
        if "default_sort" not in self.entries:
            return "-created"
        node = self.entries["default_sort"]
        if node.text().removeprefix("-") not in (*OWN_SORTS, *self._sorts()):
            node.refuse("default_sort is one of sort, with a leading - to reverse it.")
        return node.text()

    def _limit(self) -> int | None:
        if "limits" not in self.entries:
            return None
        entries = self.entries["limits"].entries({"per_user": "rows of one account"})
        if "per_user" not in entries:
            self.entries["limits"].refuse("Say per_user: how many rows an account may have.")
        return _whole(entries["per_user"], 0, 1, MAX_ROWS)


def checked_name(node: Node, name: str, what: str) -> str:
    if not re.fullmatch(names.NAME, name):
        node.refuse(f"{name[:60]!r} is no name for {what}: use snake_case of ASCII letters and digits.")
    if len(name) > names.MAX_NAME:
        node.refuse(f"The name of {what} has {len(name)} characters; {names.MAX_NAME} are the most.")
    return name


def checked_member(node: Node, name: str, what: str) -> None:
    checked_name(node, name, what)
    if reason := names.taken(name):
        node.refuse(f"{reason}; choose another name.")


def _whole(node: Node | None, default: int, least: int, most: int) -> int:
    if node is None:
        return default
    if not least <= node.whole() <= most:
        node.refuse(f"Use a whole number from {least:,} to {most:,}.")
    return node.whole()


def parse(root: Node, world: World) -> Spec:
    """Raises SpecError."""
    return _Parser(root, world).parse()
