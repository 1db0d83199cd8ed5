"""The short form of a spec, for people at a terminal: `habit name:text! goal:int=3 due:date?`."""

import re
from collections.abc import Sequence
from typing import Any

from users.management.startresource import documents
from users.management.startresource.documents import Node, SpecError

_FIELD = re.compile(r"(?P<name>[^:=!?]+):(?P<type>[a-z]+(\[\])?)(?P<mark>[!?])?(=(?P<default>.*))?", re.DOTALL)
_WORDS = {"true": True, "false": False}


def read(name: str, fields: Sequence[str]) -> Node:
    """Raises SpecError."""
    if not fields:
        raise SpecError(f"Say what {name} has: startresource {name} name:text! due:date?")
    spec: dict[str, Any] = {"resource": name, "fields": {}}
    for each in fields:
        found = _FIELD.fullmatch(each)
        if found is None:
            raise SpecError(
                f"{each!r} is no field; write name:type, with ! if required, ? if it may be null, or =default."
            )
        if found["name"] in spec["fields"]:
            raise SpecError(f"{found['name']} stands twice.")
        spec["fields"][found["name"]] = _field(found)
    return documents.of(spec)


def _field(found: re.Match[str]) -> dict[str, Any]:
    field: dict[str, Any] = {"type": found["type"]}
    field |= {"!": {"required": True}, "?": {"null": True}}.get(found["mark"] or "", {})
    if (default := found["default"]) is not None:
        is_number = re.fullmatch("-?(0|[1-9][0-9]*)", default) and found["type"] == "int"
        field["default"] = int(default) if is_number else _WORDS.get(default, default)
    return field
