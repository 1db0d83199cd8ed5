"""`manage.py backup` and `restore`: what comes back is what was there, or nothing has changed."""

import datetime as dt
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from config.database.embedded import PROGRAMS
from config.database.isolation import BYPASS
from config.operations import backups
from config.operations.postgres_tools import ProgramError, Target, find
from tests.chaos.cluster import Cluster, folder
from tests.commands.databases import Database, Tables, database
from tests.factories import PASSWORD, make_task, make_user
from tests.server import Server

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def source(django_db_setup: None, django_db_blocker: object) -> Iterator[Database]:
    with database("source") as made:
        assert made.manage("migrate", "-v0").returncode == 0
        seeded = made.manage("seed_demo", "--users=8", "--tasks=50")
        assert seeded.returncode == 0, seeded.stderr
        made.run("UPDATE tasks_task SET deleted_at = now() WHERE id % 7 = 0", "SELECT nextval('tasks_task_id_seq')")
        yield made


@pytest.fixture(scope="module")
def backup(source: Database, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("backups") / "tickbase.dump"
    done = source.manage("backup", str(file))
    assert done.returncode == 0, done.stderr
    assert f"Wrote {file}: " in done.stdout
    return file


@pytest.fixture
def empty(source: Database) -> Iterator[Database]:
    with database("restored") as made:
        yield made


@pytest.fixture(scope="module")
def template(source: Database) -> Iterator[None]:
    with database("template") as made:
        assert made.manage("migrate", "-v0").returncode == 0
        assert made.manage("seed_demo", "--users=1", "--tasks=1").returncode == 0
        yield


@pytest.fixture
def used(template: None) -> Iterator[Database]:
    """With data of its own."""
    with database("used", template="template") as made:
        yield made


RESTORED = (
    "Restored 8 accounts, 400 tasks and 48 projects.\n"
    "A new epoch has begun: no ETag and no cursor that clients kept is taken for another state. "
    "They fetch their lists once more.\n"
)


def contents(database: Database) -> Tables:
    """All rows but the epoch's, and the counters of changes, which it sets; nor the note that a backup was made."""
    rows = database.rows()
    del rows["users_epoch"], rows["config_backup"]
    rows["tasks_feed"] = [(user_id, *counts) for user_id, _, *counts in rows["tasks_feed"]]
    return rows


def test_what_comes_back_is_what_was_there(source: Database, backup: Path, empty: Database) -> None:
    done = empty.manage("restore", str(backup))
    assert (done.returncode, done.stdout) == (0, RESTORED), done.stderr
    assert contents(empty) == contents(source)
    assert empty.schema() == source.schema()
    assert len(empty.rows()["tasks_task"]) == 400


def test_row_level_security_still_acts(backup: Path, empty: Database) -> None:
    assert empty.manage("restore", str(backup)).returncode == 0
    assert empty.fetch("SELECT count(*) FROM tasks_task", user_id="") == [(0,)]
    [(user_id,)] = empty.fetch("SELECT id FROM users_user WHERE email = 'demo1@example.com'")
    assert empty.fetch("SELECT DISTINCT user_id FROM tasks_task", user_id=str(user_id)) == [(user_id,)]
    assert empty.manage("check").returncode == 0


def test_a_backup_is_for_its_owner_and_replaces_no_file(source: Database, backup: Path) -> None:
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert list(backup.parent.iterdir()) == [backup]
    before = backup.read_bytes()
    done = source.manage("backup", str(backup))
    assert (done.returncode, "name a new file" in done.stderr) == (1, True)
    assert backup.read_bytes() == before


def test_in_a_folder_they_are_named_by_the_time_and_the_newest_stay(source: Database, tmp_path: Path) -> None:
    old = [f"tickbase-202{year}1129T031700Z.dump" for year in range(4)]
    for name in (*old, "of-mine.dump"):
        (tmp_path / name).touch()
    done = source.manage("backup", str(tmp_path), "--keep", "3")
    assert (done.returncode, "Removed 2 older ones." in done.stdout) == (0, True), done.stderr
    mine, *kept, new = sorted(path.name for path in tmp_path.iterdir())
    assert (mine, kept) == ("of-mine.dump", old[2:])
    assert backups.read(tmp_path / new).rows["users_user"] == 8


def test_what_fails_removes_none(tmp_path: Path) -> None:
    (tmp_path / "tickbase-20201129T031700Z.dump").touch()
    (tmp_path / "tickbase-20211129T031700Z.dump").touch()
    away = Database("postgresql://tickbase@127.0.0.1:1/tickbase")
    assert away.manage("backup", str(tmp_path), "--keep", "1").returncode == 1
    assert len(list(tmp_path.iterdir())) == 2


def test_only_in_a_folder_old_ones_can_be_removed(source: Database, tmp_path: Path) -> None:
    done = source.manage("backup", str(tmp_path / "new"), "--keep", "1")
    assert (done.returncode, "--keep needs one" in done.stderr) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_the_database_knows_when_the_last_one_was_made(source: Database, tmp_path: Path) -> None:
    """The moment whose data it holds, once it is whole."""
    source.run("DELETE FROM config_backup")
    [(before,)] = source.fetch("SELECT now()")
    assert source.manage("backup", str(tmp_path / "missing" / "file")).returncode == 1
    assert source.fetch("SELECT count(*) FROM config_backup") == [(0,)]
    assert source.manage("backup", str(tmp_path)).returncode == 0
    [(made_at,)] = source.fetch("SELECT made_at FROM config_backup")
    [written] = tmp_path.iterdir()
    assert before < made_at < dt.datetime.fromtimestamp(written.stat().st_mtime, dt.UTC)


def test_a_database_of_before_the_note_is_backed_up(source: Database, empty: Database, tmp_path: Path) -> None:
    """An upgrade begins with a backup, which may be made by the new version."""
    assert empty.manage("migrate", "-v0").returncode == 0
    assert empty.manage("migrate", "-v0", "config", "0001").returncode == 0
    done = empty.manage("backup", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.iterdir())) == 1


def test_data_is_replaced_only_when_told_to(source: Database, backup: Path, used: Database) -> None:
    before = used.rows()
    done = used.manage("restore", str(backup))
    assert (done.returncode, "add --replace" in done.stderr) == (1, True)
    assert used.rows() == before
    assert used.manage("restore", str(backup), "--replace").returncode == 0
    assert contents(used) == contents(source)


def test_a_dry_run_changes_nothing(backup: Path, used: Database) -> None:
    before = used.rows()
    done = used.manage("restore", str(backup), "--replace", "--dry-run")
    assert (done.returncode, done.stdout) == (
        0,
        f"{backup} is whole and holds 8 accounts, 400 tasks and 48 projects.\n",
    )
    assert used.rows() == before


@pytest.mark.parametrize("kept", [0.99, 0.3])
def test_a_file_that_was_cut_off_is_refused(backup: Path, used: Database, tmp_path: Path, kept: float) -> None:
    whole, cut = backup.read_bytes(), tmp_path / "cut.dump"
    cut.write_bytes(whole[: int(len(whole) * kept)])
    before = used.rows()
    done = used.manage("restore", str(cut), "--replace")
    assert done.returncode == 1
    assert "damaged" in done.stderr
    assert "Traceback" not in done.stderr
    assert used.rows() == before


def test_what_is_cut_off_while_it_loads_undoes_all(
    backup: Path, used: Database, tmp_path: Path, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Had nobody read it before: psql must not take the end of its input for the end of the dump."""
    whole, cut = backup.read_bytes(), tmp_path / "cut.dump"
    cut.write_bytes(whole[: int(len(whole) * 0.9)])
    before = used.rows()
    monkeypatch.setitem(connection.settings_dict, "NAME", used.name)
    with pytest.raises(ProgramError, match="damaged or cut off"):
        backups.load(cut, backups.read(backup), Target(*BYPASS))
    assert used.rows() == before


@pytest.mark.parametrize("content", [b"", b"not a dump", b"PGDMP" + b"\0" * 100])
def test_what_is_no_backup_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    with pytest.raises(CommandError, match="is no backup of Tickbase, or damaged"):
        call_command("restore", str(file))


def test_an_error_in_the_middle_undoes_all(backup: Path, used: Database) -> None:
    """A view of somebody else's, which a table of the dump would take the name of, is found late."""
    used.run("DROP TABLE config_rate_limit", "CREATE VIEW config_rate_limit AS SELECT 1 AS one")
    before = used.rows()
    done = used.manage("restore", str(backup), "--replace")
    assert done.returncode == 1
    assert "Nothing was restored. " in done.stderr
    assert used.rows() == before


def test_tables_of_something_else_are_left_alone(backup: Path, empty: Database) -> None:
    empty.run("CREATE TABLE invoices (id int)")
    done = empty.manage("restore", str(backup), "--replace")
    assert (done.returncode, "not Tickbase's: invoices." in done.stderr) == (1, True)
    assert list(empty.rows()) == ["invoices"]


def test_a_backup_of_a_newer_tickbase_is_refused(used: Database, tmp_path: Path) -> None:
    used.run("INSERT INTO django_migrations (app, name, applied) VALUES ('tasks', '9999_future', now())")
    file = tmp_path / "newer.dump"
    assert used.manage("backup", str(file)).returncode == 0
    done = used.manage("restore", str(file), "--replace")
    assert (done.returncode, "made by a newer Tickbase, with 1 more migrations" in done.stderr) == (1, True)


def test_a_backup_of_an_older_tickbase_asks_for_migrations(used: Database, tmp_path: Path) -> None:
    assert used.manage("migrate", "tasks", "0002", "-v0").returncode == 0
    file = tmp_path / "older.dump"
    assert used.manage("backup", str(file)).returncode == 0
    done = used.manage("restore", str(file), "--replace")
    assert "`migrate` begins a new epoch" in done.stdout
    assert "migrations are missing; apply them: python manage.py migrate" in done.stdout
    assert used.manage("migrate", "-v0").returncode == 0
    assert used.fetch("SELECT head = base FROM tasks_feed, users_epoch WHERE base > 0") == [(True,)]


def test_a_newer_tickbase_makes_room_for_an_older_one(source: Database, backup: Path, used: Database) -> None:
    """After an update that went wrong: what the backup does not know would be in the way of the next one."""
    used.run(
        "CREATE FUNCTION tasks_project_check() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "ALTER TABLE tasks_task ADD CONSTRAINT later UNIQUE (user_id, id)",
        "ALTER TABLE django_admin_log ADD task_id bigint",
        "ALTER TABLE django_admin_log ADD FOREIGN KEY (user_id, task_id) REFERENCES tasks_task (user_id, id)",
    )
    assert used.manage("restore", str(backup), "--replace").returncode == 0
    assert contents(used) == contents(source)
    assert used.schema() == source.schema()
    functions = "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY proname"
    assert used.fetch(functions) == source.fetch(functions)


def test_a_backup_has_the_tables_that_its_migrations_made(used: Database, tmp_path: Path) -> None:
    used.run("DROP TABLE tasks_task CASCADE", "DROP TABLE otp_totp_totpdevice CASCADE")
    done = used.manage("backup", str(tmp_path / "file"))
    assert (done.returncode, "are missing: otp_totp_totpdevice, tasks_task." in done.stderr) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_a_dump_without_them_is_refused(used: Database, tmp_path: Path) -> None:
    file, before = tmp_path / "file", used.rows()
    options = ["--format=custom", "--enable-row-security", "--exclude-table=config_rate_limit", f"--file={file}"]
    environment = {**os.environ, "PGOPTIONS": "-c tickbase.user_id=0"}
    subprocess.run([find("pg_dump", 0), *options, used.url], env=environment, check=True)
    done = used.manage("restore", str(file), "--replace")
    assert (done.returncode, "are missing: config_rate_limit." in done.stderr) == (1, True)
    assert used.rows() == before


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_an_unreachable_database_is_told_without_the_password(backup: Path, tmp_path: Path, command: str) -> None:
    file = tmp_path / "new" if command == "backup" else backup
    away = Database("postgresql://tickbase:s3cr3t-word@127.0.0.1:1/tickbase")
    done = away.manage(command, str(file))
    assert (done.returncode, "The database cannot be reached" in done.stderr) == (1, True)
    assert "s3cr3t-word" not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


# --- What a backup has to be told --------------------------------------------------------------------


def test_rows_that_are_not_shown_make_no_backup(transactional_db: None, tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="lacks rows that the database holds"):
        _dump_without_tasks(tmp_path)
    assert list(tmp_path.iterdir()) == []


def _dump_without_tasks(folder: Path) -> None:
    make_task(make_user())
    program = folder / "pg_dump"
    program.write_text(f'#!/bin/sh\nexec {find("pg_dump", 0)} --exclude-table-data=tasks_task "$@"\n')
    program.chmod(0o700)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backups, "find", lambda name, server: str(program) if name == "pg_dump" else find(name, server))
        try:
            backups.dump(folder / "file", Target(*BYPASS))
        finally:
            program.unlink()


def test_a_database_that_does_not_hear_what_to_show_is_refused(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As PgBouncer does, when it is told to ignore what it does not know."""
    target = Target(*BYPASS)
    monkeypatch.setattr(target, "_conninfo", target._conninfo.replace("tickbase.user_id", "tickbase.other"))
    with pytest.raises(ProgramError, match="was not told what to show"):
        target.connect()


def test_passwords_are_no_arguments(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "PASSWORD", "s3cr3t word")
    target = Target(*BYPASS)
    assert "s3cr3t" not in " ".join(target.arguments)
    assert target.environment["PGPASSWORD"] == "s3cr3t word"


def test_a_server_that_is_too_new_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ProgramError, match="apt install postgresql-client-99"):
        find("pg_dump", 99)
    assert find("pg_dump", 18).endswith("pg_dump")


# --- As operators do ---------------------------------------------------------------------------------


def test_a_backup_of_a_running_service_serves_elsewhere() -> None:
    """Both with an embedded PostgreSQL, in directories of their own."""
    with TemporaryDirectory(prefix="tickbase-") as name:
        folder = Path(name)
        with Server(folder / "one") as one:
            one.manage("seed_demo", "--users=1", "--tasks=5")
            one.manage("backup", str(folder / "file"))
            before = _tasks_of_demo(one)
        other = Server(folder / "two")
        assert "Restored 1 accounts, 5 tasks and 6 projects.\n" in other.manage("restore", str(folder / "file"))
        with other:
            assert _tasks_of_demo(other) == before
    assert len(before) == 5


def _tasks_of_demo(server: Server) -> list[dict[str, object]]:
    credentials = {"email": "demo1@example.com", "password": PASSWORD}
    signed_in = httpx.post(f"{server.base}/api/auth/login", json=credentials).json()
    headers = {"Authorization": f"Bearer {signed_in['access']}"}
    found: list[dict[str, object]] = httpx.get(f"{server.base}/api/me/tasks", headers=headers).json()
    return found


def test_a_backup_can_move_to_an_older_server(backup: Path) -> None:
    with folder() as data:
        cluster = Cluster(data / "old")
        cluster.programs = PROGRAMS.parents[1] / "pginstall" / "bin"  # of version 16
        cluster.create()
        try:
            old = Database(cluster.url)
            done = old.manage("restore", str(backup))
            assert (done.returncode, done.stdout) == (0, RESTORED), done.stderr
            assert old.manage("check").returncode == 0
            assert old.manage("backup", str(data / "again")).returncode == 0
        finally:
            cluster.stop()
