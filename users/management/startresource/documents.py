"""Specs as text: YAML or JSON with the line of every value, so that a refusal can name it. Data only, no tags."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml

MAX_BYTES = 1_000_000
MAX_DEPTH, MAX_LONG_DEPTH = 8, 40  # levels; a spec has five
# Of long documents: ten times as fast, where libyaml is there, but JSON may have escapes that it refuses.
_FAST: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PREFIX = "tag:yaml.org,2002:"
_PLAIN = {"int": "a whole number", "float": "a number", "bool": "true or false", "null": "null", "timestamp": "a date"}


class SpecError(Exception):
    """A refusal: one sentence that says what to do, and where: the key, and the line of the file."""

    def __init__(self, sentence: str, line: int = 0, key: str = "") -> None:
        super().__init__(sentence)
        self.sentence, self.line, self.key = sentence, line, key

    def __str__(self) -> str:
        place = ", ".join(part for part in (f"line {self.line}" if self.line else "", self.key) if part)
        return f"{place}: {self.sentence}" if place else self.sentence


@dataclass(frozen=True)
class Node:
    """A value with its line, and with its key as a path: `fields.goal.max`. `kind` is YAML's: `str`, `int`, `map`…"""

    value: Any  # of a map, nodes by key; of a seq, nodes
    kind: str
    line: int
    key: str

    def refuse(self, sentence: str) -> NoReturn:
        raise SpecError(sentence, self.line, self.key)

    def entries(self, known: dict[str, str]) -> dict[str, "Node"]:
        """The members of a map whose keys are all known; `known` tells what each is for."""
        if self.kind != "map":
            self.refuse(f"Write it as keys and values: {', '.join(known)}.")
        for name, each in self.value.items():
            if name not in known:
                each.refuse(f"There is no key {name!r} here; use {', '.join(known)}.")
        return dict(self.value)

    def named(self) -> dict[str, "Node"]:
        """The members of a map whose keys are names."""
        if self.kind != "map":
            self.refuse("Write it as names, each with its keys.")
        return dict(self.value)

    def items(self) -> list["Node"]:
        if self.kind != "seq":
            self.refuse("Write it as a list: [a, b].")
        return list(self.value)

    def text(self) -> str:
        if self.kind != "str":
            hint = f"; {_PLAIN[self.kind]} is put into quotes to be one" if self.kind in _PLAIN else ""
            self.refuse(f"Write it as a text{hint}.")
        return str(self.value)

    def whole(self) -> int:
        if self.kind != "int":
            self.refuse("Write it as a whole number.")
        return int(self.value)

    def flag(self) -> bool:
        if self.kind != "bool":
            self.refuse("Write true or false.")
        return bool(self.value)

    def plain(self) -> Any:
        """The value without lines, as JSON has it."""
        if self.kind == "map":
            return {name: each.plain() for name, each in self.value.items()}
        return [each.plain() for each in self.value] if self.kind == "seq" else self.value


def read(content: bytes, *, is_json: bool = False, is_long: bool = False) -> Node:
    """Raises SpecError."""
    if len(content) > MAX_BYTES:
        raise SpecError(f"The spec has more than {MAX_BYTES:,} bytes; a resource needs a few hundred.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecError("The spec is not UTF-8; save it so.", content.count(b"\n", 0, error.start) + 1) from error
    if is_json:
        text = _checked_json(text)
    try:
        kind = _FAST if is_long else yaml.SafeLoader
        _refuse_what_is_no_data(text, kind, MAX_DEPTH if not is_long else MAX_LONG_DEPTH)
        loader: Any = kind(text)
        try:
            root = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise SpecError(f"This is no YAML: {error.problem}.", line) from error
    except yaml.YAMLError as error:
        raise SpecError("The spec holds a character that YAML forbids; take it out.") from error
    if root is None:
        raise SpecError("The spec is empty; begin with `resource: <name>`.")
    return _node(root, "")


def of(value: Any) -> Node:
    """The node of a value that another format has; all of it is on no line."""
    return read(json.dumps(value).encode(), is_json=True)


def _checked_json(text: str) -> str:
    """The text as YAML reads it. Tabs stand only between values; characters beyond the first plane come as two."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise SpecError(f"This is no JSON: {error.msg}.", error.lineno) from error
    except (RecursionError, ValueError) as error:
        raise SpecError("This JSON is nested too deeply, or has a number that is too long.") from error
    return text.replace("\t", " ").replace("\\/", "/")


def _refuse_what_is_no_data(text: str, loader: Any, most: int) -> None:
    """Before anything is composed: aliases grow without bound, and tags make objects."""
    depth = 0
    for event in _events(text, loader):
        line = _line(event)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise SpecError("A spec has no anchors and aliases (& and *); write the value out.", line)
        if getattr(event, "tag", None):
            raise SpecError("A spec has no tags (!); write plain values.", line)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > most:
            raise SpecError(f"The spec is nested deeper than {most} levels.", line)


def _line(place: Any) -> int:
    return int(place.start_mark.line) + 1


def _events(text: str, loader: Any) -> Iterator[Any]:
    documents = 0
    for event in yaml.parse(text, Loader=loader):
        documents += isinstance(event, yaml.DocumentStartEvent)
        if documents > 1:
            raise SpecError("A spec is one document; take the second `---` out.", _line(event))
        yield event


def _node(node: yaml.Node, key: str) -> Node:
    line = _line(node)
    if isinstance(node, yaml.MappingNode):
        members: dict[str, Node] = {}
        for name_node, value in node.value:
            name_line = _line(name_node)
            if not isinstance(name_node, yaml.ScalarNode) or name_node.value == "<<":
                raise SpecError("A key is a plain name.", name_line, key)
            # As it is written: `null`, `on` and `1` are names here, too.
            name = _joined(name_node.value)
            path = f"{key}.{name}" if key else name
            if name in members:
                raise SpecError(f"The key {name!r} stands twice.", name_line, path)
            members[name] = _node(value, path)
        return Node(members, "map", line, key)
    if isinstance(node, yaml.SequenceNode):
        return Node([_node(each, f"{key}[{number}]") for number, each in enumerate(node.value)], "seq", line, key)
    return _scalar(node, line, key)


def _scalar(node: Any, line: int, key: str) -> Node:
    kind = node.tag.removeprefix(_PREFIX)
    if kind == "str" or node.style in ("'", '"', "|", ">"):
        text = _joined(node.value)
        if re.search("[\0\ud800-\udfff]", text):
            raise SpecError("This text holds what PostgreSQL cannot store: NUL, or half a character.", line, key)
        return Node(text, "str", line, key)
    if kind == "timestamp":  # a date is written as in JSON
        return Node(node.value, "str", line, key)
    if kind == "int" and not re.fullmatch(r"-?(0|[1-9][0-9]{0,30})", node.value):
        raise SpecError("Write a whole number in decimal digits, without underscores or leading zeros.", line, key)
    if kind == "float" and not re.fullmatch(r"-?[0-9]+\.[0-9]+", node.value):
        raise SpecError("Write a number with digits before and after the point.", line, key)
    if kind == "bool" and node.value not in ("true", "false"):
        raise SpecError(f"YAML takes {node.value} for true or false; put it into quotes if it is a word.", line, key)
    values: dict[str, Any] = {
        "int": int,
        "float": float,
        "bool": lambda text: text == "true",
        "null": lambda text: None,
    }
    if kind not in values:
        raise SpecError("Put this value into quotes.", line, key)
    return Node(values[kind](node.value), kind, line, key)


def _joined(text: str) -> str:
    """JSON writes a character beyond the first plane as two escapes, which YAML leaves apart."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
