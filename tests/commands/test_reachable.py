"""Commands on a database that cannot be reached, or not be used: one sentence says why."""

from collections.abc import Iterator

import psycopg
import pytest
from django.db import connection

from tests.chaos.cluster import Cluster, folder
from tests.commands.databases import Database, database
from tests.server import free_port
from tests.tree import PRODUCTION

pytestmark = pytest.mark.process

PRODUCTION_ELSEWHERE = {name: value for name, value in PRODUCTION.items() if name != "DATABASE_URL"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """That asks for passwords."""
    with folder() as place:
        own = Cluster(place / "data")
        own.create()
        own.sql("ALTER ROLE tickbase PASSWORD 'secret'")
        (own.data / "pg_hba.conf").write_text("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
        own.run("pg_ctl", "-D", str(own.data), "reload")
        yield own
        own.stop()


URLS = {
    "wrong password": ("postgresql://tickbase:wr0ng-word@{address}/tickbase", "password authentication failed"),
    "missing database": ("postgresql://tickbase:secret@{address}/nowhere", 'database "nowhere" does not exist'),
    "unknown host": ("postgresql://tickbase:wr0ng-word@nowhere.invalid/tickbase", "nowhere.invalid"),
    "closed port": ("postgresql://tickbase:wr0ng-word@127.0.0.1:{free}/tickbase", "Connection refused"),
    "two hosts": ("postgresql://tickbase:wr0ng-word@127.0.0.1:{free},127.0.0.1:{free}/tickbase", "Connection refused"),
}


@pytest.mark.parametrize("command", ["migrate", "check", "serve"])
@pytest.mark.parametrize("case", URLS)
def test_why_it_cannot_be_reached_is_one_sentence(cluster: Cluster, case: str, command: str) -> None:
    url, reason = URLS[case]
    away = Database(url.format(address=cluster.address, free=free_port()))
    done = away.manage(command, PORT=str(free_port()))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("CommandError: The database cannot be reached, check DATABASE_URL: ")
    assert done.stderr.count("\n") == 1 and reason in done.stderr
    assert "wr0ng-word" not in done.stderr


def test_with_the_right_password_it_is_reached(cluster: Cluster) -> None:
    assert Database(cluster.url).manage("check").returncode == 0


def test_checks_of_something_else_need_no_database() -> None:
    away = Database(f"postgresql://tickbase@127.0.0.1:{free_port()}/tickbase")
    for arguments in (["--list-tags"], ["--tag", "security"]):
        assert away.manage("check", *arguments).returncode == 0


@pytest.fixture(params=["SUPERUSER", "BYPASSRLS"])
def privileged(request: pytest.FixtureRequest, django_db_setup: None) -> Iterator[Database]:
    """An empty database, named with a role on which policies do not act."""
    host = connection.settings_dict["HOST"]
    with (
        database("privileged") as empty,
        psycopg.connect(host=host, user="postgres", dbname="postgres", autocommit=True) as superuser,
    ):
        role = f"{empty.name}_role"
        superuser.execute(f"DROP ROLE IF EXISTS {role}")  # of a run that failed
        superuser.execute(f"CREATE ROLE {role} LOGIN {request.param}")
        superuser.execute(f"ALTER DATABASE {empty.name} OWNER TO {role}")
        yield Database(empty.url.replace("//tickbase@", f"//{role}@"), empty.name)
        superuser.execute(f"ALTER DATABASE {empty.name} OWNER TO tickbase")
        superuser.execute(f"DROP ROLE {role}")


def test_production_is_not_migrated_as_a_role_on_which_policies_do_not_act(privileged: Database) -> None:
    done = privileged.manage("migrate", **PRODUCTION_ELSEWHERE, TRUSTED_PROXIES="1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"CommandError: Row level security does not act on the role {privileged.name}_role")
    assert "CREATE ROLE tickbase LOGIN" in done.stderr
    assert privileged.fetch("SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace") == []
