"""The service as a process: start, stop, sharing, and what a kill leaves behind."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from secrets import token_urlsafe
from tempfile import TemporaryDirectory

import httpx
import psutil
import pytest

from config import VERSION
from config.management.commands import serve
from tests.server import Server

pytestmark = pytest.mark.process

ADA = {"email": "ada@example.com", "password": "correct horse battery"}


@pytest.fixture
def folder() -> Iterator[Path]:
    """As for the `server` fixture: not below pytest's own directory."""
    with TemporaryDirectory(prefix="tickbase-") as name:
        yield Path(name)


@pytest.fixture
def own_server(folder: Path) -> Iterator[Server]:
    server = Server(folder / "own")
    yield server
    server.kill_all()


def create_task(server: Server, title: str) -> None:
    answer = httpx.post(f"{server.base}/api/auth/register", json=ADA)
    if answer.status_code == 409:
        answer = httpx.post(f"{server.base}/api/auth/login", json=ADA)
    headers = {"Authorization": f"Bearer {answer.json()['access']}"}
    assert httpx.post(f"{server.base}/api/me/tasks", json={"title": title}, headers=headers).status_code == 201


def titles(server: Server) -> list[str]:
    access = httpx.post(f"{server.base}/api/auth/login", json=ADA).json()["access"]
    tasks = httpx.get(f"{server.base}/api/me/tasks", headers={"Authorization": f"Bearer {access}"}).json()
    return [task["title"] for task in tasks]


def test_ctrl_c_stops_everything_and_loses_nothing(own_server: Server) -> None:
    own_server.start()
    create_task(own_server, "kept")
    os.killpg(own_server.process.pid, signal.SIGINT)  # as a terminal does
    assert own_server.process.wait(30) == 0
    assert own_server.processes() == []
    own_server.start()
    assert titles(own_server) == ["kept"]


class FirstStart(Server):
    is_copied = False


class MakeRun(FirstStart):
    """In this checkout, with what these tests run with: nothing is installed."""

    command = ["make", "run", f"VENV={sys.prefix}", f"--old-file={sys.prefix}/.installed"]


@pytest.fixture
def made(folder: Path) -> Iterator[Server]:
    server = MakeRun(folder / "made")
    yield server
    server.kill_all()


def test_make_run_serves_until_ctrl_c(made: Server) -> None:
    made.start()
    assert httpx.get(f"{made.base}/api/docs").status_code == 200
    assert (made.data_dir / "postgres").is_dir()
    os.killpg(made.process.pid, signal.SIGINT)
    made.process.wait(30)
    assert made.processes() == []


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_main_process_stops_everything(own_server: Server, signum: signal.Signals) -> None:
    own_server.start()
    assert own_server.stop(signum) == 0
    assert own_server.processes() == []


def test_after_a_kill_of_everything_the_next_start_recovers(own_server: Server) -> None:
    own_server.start()
    create_task(own_server, "kept")
    own_server.kill_all()
    own_server.start()
    assert titles(own_server) == ["kept"]
    assert own_server.stop() == 0
    assert own_server.processes() == []  # the killed holder does not keep the database alive


def test_after_a_kill_of_the_main_process_the_next_start_takes_over(own_server: Server) -> None:
    own_server.start()
    create_task(own_server, "kept")
    own_server.process.kill()
    own_server.process.wait(10)
    own_server.start()
    assert titles(own_server) == ["kept"]
    assert own_server.stop() == 0
    assert own_server.processes() == []


def test_a_stale_pid_file_that_names_a_living_stranger_does_not_fool_the_start(own_server: Server) -> None:
    own_server.start()
    create_task(own_server, "kept")
    pid_file = own_server.data_dir / "postgres" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    own_server.kill_all()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    own_server.start()
    assert titles(own_server) == ["kept"]


def test_a_command_shares_the_database_with_the_server(own_server: Server) -> None:
    own_server.start()
    create_task(own_server, "shared")
    query = "from tasks.models import Task; print(Task.objects.get().title)"
    assert own_server.manage("shell", "--no-imports", "-c", query).strip() == "shared"
    assert titles(own_server) == ["shared"]  # the command's exit has not stopped the database


class Unmigrated(FirstStart):
    command = [sys.executable, "manage.py", "serve"]

    def _is_ready(self) -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"{self.base}/readyz").status_code == 503
        return False


def test_missing_migrations_are_told_before_the_banner(folder: Path) -> None:
    with Unmigrated(folder / "own") as server:
        before, _, _ = server.log.read_text().partition(" is serving")
    assert re.search(r"WARNING .* \d+ migrations are missing: until `python manage.py migrate`", before)


def test_a_taken_port_is_refused_with_advice(own_server: Server, folder: Path) -> None:
    own_server.start()
    second = Server(folder / "second", PORT=str(own_server.port))
    with pytest.raises(RuntimeError, match="choose another port"):
        second.start()
    assert psutil.Process(own_server.process.pid).is_running()


def test_all_that_the_banner_prints_can_be_used(own_server: Server) -> None:
    own_server.start()
    banner = own_server.log.read_text()
    command = "".join(re.findall(r"curl .*\\\n.*", banner))
    addresses = re.findall(r"http://\S+", banner.replace(command, ""))
    assert addresses == [f"{own_server.base}/api/docs", f"{own_server.base}/admin/"]
    answers = [httpx.get(address, follow_redirects=True) for address in addresses]
    assert [(answer.status_code, answer.headers["Content-Type"]) for answer in answers] == [
        (200, "text/html; charset=utf-8")
    ] * 2
    done = subprocess.run(["sh", "-c", f"{command} -s"], capture_output=True, text=True, timeout=30)
    assert json.loads(done.stdout)["user"]["email"] == ADA["email"]


def test_a_server_of_ones_own_replaces_the_embedded_one(own_server: Server, folder: Path) -> None:
    own_server.start()
    socket_dir = own_server.data_dir / "postgres"
    url = f"postgresql://tickbase@{str(socket_dir).replace('/', '%2F')}/tickbase"
    other = Server(folder / "other", DATABASE_URL=url)
    with other:
        create_task(other, "in the given database")
        assert not (other.data_dir / "postgres").exists()
    assert titles(own_server) == ["in the given database"]


def test_the_first_start_makes_a_role_that_is_no_superuser(folder: Path) -> None:
    query = (
        "from django.db import connection; c = connection.cursor();"
        "c.execute('SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user'); print(c.fetchone())"
    )
    with FirstStart(folder / "own") as server:
        assert server.manage("shell", "--no-imports", "-c", query).strip() == "(False, False)"
        assert (server.data_dir / "secret_key.secret").stat().st_mode & 0o777 == 0o600


def test_an_unreachable_database_is_told_in_one_line(folder: Path) -> None:
    server = Server(folder / "own", DATABASE_URL="postgresql://ada:secret@127.0.0.1:1/tickbase")
    with pytest.raises(RuntimeError, match="check DATABASE_URL"):
        server.start()
    log = server.log.read_text()
    assert log.count("\n") == 1
    assert "secret" not in log


def test_production_logs_a_line_per_request_and_no_secret(own_server: Server) -> None:
    own_server.start()
    socket_dir = str(own_server.data_dir / "postgres").replace("/", "%2F")
    production = Server(
        own_server.data_dir / "production",
        ENVIRONMENT="production",
        DATABASE_URL=f"postgresql://tickbase:canary@{socket_dir}/tickbase",
        LOG_LEVEL="DEBUG",
        ALLOWED_HOSTS="127.0.0.1",
        SECRET_KEY=token_urlsafe(),
        JWT_SIGNING_KEY=token_urlsafe(),
        TRUSTED_PROXIES="1",
    )
    with production:
        headers = {"X-Forwarded-Proto": "https", "X-Request-ID": "the-one", "Authorization": "Bearer canary"}
        assert httpx.get(f"{production.base}/api/canary/tasks?canary", headers=headers).status_code == 401
    banner, *lines = production.log.read_text().splitlines()
    assert banner == f"Tickbase {VERSION} is serving; it listens on {production.base}."
    [request] = [line for line in map(json.loads, lines) if line.get("request_id") == "the-one"]
    assert (request["route"], request["status"]) == ("/api/{user_id}/tasks", 401)
    assert "canary" not in production.log.read_text()


def test_the_first_requests_for_the_schema_may_come_at_once(own_server: Server) -> None:
    own_server.start()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: httpx.get(f"{own_server.base}/api/schema", timeout=30), range(8)))
    assert [answer.status_code for answer in answers] == [200] * 8
    assert len({answer.content for answer in answers}) == 1


@pytest.mark.parametrize(
    ("host", "shown"), [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("192.0.2.7", "192.0.2.7"), ("my.lan", "my.lan")]
)
def test_the_banner_shows_where_to_call(host: str, shown: str) -> None:
    assert serve.reachable(host) == shown
