"""`manage.py doctor`: what it finds, what it advises, and what it keeps to itself."""

import datetime as dt
import json
import re
from collections import Counter
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import time_machine
from django.core import checks
from django.core.checks import CheckMessage
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from config.database import timeline
from config.environment import variables
from config.models import Backup, Worker
from config.operations import doctor, work
from config.operations.doctor import registry
from tests.commands.databases import Database, database
from tests.factories import make_user
from tests.issuer import Issuer
from tests.server import ROOT, free_port
from tests.tree import PRODUCTION
from users.mail.models import Mail
from users.models import User

SECRETS = {
    "SECRET_KEY": "k9Qv-secret-Rt72mWx4LpZs8HdYq5Vn", "JWT_SIGNING_KEY": "b3Nf-signing-Ty81cVu6KqJr5GwEz4Ah",
    "JWT_VERIFYING_KEYS": "x7Bd-former-Po92nMz3HsCt4FyLw6Eu", "EMAIL_HOST_PASSWORD": "mail-w0rd-Zk5",
}  # fmt: skip
PASSWORD_OF_DATABASE = "db-w0rd-Hx7"


def run_doctor(*arguments: str) -> tuple[int, str]:
    """The exit status, and what is printed."""
    out = StringIO()
    try:
        call_command("doctor", *arguments, stdout=out)
    except SystemExit as error:
        return int(error.code or 0), out.getvalue()
    return 0, out.getvalue()


def find(name: str) -> CheckMessage:
    [check] = [each for each in registry.get_checks() if each.tags[0] == name]
    [found] = check(app_configs=None, databases=None)
    assert bool(found.hint) is (found.level > checks.INFO), "a hint where something is to be done, and only there"
    return found


@pytest.mark.process
def test_all_is_well(db: None) -> None:
    Worker.objects.beat("host:1", timezone.now(), timezone.now())
    status, printed = run_doctor("--json")
    found = {each["name"]: each for each in json.loads(printed)}
    assert list(found) == [each.tags[0] for each in registry.get_checks()]
    assert {name for name, each in found.items() if each["state"] != "ok"} <= {"disk"}, printed
    assert status == 0
    assert "PostgreSQL 18." in found["database"]["what"]


def test_other_commands_look_at_nothing_of_it() -> None:
    """They would ask the mail server and the issuer at each start."""
    theirs = checks.registry.registry.get_checks(include_deployment_checks=True)
    assert {*registry.get_checks()}.isdisjoint(theirs)


def test_an_id_is_of_one_message() -> None:
    sources = [path.read_text() for app in ("config", "users", "tasks") for path in (ROOT / app).rglob("*.py")]
    ids = re.findall(r'\bid="(\w+\.[DIWE]\d+)"', "".join(sources))
    assert len(ids) > 40
    assert [each for each, times in Counter(ids).items() if times > 1] == []


@pytest.mark.process
def test_for_people_it_is_a_line_each(db: None) -> None:
    _, printed = run_doctor()
    assert "✓  row security  PostgreSQL keeps users' rows apart." in printed.splitlines()


@pytest.mark.process
def test_on_a_terminal_it_is_a_table(db: None) -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    call_command("doctor", stdout=out)
    assert "what to do" in out.getvalue()
    assert "┃" in out.getvalue()


@pytest.mark.process
def test_without_a_database_it_goes_on_and_tells_no_secret() -> None:
    environment = {
        **PRODUCTION, **SECRETS, "EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": str(free_port()), "EMAIL_HOST_USER": "me",
        "REQUIRE_HTTPS": "false", "JWT_EXTERNAL_ISSUER": "https://issuer.test", "JWT_EXTERNAL_AUDIENCE": "tickbase",
        "JWT_EXTERNAL_JWKS_URL": f"http://127.0.0.1:{free_port()}/jwks",
    }  # fmt: skip
    away = Database(f"postgresql://tickbase:{PASSWORD_OF_DATABASE}@127.0.0.1:{free_port()}/tickbase")
    environment["DATABASE_URL"] = away.url
    for arguments in (["doctor"], ["doctor", "--json"]):
        done = away.manage(*arguments, **environment)
        assert done.returncode == 1
        for secret in (*SECRETS.values(), PASSWORD_OF_DATABASE):
            assert secret not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
    found = {each["name"]: each["state"] for each in json.loads(done.stdout)}
    assert {name for name, state in found.items() if state == "skipped"} == {
        each.tags[0] for each in registry.get_checks() if each.tags[1:]
    }
    assert [found[name] for name in ("database", "mail", "external issuer")] == ["failed"] * 3
    assert (found["keys"], found["deployment"]) == ("ok", "warning")


@pytest.mark.process
def test_an_empty_database_is_told_to_be_migrated(db: None) -> None:
    with database("empty") as empty:
        done = empty.manage("doctor", "--json")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    found = {each["name"]: each for each in json.loads(done.stdout)}
    assert found["migrations"]["advice"] == "Apply them: python manage.py migrate"
    assert found["time zones"]["what"] == "Not looked at; see migrations."


# --- Each by itself ---------------------------------------------------------------------------------


def test_accounts_that_mail_does_not_reach_are_told(db: None) -> None:
    make_user(email="ada@faß.de")
    make_user(email=f"{'a' * 64}@bücher.de")
    assert find("addresses").level == checks.INFO
    lost = [make_user(email=email) for email in ("ıda@example.com", "ada@exam\u200dple.com", f"{'a' * 65}@b.example")]
    lost.append(make_user(email="ada@fass.de"))
    User.objects.filter(pk=lost[-1].pk).update(email="ada@FAẞ.de")  # as migration 0012 leaves a second one
    numbers = ", ".join(str(user.pk) for user in lost)
    found = find("addresses")
    assert (found.level, numbers in found.msg) == (checks.WARNING, True)


@pytest.mark.parametrize(
    ("version", "level"), [(140_010, checks.ERROR), (150_001, checks.INFO), (190_000, checks.WARNING)]
)
def test_servers_that_are_too_old_or_too_new(
    db: None, monkeypatch: pytest.MonkeyPatch, version: int, level: int
) -> None:
    class Connected:
        class info:  # noqa: N801
            server_version = version

        def close(self) -> None: ...

    monkeypatch.setattr(doctor, "_connect", Connected)
    assert find("database").level == level


def test_missing_and_newer_migrations(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('tasks', '9999_future', now())")
        assert find("migrations").msg == "1 are of a newer Tickbase."
        cursor.execute("DELETE FROM django_migrations WHERE app = 'tasks'")
    assert find("migrations").hint == "Apply them: python manage.py migrate"


def test_exposed_rows(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE tasks_task NO FORCE ROW LEVEL SECURITY")
    found = find("row security")
    assert (found.level, "tasks_task" in found.msg, "CREATE ROLE" in str(found.hint)) == (checks.ERROR, True, True)


@pytest.mark.parametrize(
    ("seconds", "level"), [(0, checks.INFO), (5, checks.WARNING), (-5, checks.WARNING), (60, checks.ERROR)]
)
def test_clocks_that_are_apart(db: None, seconds: int, level: int) -> None:
    with time_machine.travel(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)):
        assert find("clock").level == level


def test_more_connections_than_there_are(db: None, settings: Settings) -> None:
    settings.WORKERS, settings.THREADS = 64, 100
    assert find("connections").level == checks.ERROR
    settings.WORKERS, settings.THREADS = 2, 4
    found = find("connections")
    working = 1 + work.threads()
    assert (found.level, f"Up to {2 * 5 + working + 3} " in found.msg) == (checks.INFO, True)  # three spare ones


@pytest.mark.process
def test_programs_that_are_too_old(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "major", lambda connected: 99)
    assert "apt install postgresql-client-99" in str(find("backup").hint)


def test_time_zones_that_are_not_known_here(db: None) -> None:
    User.objects.filter(pk=make_user().pk).update(timezone="Mars/Olympus")
    assert find("time zones").msg == "Accounts have unknown ones: Mars/Olympus."


def test_a_database_that_was_recovered_until_a_new_epoch_begins(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find("epoch").level == checks.INFO
    monkeypatch.setattr(timeline, "current", lambda: 7)
    found = find("epoch")
    assert (found.level, found.id, "and is 7" in found.msg) == (checks.WARNING, "users.W007", True)
    call_command("new_epoch", stdout=StringIO())
    assert find("epoch").level == checks.INFO
    monkeypatch.setattr(timeline, "current", lambda: None)  # where nobody may ask
    assert find("epoch").level == checks.INFO


@pytest.mark.parametrize("name", ["SECRET_KEY", "JWT_SIGNING_KEY", "JWT_EXTERNAL_SECRET"])
def test_keys_that_can_be_guessed(settings: Settings, name: str) -> None:
    setattr(settings, name, "change-me-" * 5)
    found = find("keys")
    assert (found.level, found.msg.startswith(name)) == (checks.ERROR, True)
    assert "change-me" not in f"{found.msg} {found.hint}"


def test_keys_that_others_can_read(settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    (tmp_path / "secret_key.secret").touch(0o644)
    assert find("keys").hint == f"chmod 600 {tmp_path}/secret_key.secret"


@pytest.mark.parametrize(
    ("file_mode", "folder_mode", "is_told"), [(0o644, 0o755, True), (0o640, 0o755, False), (0o644, 0o700, False)]
)
def test_secret_files_that_others_can_read(
    monkeypatch: pytest.MonkeyPatch, file_mode: int, folder_mode: int, is_told: bool
) -> None:
    with TemporaryDirectory(prefix="tickbase-") as name:
        folder, file = Path(name), Path(name) / "key"
        file.touch()
        file.chmod(file_mode)
        folder.chmod(folder_mode)
        monkeypatch.setattr(variables, "secret_files", {"SECRET_KEY_FILE": file})
        found = find("secret files")
    if is_told:
        assert (found.level, found.msg) == (checks.WARNING, "Others can read SECRET_KEY_FILE.")
        assert found.hint == f"chmod o= {file}"
    else:
        assert found.level == checks.INFO


@pytest.mark.parametrize(("hours", "level"), [(47, checks.INFO), (49, checks.WARNING), (None, checks.WARNING)])
def test_a_backup_that_is_old_or_missing(db: None, settings: Settings, hours: int | None, level: int) -> None:
    Backup.objects.all().delete()
    if hours is not None:
        Backup.objects.create(pk=1, made_at=dt.datetime.now(dt.UTC) - dt.timedelta(hours=hours))
    assert find("last backup").level == checks.INFO  # in development
    settings.PRODUCTION = True
    found = find("last backup")
    assert (found.level, f"{hours} hours ago" in found.msg) == (level, hours is not None)


def test_a_mail_server_that_is_away_or_missing(settings: Settings) -> None:
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    assert find("mail").msg.endswith("cannot be reached: ConnectionRefusedError.")
    settings.EMAIL_HOST, settings.PRODUCTION = "", True
    assert find("mail").level == checks.WARNING


@pytest.mark.parametrize(("free", "level"), [(10, checks.ERROR), (1 << 30, checks.WARNING), (1 << 40, checks.INFO)])
def test_a_disk_that_is_full(monkeypatch: pytest.MonkeyPatch, free: int, level: int) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": free}))
    assert find("disk").level == level


def test_the_issuer_is_asked(settings: Settings) -> None:
    with Issuer() as issuer:
        settings.JWT_EXTERNAL_JWKS_URL = issuer.url
        assert find("external issuer").level == checks.INFO
    assert find("external issuer").level == checks.ERROR


# --- The worker -------------------------------------------------------------------------------------


def test_a_worker_that_is_missing_or_late(db: None) -> None:
    assert (find("worker").level, "No worker was seen;" in find("worker").msg) == (checks.WARNING, True)
    now = timezone.now()
    Worker.objects.beat("host:1", now, now - dt.timedelta(minutes=2))
    assert "No worker was seen since " in find("worker").msg
    Worker.objects.beat("host:1", now, now)
    assert find("worker").level == checks.INFO
    waiting = {"kind": "none", "due_at": now - dt.timedelta(minutes=11), "expires_at": now}
    Mail.objects.create(**waiting)
    assert find("worker").msg == "Work waits: mails for 11 min."
