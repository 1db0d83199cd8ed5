"""Checks of a spec, such as `goal <= 7` or `starts < ends`: comparisons, joined by `and`."""

import operator as operators
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from users.management.startresource.columns import Column, value_of
from users.management.startresource.documents import Node

# In Python, as a lookup of Django, and with both sides swapped.
OPERATORS = {
    "<=": ("<=", "lte"),
    ">=": (">=", "gte"),
    "!=": ("!=", ""),
    "=": ("==", ""),
    "<": ("<", "lt"),
    ">": (">", "gt"),
}
_COMPARE = {
    "<=": operators.le, ">=": operators.ge, "!=": operators.ne, "=": operators.eq, "<": operators.lt, ">": operators.gt,
}  # fmt: skip
_COMPARISON = re.compile(r"\s*([a-z][a-z0-9_]*)\s*(<=|>=|!=|=|<|>)\s*(.+?)\s*")
_TYPES = ("int", "decimal", "date", "instant", "enum", "bool", "text")
MAX_COMPARISONS = 10


@dataclass(frozen=True)
class Comparison:
    column: str
    operator: str
    other: str = ""  # a field, or else a value
    value: object = None


@dataclass(frozen=True)
class Rule:
    text: str
    comparisons: tuple[Comparison, ...]

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Of a row with these values; a comparison with nothing holds, as in SQL."""
        pairs = [
            (each.operator, values[each.column], values[each.other] if each.other else each.value)
            for each in self.comparisons
        ]
        return all(None in pair or _COMPARE[sign](*pair) for sign, *pair in pairs)


def parse(node: Node, columns: Sequence[Column]) -> Rule:
    """Raises SpecError."""
    parts = re.split(r"\s+and\s+", node.text().strip())
    if len(parts) > MAX_COMPARISONS or len(node.text()) > 300:
        node.refuse(f"A check has up to {MAX_COMPARISONS} comparisons and 300 characters.")
    return Rule(node.text().strip(), tuple(_comparison(node, part, columns) for part in parts))


def _comparison(node: Node, part: str, columns: Sequence[Column]) -> Comparison:
    by_name = {each.name: each for each in columns}
    found = _COMPARISON.fullmatch(part)
    if not found:
        node.refuse(f"{part[:60]!r} is no comparison; write `goal <= 7` or `starts < ends`, joined by `and`.")
    name, operator, right = found.groups()
    column = by_name.get(name)
    if column is None or column.type not in _TYPES:
        node.refuse(f"{name} is no field that can be compared.")
    if operator in ("<", "<=", ">", ">=") and column.type in ("enum", "bool", "text"):
        node.refuse(f"{name} is {column.type}, which has no order; use = or !=.")
    if other := by_name.get(right):
        if other.type != column.type or other is column:
            node.refuse(f"{name} is compared with another field of its type, or with a value.")
        return Comparison(name, operator, other=right)
    literal = Node(*_literal(right), node.line, node.key)
    value = value_of(column, literal)
    if _contradicts(column, operator, value):
        node.refuse(f"{part.strip()!r} contradicts the bounds of {name}, so that no row could be stored.")
    return Comparison(name, operator, value=value)


def _literal(text: str) -> tuple[object, str]:
    if re.fullmatch(r"-?[0-9]{1,30}", text):
        return int(text), "int"
    if re.fullmatch(r"-?[0-9]{1,30}\.[0-9]{1,30}", text):
        return text, "str"
    if text in ("true", "false"):
        return text == "true", "bool"
    return text.strip("'\""), "str"


def _contradicts(column: Column, operator: str, value: object) -> bool:
    """Of a number."""
    if column.type not in ("int", "decimal"):
        return False
    never = {
        "<": column.min >= value, "<=": column.min > value, ">": column.max <= value, ">=": column.max < value,
        "!=": column.min == column.max == value,
    }  # fmt: skip
    return bool(never.get(operator, False))
