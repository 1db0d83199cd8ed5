"""Row level security that does not act: what the system check, `migrate` and the start of production say."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from django.core import checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection

from config.database import isolation
from tests.client import Api
from tests.problems import problem_of
from tests.server import free_port
from tests.tree import PRODUCTION


def fetch(sql: str, *params: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall() if cursor.description else []


def test_the_check_and_readiness_are_loud_when_a_table_is_exposed(db: None) -> None:
    assert Api().get("/readyz").status_code == 200
    call_command("check")
    fetch("ALTER TABLE tasks_task NO FORCE ROW LEVEL SECURITY")  # which the owner then passes by
    with pytest.raises(SystemCheckError, match=r"\(users\.E001\) Row level security does not act on tasks_task\."):
        call_command("check")
    assert problem_of(Api().get("/readyz"), 503)["code"] == "database_unfit"


def test_a_forgotten_policy_is_asked_for_and_comes_with_the_next_migration(db: None) -> None:
    fetch("DROP POLICY notes_note_own ON notes_note")
    fetch("ALTER TABLE notes_note DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY")
    with pytest.raises(SystemCheckError, match=r"does not act on notes_note\.") as refused:
        call_command("migrate", verbosity=0, skip_checks=False)
    hint = 'Add a migration to the app of each table, with operations = [isolate("notes_note")] from config.database.'
    assert (hint in str(refused.value), "CREATE ROLE" in str(refused.value)) == (True, False)
    fetch("DELETE FROM django_migrations WHERE app = 'notes' AND name = '0004_isolation'")
    call_command("migrate", verbosity=0, skip_checks=False)
    assert checks.run_checks(tags=["database"], databases=["default"]) == []
    assert isolation.exposed_tables() == {}


@pytest.mark.parametrize(
    ("table", "app", "migration"),
    [
        ("tasks_task", "tasks", "0002_isolation"),
        ("django_session", "users", "0013_indirect_isolation"),
        ("tasks_tasktag", "tasks", "0016_tag_rows"),
    ],
)
def test_before_its_migration_the_check_is_silent(db: None, table: str, app: str, migration: str) -> None:
    fetch(f"DROP POLICY {table}_own ON {table}")
    fetch(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY")
    assert [message.id for message in checks.run_checks(tags=["database"], databases=["default"])] == ["users.E001"]
    fetch("DELETE FROM django_migrations WHERE app = %s AND name = %s", app, migration)
    assert checks.run_checks(tags=["database"], databases=["default"]) == []


def test_a_policy_that_does_not_act_is_never_passed_over(db: None) -> None:
    fetch("ALTER TABLE tasks_task NO FORCE ROW LEVEL SECURITY")
    fetch("DELETE FROM django_migrations WHERE app = 'notes'")
    [found] = checks.run_checks(tags=["database"], databases=["default"])
    assert (found.id, "CREATE ROLE" in str(found.hint), "isolate" in str(found.hint)) == ("users.E001", True, False)


@pytest.fixture
def privileged(db: None) -> Iterator[Callable[[str], str]]:
    """Makes a role with an attribute, and returns the URL with which it reaches the database of the tests."""
    host, name = connection.settings_dict["HOST"], connection.settings_dict["NAME"]
    role = f"privileged_{name}"
    with psycopg.connect(host=host, dbname=name, user="postgres", autocommit=True) as superuser:

        def make(attribute: str) -> str:
            superuser.execute(f"CREATE ROLE {role} LOGIN {attribute}")
            superuser.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
            return f"postgresql://{role}@{quote(host, safe='')}/{name}"

        yield make
        superuser.execute(f"DROP OWNED BY {role}")
        superuser.execute(f"DROP ROLE {role}")


@pytest.mark.process
@pytest.mark.parametrize("role", ["SUPERUSER", "BYPASSRLS"])
def test_roles_that_pass_the_policies_by_are_refused(privileged: Callable[[str], str], role: str) -> None:
    url = privileged(role)
    environment = {**os.environ, "DATABASE_URL": url}
    command = [sys.executable, "manage.py", "check"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    [shown] = re.findall(r"\(users\.E001\) Row level security does not act on ([\w, ]+)", done.stderr)
    assert set(shown.split(", ")) >= {"django_admin_log", "django_session", "mail_mail", "tasks_task", "users_user"}
    assert "CREATE ROLE tickbase LOGIN" in done.stderr


@pytest.mark.process
def test_a_database_that_is_away_is_said_and_does_not_stop_the_application() -> None:
    production = {**os.environ, **PRODUCTION, "DATABASE_URL": f"postgresql://tickbase@127.0.0.1:{free_port()}/tickbase"}
    check = [sys.executable, "manage.py", "check", "--database", "default"]
    done = subprocess.run(check, env=production, capture_output=True, text=True)
    assert done.returncode == 1
    assert "The database cannot be reached, check DATABASE_URL: connection failed" in done.stderr
    application = [sys.executable, "-c", "import config.wsgi"]
    assert subprocess.run(application, env=production, capture_output=True, text=True).returncode == 0


@pytest.mark.process
def test_production_does_not_start_with_such_a_role(privileged: Callable[[str], str]) -> None:
    production = {**PRODUCTION, "DATABASE_URL": privileged("SUPERUSER"), "PORT": str(free_port())}
    for command in (["manage.py", "serve"], ["-c", "import config.wsgi"]):
        done = subprocess.run(
            [sys.executable, *command], env={**os.environ, **production}, capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert "Row level security does not act on" in done.stderr
