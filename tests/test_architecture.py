"""The rules of the house that hold for every file: layering, sizes, and what is generated from the code."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command

ROOT: Path = settings.BASE_DIR
PACKAGES = ("config", "users", "tasks")
MAX_LINES = 400

WRITES = {
    "save", "delete", "update", "create", "get_or_create", "update_or_create", "bulk_create", "bulk_update",
    "asave", "adelete", "aupdate", "acreate", "aget_or_create", "aupdate_or_create", "abulk_create", "abulk_update",
    "execute", "executemany",
}  # fmt: skip
WRITERS = {
    "config/database/base.py", "config/database/embedded.py", "config/database/isolation.py",
    "config/database/session.py", "config/http/limits/counters.py", "config/operations/backups.py",
    "config/operations/doctor.py", "config/operations/postgres_tools.py", "tasks/demo/bulk.py", "tasks/feed.py",
    "tasks/pruning.py", "tasks/services.py", "users/api/idempotency.py", "users/audit.py", "users/models.py",
    "users/services/accounts.py", "users/services/demo.py", "users/services/external.py",
    "users/services/passwords.py", "users/services/pruning.py", "users/services/second_factor.py",
    "users/services/sessions.py",
}  # fmt: skip


def _files(*folders: str) -> list[str]:
    """Paths from the root, without migrations."""
    found = (path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return sorted(str(path) for path in found if not {"migrations", "node_modules"} & set(path.parts))


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
        if isinstance(call.func, ast.Attribute) and call.func.attr in WRITES
    ]


def _imports(source: str) -> Iterator[str]:
    """The top-level packages that a module imports, wherever in its text."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module.partition(".")[0]


def _may_import(path: str, package: str) -> bool:
    if not package.startswith("rest_framework"):
        return True
    if "/api/" in path or path.startswith("config/http/") or path == "users/api/idempotency.py":
        return True
    return package == "rest_framework_simplejwt" and path == "users/tokens/own.py"


def test_openapi_document_matches_the_code(tmp_path: Path) -> None:
    generated = tmp_path / "openapi.yaml"
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(generated))
    document = ROOT / "docs" / "openapi.yaml"
    assert document.read_text() == generated.read_text(), "docs/openapi.yaml is out of date: run `make schema`"


@pytest.mark.django_db
def test_migrations_match_the_models() -> None:
    call_command("makemigrations", "--check", "--dry-run")


def test_only_services_write() -> None:
    found = {path: _writes(_read(path)) for path in _files(*PACKAGES) if path not in WRITERS}
    assert _offenders(found) == {}, "call a service instead; write |= for dicts and sets"


def test_only_services_make_statements_that_write() -> None:
    makers = {path for path in _files(*PACKAGES) if "Raw(" in _read(path)}
    assert makers == {"tasks/feed.py", "tasks/statements.py"}
    callers = {path for path in _files(*PACKAGES) if re.search(r"statements\.(insert|update|lock\w*)\(", _read(path))}
    assert callers == {"tasks/services.py"}


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


def test_rest_framework_stays_in_the_api_and_the_http_kit() -> None:
    found = {
        path: [package for package in _imports(_read(path)) if not _may_import(path, package)]
        for path in _files(*PACKAGES)
    }
    assert _offenders(found) == {}


def test_files_stay_small_enough_to_read() -> None:
    lengths = {path: len(_read(path).splitlines()) for path in ["manage.py", *_files(*PACKAGES, "tests")]}
    assert {path: lines for path, lines in lengths.items() if lines > MAX_LINES} == {}, "split it by aggregate"
