"""The relations, filters and constraints of a spec as source code."""

from dataclasses import dataclass
from typing import Any

from users.management.startresource import names
from users.management.startresource.column_code import OF_SERIALIZERS, ColumnCode, call, literal
from users.management.startresource.columns import MAX_INT
from users.management.startresource.rules import OPERATORS, Comparison, Rule
from users.management.startresource.spec import ON_DELETE, Filter, Many, Relation, Spec, Unique


@dataclass(frozen=True)
class RelationCode:
    spec: Spec
    relation: Relation

    def __getattr__(self, name: str) -> Any:
        return getattr(self.relation, name)

    @property
    def in_model(self) -> str:
        relation = self.relation
        null = "True" if relation.null else None
        when = f"WhenDeleted.{ON_DELETE[relation.on_delete]}" if relation.on_delete != "trash" else None
        tree = {"max_depth": "MAX_DEPTH", "max_children": "MAX_CHILDREN"} if relation.is_tree else {}
        related = '"children"' if relation.is_tree else '"+"'
        target = f'"{relation.target.model}"'
        return call("Reference", target, null=null, blank=null, related_name=related, when_deleted=when, **tree)

    @property
    def in_migration(self) -> str:
        null = "True" if self.relation.null else None
        return call(
            "models.ForeignKey", blank=null, db_constraint="False", db_index="False", null=null,
            on_delete="django.db.models.deletion.DO_NOTHING",
            related_name='"children"' if self.relation.is_tree else '"+"', to=f'"{self.migrated_model}"',
        )  # fmt: skip

    @property
    def migrated_model(self) -> str:
        if self.relation.is_tree:
            return f"{self.spec.plural}.{names.class_name(self.spec.name).lower()}"
        return self.relation.target.model.lower()

    @property
    def words(self) -> str:
        return names.words_of(self.relation.target.name)

    @property
    def label(self) -> str:
        return names.words_of(self.relation.name).capitalize()

    @property
    def filter_class(self) -> str:
        return f"{names.class_name(self.relation.name)}Filter"

    @property
    def id_help(self) -> str:
        if self.relation.help:
            return self.relation.help
        if self.relation.is_tree:
            return f"The {self.words} that it is within."
        return f"Its {self.words}." if not self.relation.null else f"Its {self.words}, or null."


@dataclass(frozen=True)
class ManyCode:
    spec: Spec
    many: Many

    def __getattr__(self, name: str) -> Any:
        return getattr(self.many, name)

    @property
    def pairs(self) -> str:
        """The model of the table with the foreign keys."""
        return f"{names.class_name(self.spec.name)}{names.class_name(self.many.name)}"

    @property
    def pairs_table(self) -> str:
        return f"{self.spec.plural}_{self.pairs.lower()}"

    @property
    def max_name(self) -> str:
        return f"MAX_{self.many.column.upper()}"

    @property
    def in_model(self) -> str:
        return call(
            "References", f'"{self.many.target.model}"', f'"{self.spec.plural}.{self.pairs}"', most=self.max_name
        )

    @property
    def in_migration(self) -> str:
        return call(
            "django.contrib.postgres.fields.ArrayField", base_field="models.BigIntegerField()", blank="True",
            default="list", size="None",
        )  # fmt: skip

    @property
    def create_pairs(self) -> str:
        return f"""migrations.CreateModel(
            name="{self.pairs}",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "user", "row_id", "target_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("row_id", models.BigIntegerField()),
                ("target_id", models.BigIntegerField()),
                (
                    "user",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={{
                "abstract": False,
                "default_permissions": (),
                "indexes": [
                    models.Index(
                        models.F("user"),
                        models.F("target_id"),
                        models.F("row_id"),
                        name="{self.pairs_table}_target",
                    )
                ],
            }},
        )"""

    @property
    def refer(self) -> str:
        arguments = (self.spec.table, self.many.column, self.pairs_table, self.many.target.table)
        return f"refer_each({', '.join(map(repr, arguments))})"

    @property
    def words(self) -> str:
        return names.words_of(self.many.name)

    @property
    def id_help(self) -> str:
        return self.many.help or f"Its {self.words}, each once; of one that is deleted nothing stays."


def rule_of(rule: Rule, spec: Spec) -> dict[str, str]:
    """A check of the spec, in Python and in the database."""
    holds, conditions = [], []
    # What is required is null of a tombstone that is erased, but for texts.
    nullable = {each.name for each in spec.columns if each.null or (each.required and each.type != "text")}
    for each in rule.comparisons:
        other = f"row.{each.other}" if each.other else literal(each.value)
        nulls = [f"row.{name} is None" for name in (each.column, each.other) if name in nullable]
        comparison = f"row.{each.column} {OPERATORS[each.operator][0]} {other}"
        holds.append(f"({' or '.join([*nulls, comparison])})" if nulls else comparison)
        conditions.append(_condition(each))
    first = rule.comparisons[0].column
    return {"member": first, "holds": " and ".join(holds), "text": rule.text, "conditions": " & ".join(conditions)}


def _condition(comparison: Comparison) -> str:
    other = f'F("{comparison.other}")' if comparison.other else literal(comparison.value)
    lookup = OPERATORS[comparison.operator][1]
    name = f"{comparison.column}__{lookup}" if lookup else comparison.column
    return f"~Q({name}={other})" if comparison.operator == "!=" else f"Q({name}={other})"


@dataclass(frozen=True)
class FilterCode:
    spec: Spec
    filter: Filter

    @property
    def name(self) -> str:
        return self.filter.name

    @property
    def column(self) -> ColumnCode | None:
        found = self.spec.column(self.filter.column)
        return ColumnCode(self.spec, found) if found else None

    @property
    def relation(self) -> Relation | None:
        return self.spec.relation(self.filter.column)

    @property
    def method(self) -> str:
        prefix = {"exact": "with_", "relation": "of_", "many": "of_"}.get(self.filter.kind, "")
        return f"{prefix}{self.filter.name}"

    @property
    def many(self) -> Many | None:
        return next((each for each in self.spec.many if each.column == self.filter.column), None)

    @property
    def narrowed(self) -> str:
        if self.many is not None:
            return f'self.referring_to("{self.many.column}", value)'
        return f"self.filter({self._lookup})"

    @property
    def _lookup(self) -> str:
        """A keyword of `filter`, and its value."""
        name = self.filter.column
        if self.column is not None and self.column.column.type == "text[]":
            return f"{name}__contains=[value]"
        ending = {"before": "__lt", "after": "__gt", "min": "__gte", "max": "__lte", "relation": "_id"}
        return f"{name}{ending.get(self.filter.kind, '')}=value"

    @property
    def value_type(self) -> str:
        if self.many is not None:
            return "int | Param"
        if self.relation is not None:
            return "int | Param | None" if self.relation.null else "int | Param"
        kinds = {"int": "int", "decimal": "Decimal", "bool": "bool", "date": "dt.date", "instant": "dt.datetime"}
        assert self.column is not None
        return {**kinds, "uuid": "uuid.UUID"}.get(self.column.column.type, "str")

    @property
    def narrowing(self) -> str:
        method = f"{names.class_name(self.spec.name)}QuerySet.{self.method}"
        if self.relation is not None and self.relation.null:
            return f"lambda rows, value: rows.{self.method}(None if value == NONE else value)"
        return method

    @property
    def in_query(self) -> str:
        help_text = repr(self._help)
        if self.many is not None:
            known = f'"the id of a {names.words_of(self.many.target.name)}"'
            return call("IdField", required="False", known=known, help_text=help_text)
        if self.relation is not None:
            words = names.words_of(self.relation.target.name)
            known = f'"{"none or " if self.relation.null else ""}the id of a {words}"'
            return call(
                "IdField", *(["NONE"] if self.relation.null else []), required="False", known=known, help_text=help_text
            )
        assert self.column is not None
        column, options = self.column.column, {"required": "False", "help_text": help_text}
        match column.type:
            case "text":
                return call("TextField", max_length=self.column.max_name, **options)
            case "text[]":
                return call("TextField", max_length=self.column.each_name, **options)
            case "enum":
                return call("ChoiceField", choices=f"{self.column.enum}.choices", **options)
            case "int":
                return call("NumberField", min_value=-MAX_INT, max_value=MAX_INT, **options)
            case "decimal":
                return call("DecimalField", digits=column.digits, places=column.places, **options)
        return call(_QUERY_FIELDS[column.type], **options)

    @property
    def _help(self) -> str:
        words = names.words_of(self.filter.column)
        if self.many is not None:
            return f"Only those with this {names.words_of(self.many.target.name)}."
        if self.relation is not None:
            return f"Only those of this {names.words_of(self.relation.target.name)}."
        sentences = {
            "before": f"Its {words} is earlier.", "after": f"Its {words} is later.",
            "min": f"Its {words} is as much, or more.", "max": f"Its {words} is as much, or less.",
        }  # fmt: skip
        return sentences.get(self.filter.kind, f"Only this {words}.")

    @property
    def ignored(self) -> str:
        return "  # type: ignore[assignment]" if self.filter.name in OF_SERIALIZERS else ""


_QUERY_FIELDS = {"bool": "FlagField", "date": "DateField", "instant": "MomentField", "uuid": "UuidField"}


@dataclass(frozen=True)
class UniqueCode:
    spec: Spec
    unique: Unique

    @property
    def name(self) -> str:
        return f"{self.spec.table}_{'_'.join(self.unique.columns)}_unique"

    @property
    def fields(self) -> str:
        return ", ".join(f'"{each}"' for each in ("user", *self.unique.columns))

    @property
    def live(self) -> bool:
        return self.unique.live

    @property
    def is_plain(self) -> bool:
        """Whether two rows of the example are alike: of what may be null, each null is another."""
        columns = [ColumnCode(self.spec, each) for each in self.spec.columns if each.name in self.unique.columns]
        relations = [each for each in self.spec.relations if each.name in self.unique.columns]
        is_plain = all(each.example is not None for each in columns) and not any(each.null for each in relations)
        return is_plain and all(self.spec.optional(each) for each in self._always)

    @property
    def _always(self) -> list[Unique]:
        """Others, which a deletion leaves taken."""
        return [each for each in self.spec.uniques if not each.live and each != self.unique]

    @property
    def left_out(self) -> list[str]:
        """Fields without which a row is alike in nothing else that is unique."""
        found = {name for each in self._always for name in self.spec.optional(each)}
        return [name for name in found if name not in self.unique.columns]

    @property
    def test_name(self) -> str:
        return f"{'_and_'.join(self.unique.columns)}_stand{'s' * (len(self.unique.columns) == 1)}_once"
