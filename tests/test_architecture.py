"""The rules of the house that hold for every file: layering, sizes, and what is generated from the code."""

import ast
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command

from users.resources.resource import registered

ROOT: Path = settings.BASE_DIR
PACKAGES = ("config", "users", "tasks")
MAX_LINES = 400

WRITES = {
    "save", "delete", "update", "create", "get_or_create", "update_or_create", "bulk_create", "bulk_update",
    "asave", "adelete", "aupdate", "acreate", "aget_or_create", "aupdate_or_create", "abulk_create", "abulk_update",
}  # fmt: skip
# What a module, or a package around it, is called that may write. `resource.create(…)` and its kind are services.
WRITERS = {"services", "database", "models", "writes", "feed", "log", "audit", "pruning", "tombstones"}


def _files(*folders: str) -> list[str]:
    """Paths from the root, without migrations."""
    found = (path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return sorted(str(path) for path in found if not {"migrations", "node_modules"} & set(path.parts))


def _names(path: str) -> set[str]:
    """Of the module, and of the packages that it lies in."""
    return set(Path(path).with_suffix("").parts)


def _read(path: str) -> str:
    return (ROOT / path).read_text()


def _offenders(found: dict[str, list[str]]) -> dict[str, list[str]]:
    return {path: places for path, places in found.items() if places}


def _writes(source: str) -> list[str]:
    """The calls that may write to the database. Dicts and sets take `|=`, so that `.update(` always does."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [
        f"line {call.lineno}: .{call.func.attr}()"
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in WRITES
        and not (isinstance(call.func.value, ast.Attribute) and call.func.value.attr == "resource")
    ]


def _texts(source: str) -> list[str]:
    constants = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant))
    return [node.value for node in constants if isinstance(node.value, str)]


def test_openapi_document_matches_the_code(tmp_path: Path) -> None:
    generated = tmp_path / "openapi.yaml"
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(generated))
    document = ROOT / "docs" / "openapi.yaml"
    assert document.read_text() == generated.read_text(), "docs/openapi.yaml is out of date: run `make schema`"


@pytest.mark.django_db
def test_migrations_match_the_models() -> None:
    call_command("makemigrations", "--check", "--dry-run")


def test_only_services_write() -> None:
    found = {path: _writes(_read(path)) for path in _files(*PACKAGES) if WRITERS.isdisjoint(_names(path))}
    assert _offenders(found) == {}, "call a service instead; write |= for dicts and sets"


def test_only_services_make_statements_that_write() -> None:
    writing = re.compile(r"\b(INSERT INTO|UPDATE \w+ (SET|AS)|DELETE FROM)\b")
    makers = {path for path in _files(*PACKAGES) if "Raw(" in _read(path) and writing.search(_read(path))}
    assert makers == {
        "config/http/limits/counters.py",
        "users/resources/feed.py",
        "users/resources/statements.py",
        "tasks/completions.py",
        "tasks/reminders/services.py",
        "users/mail/services.py",
    }
    callers = {path for path in _files(*PACKAGES) if re.search(r"\)\.(insert|update|lock\w*|set_each)\(", _read(path))}
    assert callers - {path for path in callers if "statements" not in _read(path)} == {"users/resources/writes.py"}


def test_what_serves_every_resource_names_none() -> None:
    """In texts; the layers forbid the imports."""
    names = re.compile(rf"\b({'|'.join(each.name for each in registered())})s?\b", re.IGNORECASE)
    found = {
        path: [text for text in _texts(_read(path)) if names.search(text)]
        for path in _files("users/admin", "config/admin")
    }
    assert _offenders(found) == {}, "read it from the declaration"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("task.save()", ["line 1: .save()"]),
        ("Task.objects.filter(pk=1).update(title='x')", ["line 1: .update()"]),
        ("if task:\n    Task.objects.bulk_create(\n        [task]\n    )", ["line 2: .bulk_create()"]),
        ("statuses |= {1}", []),
        ("def save(self): ...", []),
    ],
)
def test_writes_are_recognised(source: str, found: list[str]) -> None:
    assert _writes(source) == found


def test_every_transaction_can_be_run_anew() -> None:
    found = {
        path: [line for line in _read(path).splitlines() if line.strip() == "@transaction.atomic"]
        for path in _files(*PACKAGES)
    }
    assert _offenders(found) == {}, "decorate it with config.database.transactions.retried_transaction"


def test_files_stay_small_enough_to_read() -> None:
    lengths = {path: len(_read(path).splitlines()) for path in ["manage.py", *_files(*PACKAGES, "tests")]}
    assert {path: lines for path, lines in lengths.items() if lines > MAX_LINES} == {}, "split it by aggregate"
