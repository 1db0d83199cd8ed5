"""Checks that need the whole spec: names that PostgreSQL would cut, and examples that break the spec's own checks."""

from collections.abc import Sequence

from users.management.startresource import names
from users.management.startresource.column_code import ColumnCode
from users.management.startresource.documents import Node
from users.management.startresource.spec import Spec


def refuse_long_names(root: Node, spec: Spec) -> None:
    """Of constraints, indexes and triggers. Raises SpecError."""
    longest = [f"{spec.table}_uid_not_empty", f"{spec.table}_id_seq"]
    longest += [f"{spec.table}_{each.name}_id" for each in spec.relations]
    longest += [f"{spec.table}{each.name.replace('_', '')}_inserted" for each in spec.many]
    longest += [f"{spec.table}_{'_'.join(each)}" for each in spec.indexes]
    longest += [f"{spec.table}_{'_'.join(each.columns)}_unique" for each in spec.uniques]
    for name in longest:
        if len(name) > names.MAX_IDENTIFIER:
            root.refuse(f"{name} has {len(name)} bytes, and PostgreSQL keeps {names.MAX_IDENTIFIER}: shorten names.")


def refuse_broken_checks(checked: Sequence[Node], spec: Spec) -> None:
    """By the rows that the tests and the documentation make: of all that has an example, and of the least. `checked`
    are the checks of the spec, in their order. Raises SpecError."""
    examples = {each.name: ColumnCode(spec, each).example_value for each in spec.columns}
    defaults = {each.name: each.default for each in spec.columns}
    least = {each.name: examples[each.name] if each.required else each.default for each in spec.columns}
    most = {name: defaults[name] if value is None else value for name, value in examples.items()}
    for node, rule in zip(checked, spec.checks, strict=True):
        for what, values in (("examples", most), ("defaults", least)):
            if not rule.holds(values):
                node.refuse(
                    f"A row of {what} breaks {rule.text!r}; give its fields an example or a default that holds."
                )
