"""New migrations for a changed spec: what is added, altered and dropped; those that are there are never touched."""

import re
from collections.abc import Iterable
from pathlib import Path

from users.management.startresource import files, names, world
from users.management.startresource.column_code import ColumnCode, literal
from users.management.startresource.columns import Column
from users.management.startresource.documents import SpecError
from users.management.startresource.files import Files, Place
from users.management.startresource.relation_code import RelationCode
from users.management.startresource.spec import Spec

_HEAD = """import datetime as dt
import uuid
from decimal import Decimal

import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Q

from config.database.isolation import isolate, refer, refer_each, undone, validate_reference
from tasks.text import fold, fold_all


"""


class Difference:
    """Of two specs of one resource, as operations of migrations, in the order in which PostgreSQL takes them."""

    def __init__(self, before: Spec, after: Spec) -> None:
        if (before.name, before.plural) != (after.name, after.plural):
            raise SpecError(f"{before.name} is another resource than {after.name}; a renamed one is a new one.")
        self.before, self.after = before, after
        self.model = names.class_name(after.name).lower()
        self.destroys: list[str] = []
        self.first: list[str] = []  # makes room, and adds columns
        self.fills: list[tuple[str, str]] = []  # by column, the expression of its value for a row
        self.last: list[str] = []  # constrains
        self.words: list[str] = []  # of the name
        self._columns()
        self._derived()
        self._relations()
        self._many()
        self._constraints()
        self._indexes()

    def _add(self, name: str, field: str) -> str:
        return f'migrations.AddField("{self.model}", "{name}", {field})'

    def _alter(self, name: str, field: str) -> str:
        return f'migrations.AlterField("{self.model}", "{name}", {field})'

    def _drop(self, name: str, what: str) -> None:
        self.first.append(f'migrations.RemoveField("{self.model}", "{name}")')
        self.destroys.append(f"{what} {name} is dropped, with what it holds in every row")
        self.words.append(f"no_{name}")

    def _columns(self) -> None:
        old = {each.name: each for each in self.before.columns}
        new = {each.name: each for each in self.after.columns}
        for name in old.keys() - new.keys():
            self._drop(name, "the field")
        for name, column in new.items():
            code = ColumnCode(self.after, column)
            if name not in old:
                self.words.append(name)
                self._new(code)
            elif old[name].type != column.type:
                self._drop(name, "the field")
                self._new(code)
            elif ColumnCode(self.before, old[name]).in_migration != code.in_migration:
                self.words.append(name)
                self._altered(old[name], code)

    def _new(self, code: ColumnCode) -> None:
        """One that every row must have: null at first, then filled with the example, then constrained."""
        column = code.column
        if not column.required:
            self.first.append(self._add(column.name, code.in_migration))
            return
        if code.example is None:
            raise SpecError(f"The rows that are there need a value of {column.name}: give it an example.")
        self.first.append(self._add(column.name, code.in_migration_nullable))
        self.fills.append((column.name, _value(column, code)))
        if column.type == "text":
            self.last.append(self._alter(column.name, code.in_migration))

    def _altered(self, old: Column, code: ColumnCode) -> None:
        new = code.column
        is_fuller = (old.null or old.required) and not (new.null or new.required) or (old.null and new.required)
        if is_fuller:
            value = literal(new.default) if new.default is not None else _value(new, code)
            self.fills.append((new.name, value))
            self.destroys.append(f"the field {new.name} is no longer null: rows without it get {value}")
        (self.last if is_fuller else self.first).append(self._alter(new.name, code.in_migration))

    def _derived(self) -> None:
        """Columns that are computed from others, of the rows that are there."""
        old = {f"{each.name}_key": each for each in self.before.columns if ColumnCode(self.before, each).is_sorted_text}
        new = {f"{each.name}_key": each for each in self.after.columns if ColumnCode(self.after, each).is_sorted_text}
        for name in old.keys() - new.keys():
            self.first.append(f'migrations.RemoveField("{self.model}", "{name}")')
        for name, column in new.items():
            field = ColumnCode(self.after, column).key_field_inline
            if name not in old:
                self.first.append(self._add(name, field))
                self.fills.append((name, f'fold(row.{column.name} or "")[:{column.max}]'))
                self.words.append(name)
            elif old[name].max != column.max:
                self.first.append(self._alter(name, field))
        searched = [[each for each in spec.columns if each.search] for spec in (self.before, self.after)]
        if searched[0] and not searched[1]:
            self.first.append(f'migrations.RemoveField("{self.model}", "search_text")')
        if searched[1] and not searched[0]:
            self.first.append(self._add("search_text", 'models.TextField(default="", editable=False)'))
        if searched[1] and [each.name for each in searched[0]] != [each.name for each in searched[1]]:
            texts = (f"*row.{each.name}" if each.type == "text[]" else f'row.{each.name} or ""' for each in searched[1])
            self.fills.append(("search_text", f"fold_all([{', '.join(texts)}], {{}})"))
            self.words.append("search")

    def _relations(self) -> None:
        old = {each.name: each for each in self.before.relations}
        new = {each.name: each for each in self.after.relations}
        table = self.after.table
        for name in old.keys() - new.keys():
            self._drop(name, "the relation")
        for name, relation in new.items():
            if name not in old:
                if not relation.null:
                    raise SpecError(f"The rows that are there have no {name}: say null: true.")
                self.first.append(self._add(name, RelationCode(self.after, relation).in_migration))
                self.last += [
                    f'refer("{table}", "{name}_id", "{relation.target.table}")',
                    f'validate_reference("{table}", "{name}_id")',
                ]
                self.words.append(name)
            elif (old[name].target.name, old[name].null) != (relation.target.name, relation.null):
                raise SpecError(f"{name} becomes another relation; give the new one another name.")

    def _many(self) -> None:
        old = {each.name: each for each in files.many_of(self.before)}
        new = {each.name: each for each in files.many_of(self.after)}
        for name in old.keys() - new.keys():
            made = [f"undone({old[name].refer})", f'undone(isolate("{old[name].pairs_table}"))']
            self.first += [*made, f'migrations.DeleteModel("{old[name].pairs}")']
            self._drop(old[name].column, "the relation")
        for name, many in new.items():
            if name not in old:
                self.first.append(self._add(many.column, many.in_migration))
                self.last += [many.create_pairs, f'isolate("{many.pairs_table}")', many.refer]
                self.words.append(name)
            elif old[name].target.name != many.target.name:
                raise SpecError(f"{name} becomes another relation; give the new one another name.")

    def new_targets(self) -> set[str]:
        """The apps that new relations refer to."""
        old, new = (
            {each.name: each.target for each in spec.relations} | {each.name: each.target for each in spec.many}
            for spec in (self.before, self.after)
        )
        return {new[name].model.split(".")[0] for name in new.keys() - old.keys() if new[name].package}

    def _constraints(self) -> None:
        old, new = files.constraints_of(self.before), files.constraints_of(self.after)
        for name in old:
            if new.get(name) != old[name]:
                self.first.insert(0, f'migrations.RemoveConstraint("{self.model}", "{name}")')
        for name, source in new.items():
            if old.get(name) != source:
                self.last.append(f'migrations.AddConstraint("{self.model}", {source})')
                self.words.append(name.removeprefix(f"{self.after.table}_"))
        self.destroys += list(narrowed(self.before, self.after))

    def _indexes(self) -> None:
        indexes = [{each.name: each.whole for each in files.indexes_of(spec)} for spec in (self.before, self.after)]
        for name in indexes[0]:
            if indexes[1].get(name) != indexes[0][name]:
                self.first.insert(0, f'migrations.RemoveIndex("{self.model}", "{name}")')
        for name, source in indexes[1].items():
            if indexes[0].get(name) != source:
                self.last.append(f'migrations.AddIndex("{self.model}", {source})')
                self.words.append(f"{name.removeprefix(f'{self.after.table}_')}_index")


def _value(column: Column, code: ColumnCode) -> str:
    """The example, as source."""
    example = code.example
    parsed = {
        "date": f"dt.date.fromisoformat({example!r})",
        "instant": f"dt.datetime.fromisoformat({str(example).replace('Z', '+00:00')!r})",
        "decimal": f"Decimal({example!r})",
        "uuid": f"uuid.UUID({example!r})",
    }
    return parsed.get(column.type, repr(example))


def narrowed(before: Spec, after: Spec) -> Iterable[str]:
    """Sentences about what rows may no longer be."""
    for column in after.columns:
        old = before.column(column.name)
        if old is not None and old.type == column.type:
            yield from _narrowed_column(old, column)
    old_many = {each.name: each.most for each in before.many}
    for many in after.many:
        if many.most < old_many.get(many.name, 0):
            yield f"fewer {many.name} are allowed: rows that have more refuse the migration"
    for rule in set(after.checks) - set(before.checks):
        yield f"a new check, {rule.text}: rows that break it refuse the migration"
    for unique in set(after.uniques) - set(before.uniques):
        yield f"{', '.join(unique.columns)} become unique: rows that are alike refuse the migration"


def _narrowed_column(old: Column, new: Column) -> Iterable[str]:
    is_bounded = new.type in ("int", "decimal", "text", "text[]")
    if is_bounded and (new.max < old.max or (old.min is not None and new.min > old.min)):
        yield f"the bounds of {new.name} are narrower: rows beyond them refuse the migration"
    if gone := [value for value in old.values if value not in new.values]:
        yield f"{new.name} loses {', '.join(gone)}: rows that have it refuse the migration"


def migrations(before: Spec, after: Spec, place: Place, root: Path) -> tuple[Files, list[str]]:
    """New files, none where the table stays as it is; and what they destroy. Raises SpecError."""
    difference = Difference(before, after)
    folder = root / place.folder / "migrations"
    taken = sorted(path.stem for path in folder.glob("[0-9]*.py"))
    name = "_".join(dict.fromkeys(difference.words))[:40].strip("_") or "changed"
    steps: list[tuple[str, list[str], str]] = []
    if difference.fills:
        steps.append((name, difference.first, ""))
        steps.append((f"fill_{name}", ["migrations.RunPython(fill, migrations.RunPython.noop)"], _filling(difference)))
        steps.append((f"constrain_{name}", difference.last, ""))
    else:
        steps.append((name, [*difference.first, *difference.last], ""))
    made, previous = {}, taken[-1]
    targets = difference.new_targets()
    others = [each for each in world.dependencies(after)["dependencies"] if each[0] in targets] if targets else []
    for step, operations, function in steps:
        if not operations:
            continue
        number = int(previous[:4]) + 1
        current = f"{number:04}_{re.sub('[^a-z0-9_]', '', step)}"
        body, dependencies = ",\n        ".join(operations), [(after.plural, previous), *others]
        made[f"{place.folder}/migrations/{current}.py"] = (
            f"{_HEAD}{function}class Migration(migrations.Migration):\n"
            f"    dependencies = {dependencies!r}\n\n    operations = [\n        {body},\n    ]\n"
        )
        previous = current
    return files.formatted(made) if made else {}, difference.destroys


def _filling(difference: Difference) -> str:
    model = names.class_name(difference.after.name)
    assignments = "\n".join(f"        row.{name} = {value}" for name, value in difference.fills)
    fields = [name for name, _ in difference.fills]
    return (
        f'def fill(apps, schema_editor):\n    """Of the rows that are there; put in what yours shall have."""\n'
        f'    rows = apps.get_model("{difference.after.plural}", "{model}").objects\n'
        f"    for row in rows.filter(erased_at=None).iterator():\n{assignments}\n"
        f"        row.save(update_fields={fields!r})\n\n\n"
    )
