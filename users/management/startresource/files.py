"""The files of an app, made of a spec: Django's templates, then `ruff` for unused imports and the format."""

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.conf import settings
from django.template import Context, Engine, Library

from users.management.startresource import examples, names
from users.management.startresource.column_code import ColumnCode
from users.management.startresource.documents import SpecError
from users.management.startresource.relation_code import FilterCode, ManyCode, RelationCode, UniqueCode, rule_of
from users.management.startresource.spec import Spec

Files = dict[str, str]  # by path from the root

TEMPLATES = Path(__file__).parent / "templates"
MODULES = ("models", "querysets", "services", "serializers", "filters", "resource", "admin", "apps")
FIRST_PARTY = '["config", "users", "tasks", "tests"]'
register = Library()


@register.filter
def grouped(number: int) -> str:
    return f"{number:_}"


@register.filter
def raw(pattern: str) -> str:
    """A regular expression as source."""
    return repr(pattern) if "'" in pattern or '"' in pattern or pattern.endswith("\\") else f'r"{pattern}"'


@register.filter
def listed(texts: Sequence[str]) -> str:
    """The elements of a tuple or set as source; the comma of a single one is a tuple's."""
    return f"{', '.join(map(repr, texts))}{',' * (len(texts) == 1)}"


@register.filter
def joined(texts: Sequence[str]) -> str:
    return ", ".join(map(repr, texts))


@register.filter
def quoted(text: str) -> str:
    return repr(text)


def _engine() -> Engine:
    engine = Engine(dirs=[str(TEMPLATES)], autoescape=False)
    engine.template_libraries["code"] = register
    engine.template_builtins.append(register)
    return engine


@dataclass(frozen=True)
class Index:
    source: str
    name: str
    condition: str = ""

    @property
    def whole(self) -> str:
        condition = f", condition=Q({self.condition})" if self.condition else ""
        return f'models.Index({self.source}, name="{self.name}"{condition})'


@dataclass(frozen=True)
class Place:
    """Where an app is: as a package, and where its tests and its page are."""

    package: str

    @property
    def folder(self) -> str:
        return self.package.replace(".", "/")

    def tests(self, spec: Spec) -> str:
        return f"tests/{spec.plural}"

    def page(self, spec: Spec) -> str:
        return f"docs/guide/{spec.plural}.md"


def many_of(spec: Spec) -> list[ManyCode]:
    return [ManyCode(spec, each) for each in spec.many]


def indexes_of(spec: Spec) -> list[Index]:
    """One for the list, one for each relation, and those that the spec names."""
    sort, descending = spec.default_sort.removeprefix("-"), spec.default_sort.startswith("-")
    column = spec.column(sort)
    by = {"created": "created_at", "updated": "updated_at"}.get(sort, "created_at")
    if column is not None and not column.null:
        by = f"{sort}_key" if column.type == "text" else sort
    order = f'models.F("{by}").desc(), models.F("id").desc()' if descending else f'"{by}", "id"'
    live = "deleted_at=None"
    found = [Index(f'"user", {order}', f"{spec.table}_list", live)]
    for each in spec.relations:
        present = f"{each.name}__isnull=False" if each.null else ""
        found.append(Index(f'"user", "{each.name}", "id"', f"{spec.table}_{each.name}", present))
    for names_ in spec.indexes:
        listed = ", ".join(f'"{name}"' for name in names_)
        found.append(Index(f'"user", {listed}, "id"', f"{spec.table}_{'_'.join(names_)}", live))
    return list({each.name: each for each in found}.values())


def valid_of(spec: Spec, *, inline: bool) -> str:
    """The condition of the one CHECK, as source; empty where nothing has to be checked."""
    simple = [text for each in spec.columns for text in ColumnCode(spec, each).conditions(inline=inline)]
    simple += [f"{each.column}__len__lte={each.most if inline else each.max_name}" for each in many_of(spec)]
    parts = [f"Q({', '.join(simple)})"] if simple else []
    parts += [rule_of(rule, spec)["conditions"] for rule in spec.checks]
    if not parts:
        return ""
    return f"Q(erased_at__isnull=False) | {parts[0] if len(parts) == 1 else '(' + ' & '.join(parts) + ')'}"


def constraints_of(spec: Spec) -> dict[str, str]:
    """By name, the spec's own constraints as a migration has them."""
    found = {}
    if valid := valid_of(spec, inline=True):
        name = f"{spec.table}_valid"
        found[name] = f'models.CheckConstraint(name="{name}", condition={valid})'
    for unique in (UniqueCode(spec, each) for each in spec.uniques):
        condition = ", condition=Q(deleted_at=None)" if unique.live else ""
        found[unique.name] = f'models.UniqueConstraint(fields=[{unique.fields}], name="{unique.name}"{condition})'
    return found


def context_of(spec: Spec, place: Place) -> dict[str, Any]:
    """What the templates name."""
    columns = [ColumnCode(spec, each) for each in spec.columns]
    relations = [RelationCode(spec, each) for each in spec.relations]
    filters = [FilterCode(spec, each) for each in spec.filters]
    searched = [each for each in columns if each.column.search]
    sorted_texts = [each for each in columns if each.is_sorted_text]
    texts = [spec.title.name, *(each.name for each in spec.columns if each.type == "text" and each is not spec.title)]
    model, words, plural_words = names.class_name(spec.name), names.words_of(spec.name), names.words_of(spec.plural)
    rules = [{"member": each.column.name, "holds": rule[0], "text": rule[1]} for each in columns if (rule := each.rule)]
    shown = [each.column.name for each in columns if each.is_in_form]
    return {
        **_of_tests(spec, searched),
        "spec": spec,
        "package": place.package,
        "model": model,
        "model_name": model.lower(),
        "titles": names.class_name(spec.plural),
        "constant": spec.plural.upper(),
        "constants": _constants(model, columns, many_of(spec)),
        "article": names.with_article(spec.name).lower(),
        "words": words,
        "plural_words": plural_words,
        "verbose": _camel_to_words(model) != words,
        "verbose_plural": f"{words}s" != plural_words,
        "columns": columns,
        "relations": relations,
        "references": relations or spec.many,
        "many": many_of(spec),
        "tree": next((each.relation for each in relations if each.relation.is_tree), None),
        "filters": filters,
        "nullable_filters": any(each.relation is not None and each.relation.null for each in filters),
        "searched": searched,
        "searched_words": _listing([each.words for each in searched]),
        "sorts": [each for name in spec.sorts for each in columns if each.column.name == name],
        "derived": [*(f"{each.column.name}_key" for each in sorted_texts), *(["search_text"] if searched else [])],
        "sources": list(dict.fromkeys(each.column.name for each in (*sorted_texts, *searched))),
        "mutable": [
            *(each.name for each in spec.columns),
            *(f"{each.name}_id" for each in spec.relations),
            *(each.column for each in spec.many),
        ],
        "large": [
            each.name for each in spec.columns if each.type == "json" or (each.type == "text" and each.max > 1000)
        ],
        "trimmed": [each for each in columns if each.is_trimmed],
        "jsons": [each for each in columns if each.column.type == "json"],
        "enums": [each for each in columns if each.column.type == "enum"],
        "rules": [*rules, *map(_broken, (rule_of(rule, spec) for rule in spec.checks))],
        "uniques": [UniqueCode(spec, each) for each in spec.uniques],
        "valid": valid_of(spec, inline=False),
        "indexes": indexes_of(spec),
        "constraints": list(constraints_of(spec).values()),
        "texts": [*texts, *(each.name for each in spec.columns if each.type in ("text[]", "json"))],
        "text_columns": texts,
        "example": repr(examples.example_of(spec)),
        "form_members": ["user", *shown],
        "shown_members": ["user", *shown, *(f"{each.name}_id" for each in spec.relations)],
        "members_of_references": [
            *(f"{each.name}_{by}" for each in spec.relations for by in ("id", "uid")),
            *(f"{each.stem}_{by}" for each in spec.many for by in ("ids", "uids")),
        ],
        "sort_names": [*spec.sorts, "created", "updated"],
        "readonly": [
            *(each.column.name for each in columns if not each.is_in_form),
            *(each.column for each in spec.many),
        ],
        "listed": [
            *(each.name for each in spec.relations),
            *(each.name for each in spec.columns if each.type == "enum"),
        ],
    }


def _of_tests(spec: Spec, searched: Sequence[ColumnCode]) -> dict[str, Any]:
    """What only the templates of the tests and of the page name."""
    before = examples.made_before(spec)
    texts = [name for name in spec.sorts if any(each.name == name and each.type == "text" for each in spec.columns)]
    numbers = [
        name for name in spec.sorts if any(each.name == name and each.type == "decimal" for each in spec.columns)
    ]
    kinds = [
        f"fold if name in {texts!r} else" if texts else "",
        f"Decimal if name in {numbers!r} else" if numbers else "",
    ]
    return {
        "strategies": examples.strategies_of(spec),
        "filter_cases": examples.filters_of(spec),
        "required_filters": [
            each.name
            for each in spec.filters
            if each.kind == "relation" and not next(one for one in spec.relations if one.name == each.column).null
        ],
        "sort_key": f"{' '.join(filter(None, kinds))} (lambda value: value)" if any(kinds) else "",
        "searched_title": any(each.column is spec.title for each in searched),
        "members": examples.members_of(spec),
        "made_before": before,
        "body": examples.body_of(spec),
        "title_example": examples.example_of(spec)[spec.title.name],
        "first_version": len(before) + 1,
        "second_version": len(before) + 2,
        "fourth_version": len(before) + 4,
    }


def _broken(rule: dict[str, str]) -> dict[str, str]:
    return {**rule, "text": f"It must hold that {rule['text']}."}


def _constants(model: str, columns: Sequence[ColumnCode], many: Sequence[ManyCode]) -> str:
    """All that a module may import of the models; `ruff` takes out what it does not use."""
    found = [model, *(each.max_name for each in many)]
    for each in columns:
        found += {"text": [each.max_name], "text[]": [each.max_name, each.each_name], "enum": [each.enum]}.get(
            each.column.type, []
        )
        found += [each.pattern_name] if each.column.pattern else []
    return f"({', '.join(found)})"


def _camel_to_words(name: str) -> str:
    """As Django names a model."""
    return re.sub(r"((?<=[a-z])[A-Z]|(?<!\A)[A-Z](?=[a-z]))", r" \1", name).lower().strip()


def _listing(words: Sequence[str]) -> str:
    return " or ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def generate(spec: Spec, place: Place, *, extra: Mapping[str, Any], migrations: bool = True) -> Files:
    """All files of the app, its tests and its page. `extra` is what the migrations depend on."""
    engine, context = _engine(), Context({**context_of(spec, place), **extra}, autoescape=False)
    folder, tests = place.folder, place.tests(spec)
    templates = {f"{folder}/{name}.py": f"{name}.py-tpl" for name in MODULES}
    if migrations:
        templates |= {
            f"{folder}/migrations/0001_initial.py": "migration.py-tpl",
            f"{folder}/migrations/0002_roles.py": "roles.py-tpl",
        }
    templates |= {f"{tests}/test_{spec.plural}.py": "tests.py-tpl", place.page(spec): "page.md-tpl"}
    files = {path: str(engine.get_template(name).render(context)) for path, name in templates.items()}
    files |= {
        f"{folder}/__init__.py": f'"""{names.words_of(spec.plural).capitalize()}: a resource."""\n',
        f"{folder}/migrations/__init__.py": "",
        f"{tests}/__init__.py": "",
    }
    return formatted(files)


def formatted(files: Files) -> Files:
    """In the house's format, without imports that nothing uses."""
    with TemporaryDirectory() as name:
        root = Path(name)
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        options = ["--config", str(settings.BASE_DIR / "pyproject.toml"), "--no-cache", "--quiet"]
        _ruff("format", *options, folder=root)
        # The first pass leaves a comma behind the last name of a long import, which may become a short one.
        isort = (f"lint.isort.known-first-party={FIRST_PARTY}", "lint.isort.split-on-trailing-comma=false")
        configured = [word for each in isort for word in ("--config", each)]
        _ruff("check", *options, *configured, "--select", "F401,I,UP034", "--fix", folder=root)
        _ruff("format", *options, folder=root)
        return {path: (root / path).read_text() for path in sorted(files)}


def _ruff(*arguments: str, folder: Path) -> None:
    program = Path(sys.executable).with_name("ruff")
    if not program.exists():
        raise SpecError("ruff is not installed, with which the code is formatted: run `make lint` once.")
    done = subprocess.run([program, *arguments, "."], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SpecError(f"ruff failed: {(done.stdout + done.stderr).strip()[:2000]}")
