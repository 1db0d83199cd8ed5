"""What the generated tests and the generated page send: bodies, and filters with what they find."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from users.management.startresource import names
from users.management.startresource.column_code import ColumnCode
from users.management.startresource.spec import Filter, Spec, Target


def example_of(spec: Spec) -> dict[str, Any]:
    """What the declaration shows; the title first."""
    codes = sorted((ColumnCode(spec, each) for each in spec.columns), key=lambda code: code.column is not spec.title)
    found = {each.column.name: each.example for each in codes if each.example is not None}
    return {**found, **{f"{each.name}_id": 42 for each in spec.relations if not each.null}}


def members_of(spec: Spec) -> list[tuple[str, str, str]]:
    """The rows of the page's table: name, type, and what there is to say."""
    found = []
    for each in spec.columns:
        kind = {"enum": ", ".join(f"`{value}`" for value in each.values), "text[]": "texts"}.get(each.type, each.type)
        bounds = f", {each.min:,} to {each.max:,}" if each.type in ("text", "int", "decimal") else ""
        must = "required" if each.required else "or `null`" if each.null else f"default `{json_text(each.default)}`"
        found.append((each.name, f"{kind}{bounds}", f"{must}; {each.help}" if each.help else must))
    for relation in spec.relations:
        must = "or `null`" if relation.null else "required"
        about = f"the id of a {names.words_of(relation.target.name)}, or its uid as `{relation.name}_uid`"
        found.append((f"{relation.name}_id", about, must))
    for many in spec.many:
        about = f"ids of up to {many.most} {names.words_of(many.target.plural)}, or their uids as `{many.stem}_uids`"
        found.append((many.column, about, "default `[]`"))
    return found


def json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


# --- The page ---------------------------------------------------------------------------------------


def _quotable(body: Mapping[str, Any]) -> str:
    """JSON within the single quotes of a shell."""
    return json_text(body).replace("'", "\\u0027")


def made_before(spec: Spec) -> list[tuple[str, str]]:
    """The plurals and bodies of what a row cannot be without, each after what it needs itself."""
    needed = (each.target for each in spec.relations if not each.null)
    return list(dict.fromkeys(step for target in needed for step in _making(target)))


def _making(target: Target) -> Iterator[tuple[str, str]]:
    for each in target.relations.values():
        yield from _making(each)
    uids = {f"{name}_uid": f"our-{each.name}" for name, each in target.relations.items()}
    yield target.plural, _quotable({"uid": f"our-{target.name}", **target.least, **uids})


def body_of(spec: Spec) -> str:
    uids = {f"{each.name}_uid": f"our-{each.target.name}" for each in spec.relations if not each.null}
    shown = {name: value for name, value in example_of(spec).items() if not name.endswith("_id")}
    return _quotable({**shown, **uids})


# --- The tests --------------------------------------------------------------------------------------


def filters_of(spec: Spec) -> list[tuple[str, str]]:
    """By query, whether a row is found, as source; those of required relations are apart."""
    return [case for each in spec.filters if (case := _case(spec, each)) is not None]


def _case(spec: Spec, each: Filter) -> tuple[str, str] | None:
    if each.kind == "many":
        return None
    if each.kind == "relation":
        relation = spec.relation(each.column)
        assert relation is not None
        return (f"{each.name}=none", f'row["{each.column}_id"] is None') if relation.null else None
    column = spec.column(each.column)
    assert column is not None
    example = ColumnCode(spec, column).example
    if column.type == "text[]" and example:
        return f"{each.name}={quote(example[0])}", f'{example[0]!r} in row["{each.column}"]'
    if not example and example is not False and example != 0:
        return None
    value = f'row["{each.column}"]'
    shown = {True: "true", False: "false"}.get(example) if isinstance(example, bool) else str(example)
    query = f"{each.name}={quote(str(shown))}"
    if each.kind == "exact":
        return query, f"{value} {'is' if column.type == 'bool' else '=='} {example!r}"
    sign = {"before": "<", "after": ">", "min": ">=", "max": "<="}[each.kind]
    if column.type == "decimal":
        value, example = f"Decimal({value})", f"Decimal({example!r})"
        return query, f'row["{each.column}"] is not None and {value} {sign} {example}'
    return query, f"{value} is not None and {value} {sign} {example!r}"


def strategies_of(spec: Spec) -> dict[str, str]:
    """By member, values that it keeps as they are, as source for Hypothesis."""
    found = {}
    for each in spec.columns:
        if made := _strategy(ColumnCode(spec, each)):
            found[each.name] = f"st.none() | {made}" if each.null else made
    return found


def _strategy(code: ColumnCode) -> str:
    column = code.column
    if column.pattern or column.type in ("json", "instant", "uuid"):
        return ""
    if column.type == "text":
        least = max(column.min, 1) if column.required or column.null or column.min else 0
        return f"st.text(LETTERS, min_size={least}, max_size={min(column.max, max(least, 60))})"
    if column.type == "decimal":
        return f"st.decimals({code.bounds}, places={column.places}).map(str)"
    if column.type == "text[]":
        most = min(column.max, 3)
        return f'st.lists(st.sampled_from(["a", "b", "c"]), max_size={most}, unique=True)'
    simple = {
        "int": f"st.integers({column.min}, {column.max})",
        "bool": "st.booleans()",
        "date": "st.dates(FIRST_DATE, LAST_DATE).map(str)",
        "enum": f"st.sampled_from({list(column.values)!r})",
    }
    return simple[column.type]
