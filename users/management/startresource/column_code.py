"""The fields of a spec as source code: of the model, the migration, the serializer and the form."""

import datetime as dt
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from users.management.startresource import names
from users.management.startresource.columns import MAX_INT, Column
from users.management.startresource.spec import Spec

# Attributes of DRF's serializers, which a declared field does not hide; mypy takes it for a contradiction.
OF_SERIALIZERS = names.as_words(
    """
    allow_null context data default errors field_name fields help_text initial initial_data instance label many parent
    partial read_only required root source style validated_data validators write_only
    """
)


def literal(value: Any) -> str:
    """A value as source."""
    if isinstance(value, Decimal):
        return f'Decimal("{value}")'
    if isinstance(value, dt.datetime):
        return f"dt.datetime.fromisoformat({value.isoformat()!r})"
    if isinstance(value, dt.date):
        return f"dt.date({value.year}, {value.month}, {value.day})"
    if isinstance(value, uuid.UUID):
        return f'uuid.UUID("{value}")'
    return repr(value)


def json_of(value: Any) -> Any:
    """As an answer of the API has it."""
    if isinstance(value, dt.datetime):
        return value.isoformat().replace("+00:00", "Z")
    return value if isinstance(value, bool | int | str | list | dict | None) else str(value)


def call(name: str, *positional: str, **options: Any) -> str:
    """A call without the options that are None."""
    named = [f"{key}={value}" for key, value in options.items() if value is not None]
    return f"{name}({', '.join([*positional, *named])})"


@dataclass(frozen=True)
class ColumnCode:
    spec: Spec
    column: Column

    def __getattr__(self, name: str) -> Any:
        return getattr(self.column, name)

    @property
    def model(self) -> str:
        return names.class_name(self.spec.name)

    @property
    def enum(self) -> str:
        return f"{self.model}{names.class_name(self.column.name)}"

    @property
    def members(self) -> list[tuple[str, str]]:
        return [(each.upper(), each) for each in self.column.values]

    @property
    def words(self) -> str:
        return names.words_of(self.column.name)

    @property
    def is_sorted_text(self) -> bool:
        return self.column.type == "text" and self.column.name in self.spec.sorts

    @property
    def pattern_sentence(self) -> str:
        pattern = self.column.pattern.replace("{", "{{").replace("}", "}}")  # DRF formats its messages
        return f"Write a {self.words} of this form: {pattern}"

    @property
    def is_trimmed(self) -> bool:
        return self.column.type == "text" and self.column.required

    @property
    def max_name(self) -> str:
        return f"MAX_{self.column.name.upper()}"

    @property
    def each_name(self) -> str:
        return f"MAX_{self.column.name.upper()}_EACH"

    @property
    def pattern_name(self) -> str:
        return self.column.name.upper()

    @property
    def bounds(self) -> str:
        return f"{literal(self.column.min)}, {literal(self.column.max)}"

    @property
    def is_bounded(self) -> bool:
        """Whether the database has to look: an integer column has the widest bounds by itself."""
        return self.column.type == "decimal" or (
            self.column.type == "int" and (self.column.min, self.column.max) != (-MAX_INT, MAX_INT)
        )

    # --- The model and its migrations -------------------------------------------------------------------

    def model_field(self, *, inline: bool = False) -> str:
        """Without constants if `inline`, as migrations are."""
        return self._model_field(inline=inline, null="True" if self.column.null or self._is_null_when_erased else None)

    @property
    def in_model(self) -> str:
        return self.model_field()

    @property
    def in_migration(self) -> str:
        return self.model_field(inline=True)

    @property
    def in_migration_nullable(self) -> str:
        """As a new column of rows that are there begins."""
        return self._model_field(inline=True, null="True")

    @property
    def _is_null_when_erased(self) -> bool:
        return self.column.required and self.column.type != "text"

    def _model_field(self, *, inline: bool, null: str | None) -> str:
        column = self.column
        is_optional = not column.required and column.type != "bool"
        blank = "True" if is_optional and (column.null or not column.default) else None
        default = None if column.required or column.null and column.default is None else literal(column.default)
        options: dict[str, Any] = {"null": null, "blank": blank, "default": default}
        match column.type:
            case "text":
                most = str(column.max) if inline else self.max_name
                return call("models.CharField", max_length=most, **options)
            case "decimal":
                return call("models.DecimalField", max_digits=column.digits, decimal_places=column.places, **options)
            case "enum":
                pairs = repr([(each, names.words_of(each).title()) for each in column.values])
                if not inline and default is not None:
                    options["default"] = f"{self.enum}.{column.default.upper()}"
                return call("models.TextField", choices=pairs if inline else f"{self.enum}.choices", **options)
            case "json":
                return call("models.JSONField", blank="True", default="dict")
            case "text[]":
                array = "django.contrib.postgres.fields.ArrayField" if inline else "ArrayField"
                return call(array, "models.TextField()", blank="True", default="list")
        return call(f"models.{_MODEL_FIELDS[column.type]}", **options)

    @property
    def key_field(self) -> str:
        return f'models.CharField(max_length={self.max_name}, default="", editable=False, db_collation="C")'

    @property
    def key_field_inline(self) -> str:
        return f'models.CharField(db_collation="C", default="", editable=False, max_length={self.column.max})'

    def conditions(self, *, inline: bool = False) -> list[str]:
        """What the database checks, as keywords of Q."""
        column, found = self.column, []
        if self._is_null_when_erased:
            found.append(f"{column.name}__isnull=False")
        if column.type == "text" and column.min > 0 and not column.null:
            found.append(f'{column.name}__gt=""')
        if self.is_bounded:
            found.append(f"{column.name}__range=({self.bounds})")
        if column.type == "enum":
            found.append(
                f"{column.name}__in={list(column.values)!r}" if inline else f"{column.name}__in={self.enum}.values"
            )
        if column.type == "text[]":
            found.append(f"{column.name}__len__lte={column.max if inline else self.max_name}")
        return found

    @property
    def rule(self) -> tuple[str, str] | None:
        """What a row must fulfil, as an expression of `row`, and as a sentence."""
        if self.column.type not in _RULES:
            return None
        holds, sentence = _RULES[self.column.type](self)
        value = f"row.{self.column.name}"
        if self.column.null:
            holds = f"{value} is None or ({holds})" if " and " in holds else f"{value} is None or {holds}"
        elif self._is_null_when_erased:
            holds = f"{value} is not None and {holds}"
        return holds, sentence

    # --- The serializer ---------------------------------------------------------------------------------

    @property
    def field_class(self) -> str:
        """The name of a class of its own, if it needs one."""
        own = self.column.is_clearable or self.column.pattern or self.column.type == "text[]"
        if self.column.type == "json":
            return "ExtraField"
        return f"{names.class_name(self.column.name)}Field" if own else self.base_class

    @property
    def has_own_class(self) -> bool:
        return self.field_class not in (self.base_class, "ExtraField")

    @property
    def base_class(self) -> str:
        return _SERIALIZER_FIELDS[self.column.type]

    @property
    def field_bases(self) -> str:
        return f"Clearable, {self.base_class}" if self.column.is_clearable else self.base_class

    @property
    def in_serializer(self) -> str:
        column = self.column
        if column.type == "json":
            return f'ExtraField("{column.name}")'
        options: dict[str, Any] = {}
        if column.is_clearable:
            options["cleared"] = literal(column.default)
        elif not column.required:
            options |= {"required": "False", "allow_null": "True" if column.null else None}
        options |= self._bounds_in_serializer()
        options["help_text"] = repr(column.help) if column.help else None
        return call(self.field_class, **options)

    def _bounds_in_serializer(self) -> dict[str, Any]:
        column = self.column
        match column.type:
            case "text":
                blank = "True" if not column.required and not column.null and column.min == 0 else None
                bounds = {"min_length": column.min if column.min > 1 else None, "max_length": self.max_name}
                return {**bounds, "allow_blank": blank, "trim_whitespace": None if column.required else "False"}
            case "int":
                return {"min_value": column.min, "max_value": column.max}
            case "decimal":
                least, most = literal(column.min), literal(column.max)
                return {"digits": column.digits, "places": column.places, "min_value": least, "max_value": most}
            case "enum":
                return {"choices": f"{self.enum}.choices"}
            case "text[]":
                return {"max_length": self.max_name}
        return {}

    @property
    def ignored(self) -> str:
        return "  # type: ignore[assignment]" if self.column.name in OF_SERIALIZERS else ""

    # --- The form ---------------------------------------------------------------------------------------

    @property
    def in_form(self) -> str:
        """Of a text."""
        is_optional = not self.column.required
        options: dict[str, Any] = {"max_length": self.max_name, "required": "False" if is_optional else None}
        options["empty_value"] = "None" if self.column.null else None
        options["initial"] = literal(self.column.default) if self.column.default else None
        if self.column.is_line:
            return call("LineField", **options, widget="UnfoldAdminTextInputWidget()")
        strip = "False" if is_optional else None
        return call("TextField", **options, strip=strip, widget="PlainTextarea()")

    @property
    def is_in_form(self) -> bool:
        return self.column.type not in ("json", "text[]")

    # --- Examples ---------------------------------------------------------------------------------------

    @property
    def example(self) -> Any:
        """As the API has it; None where nothing has to be shown."""
        column = self.column
        if column.example is not None:
            return json_of(column.example)
        if column.type == "text":
            if column.pattern or not column.required:
                return None
            text = f"{names.words_of(self.spec.name).capitalize()} {self.words}"
            return (
                (text * (1 + column.min // len(text)))[: column.max].strip() if column.min > 1 else text[: column.max]
            )
        if column.type in ("int", "decimal"):
            nearest = max(column.min, min(column.max, Decimal(1).quantize(Decimal(1).scaleb(-column.places))))
            return int(nearest) if column.type == "int" else str(nearest)
        if column.type == "text[]":
            return ["home"[: column.each]]
        return _EXAMPLES.get(column.type, column.values[-1] if column.values else None)

    @property
    def example_value(self) -> Any:
        """The example in Python."""
        example = self.example
        parse = _PARSED.get(self.column.type)
        return parse(example) if parse is not None and example is not None else example


_PARSED: Mapping[str, Callable[[Any], Any]] = {
    "date": dt.date.fromisoformat,
    "instant": lambda text: dt.datetime.fromisoformat(text.replace("Z", "+00:00")),
    "decimal": Decimal,
}
_MODEL_FIELDS = {
    "int": "IntegerField", "bool": "BooleanField", "date": "DateField", "instant": "DateTimeField", "uuid": "UUIDField",
}  # fmt: skip
_SERIALIZER_FIELDS = {
    "text": "TextField", "int": "IntegerField", "decimal": "DecimalField", "bool": "BooleanField", "date": "DateField",
    "instant": "InstantField", "enum": "ChoiceField", "uuid": "UuidField", "json": "ExtraField", "text[]": "ListField",
}  # fmt: skip
_EXAMPLES: Mapping[str, Any] = {
    "bool": True,
    "date": "2026-12-01",
    "instant": "2026-12-01T09:30:00Z",
    "uuid": "7f9c24e5-2f4d-4c6b-9d57-0a1b2c3d4e5f",
    "json": {"source": "paper"},
}


def _rule_of_text(code: ColumnCode) -> tuple[str, str]:
    column, value = code.column, f"row.{code.column.name}"
    span = f"{column.min} to {column.max:,}" if column.min else f"up to {column.max:,}"
    bounds = f"{column.min} <= len({value}) <= {code.max_name}" if column.min else f"len({value}) <= {code.max_name}"
    holds = f"{bounds} and is_storable({value})"
    if column.pattern:
        holds += f" and {code.pattern_name}.fullmatch({value})"
        return holds, f"{names.with_article(column.name)} has {span} characters, and its form."
    return holds, f"{names.with_article(column.name)} has {span} characters."


def _rule_of_number(code: ColumnCode) -> tuple[str, str]:
    column = code.column
    holds = f"{literal(column.min)} <= row.{column.name} <= {literal(column.max)}"
    return holds, f"{names.with_article(column.name)} is a number from {column.min:,} to {column.max:,}."


def _rule_of_list(code: ColumnCode) -> tuple[str, str]:
    value, column = f"row.{code.column.name}", code.column
    holds = f"len({value}) <= {code.max_name} and all(0 < len(each) <= {code.each_name} for each in {value})"
    return (
        holds,
        f"{names.words_of(column.name).capitalize()} are up to {column.max} of up to {column.each} characters.",
    )


_RULES: Mapping[str, Callable[[ColumnCode], tuple[str, str]]] = {
    "text": _rule_of_text,
    "int": _rule_of_number,
    "decimal": _rule_of_number,
    "text[]": _rule_of_list,
    "enum": lambda code: (
        f"row.{code.column.name} in {code.enum}.values",
        f"{names.with_article(code.column.name)} is one of: {', '.join(code.column.values)}.",
    ),
    "date": lambda code: (
        f"FIRST_DATE <= row.{code.column.name} <= LAST_DATE",
        f"{names.with_article(code.column.name)} is a date from 1900 to 2999.",
    ),
    "instant": lambda code: (
        f"FIRST_INSTANT <= row.{code.column.name} <= LAST_INSTANT",
        f"{names.with_article(code.column.name)} is a time from 1900 to 2999.",
    ),
}
