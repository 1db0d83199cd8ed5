"""What docs/deployment.md hands out: without a Docker engine, each part is run or checked by itself."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psycopg
import pytest
import yaml
from django.conf import settings
from django.core.management import load_command_class
from psycopg import sql

from config.database.embedded import PROGRAMS
from config.server.streams import OF_KEY
from tests.config.test_readme import variables
from tests.dockerfile import NOBODY, Stage, build, steps
from tests.pgbouncer import PgBouncer, needs_pgbouncer, version
from tests.server import NO_RATE_LIMITS, Server, free_port
from tests.streaming import make_account, opened, opened_many

ROOT: Path = settings.BASE_DIR
DOMAIN = "tasks.example.com"
HTTPS = {"Host": DOMAIN, "X-Forwarded-Proto": "https"}
ACCOUNT = {"email": "ada@example.com", "password": "correct horse battery"}
PATIENCE = 30  # seconds
HADOLINT, CADDY = (Path(sys.executable).parent / name for name in ("hadolint", "caddy"))


def needs(program: str) -> pytest.MarkDecorator:
    is_missing = shutil.which(program) is None and "CI" not in os.environ
    return pytest.mark.skipif(is_missing, reason=f"needs {program}, a program of Debian's")


def installed(path: Path) -> pytest.MarkDecorator:
    is_missing = not path.exists() and "CI" not in os.environ
    return pytest.mark.skipif(is_missing, reason=f"{path.name}-bin is for Linux on x86-64")


needs_caddy = installed(CADDY)


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return found


def interpolated(value: str) -> str:
    """`${DOMAIN}`, `${NAME:-default}` and `${NAME:?what to do}`."""
    return re.sub(r"\$\{(\w+)(?::[-?]([^}]*))?\}", lambda found: DOMAIN if found[1] == "DOMAIN" else found[2], value)


@contextmanager
def folder() -> Iterator[Path]:
    """Which the image's user may pass; pytest's own are private."""
    with TemporaryDirectory(prefix="tickbase-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


# --- The image --------------------------------------------------------------------------------------


@installed(HADOLINT)
@pytest.mark.process
def test_the_dockerfile_is_clean() -> None:
    linted = subprocess.run([HADOLINT, "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True)
    assert (linted.returncode, linted.stdout) == (0, "")


def test_the_image_is_of_the_python_that_the_tests_run_on_and_of_nobody_s_user() -> None:
    found = steps((ROOT / "Dockerfile").read_text())
    bases = {rest.split()[0] for keyword, rest in found if keyword == "FROM"}
    assert bases == {"python:3.11-slim-bookworm"}
    assert [rest for keyword, rest in found if keyword == "USER"] == [NOBODY]


@pytest.fixture(scope="module")
def secrets() -> Iterator[Path]:
    with folder() as place:
        subprocess.run(["sh", ROOT / "deploy" / "make-secrets.sh"], cwd=place, check=True, capture_output=True)
        yield place / "secrets"


@pytest.fixture(scope="module")
def image() -> Iterator[Stage]:
    with folder() as place:
        stage = build(ROOT, place)
        subprocess.run(["chmod", "-R", "a-w", stage.root], check=True)
        yield stage
        subprocess.run(["chmod", "-R", "u+w", stage.root], check=True)


@pytest.fixture(scope="module")
def database(django_db_setup: None) -> Iterator[tuple[Path, str]]:
    """An empty one of the role, and the directory of its server's socket."""
    own = settings.DATABASES["default"]
    name = f"deployed_{os.getpid()}"
    with psycopg.connect(host=own["HOST"], user=own["USER"], dbname="postgres", autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield Path(own["HOST"]), name
        connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


def bouncer_config() -> str:
    """The very file, but for where things are."""
    text = (ROOT / "deploy" / "pgbouncer.ini").read_text()
    for pattern, place in (
        (r"^tickbase = .*", "{name} = host={socket} dbname={name} user=tickbase"),
        (r"^listen_addr = .*", "listen_addr = 127.0.0.1"),
        (r"^listen_port = .*", "listen_port = {port}"),
        (r"^auth_file = .*", "auth_file = {folder}/users"),
    ):
        text, count = re.subn(pattern, place, text, flags=re.M)
        assert count == 1, pattern
    return text


@pytest.fixture(scope="module")
def deployed(image: Stage, secrets: Path, database: tuple[Path, str]) -> Iterator[dict[str, str]]:
    """The environment of a Tickbase that runs as the image's command does, with what compose.yaml gives it."""
    with ExitStack() as stack:
        socket, name = database
        bouncer = stack.enter_context(PgBouncer(stack.enter_context(folder()), socket, name, bouncer_config()))
        given = {key: interpolated(value) for key, value in compose()["services"]["app"]["environment"].items()}
        given = {key: value.replace("/run/secrets", str(secrets)) for key, value in given.items()}
        Path(given["DATABASE_URL_FILE"]).write_text(bouncer.url)
        if version() < (1, 24):
            given["DATABASE_PREPARED_STATEMENTS"] = "auto"
        own = {"HOST": "127.0.0.1", "PORT": str(free_port())}
        environment = {**image.environment, **given, **own, **NO_RATE_LIMITS}
        secrets.chmod(0o755)  # Docker mounts the files; here the image's user passes the directory
        migrating = {**environment, "DATABASE_URL": f"postgresql://tickbase@/{name}?host={socket}"}
        del migrating["DATABASE_URL_FILE"]
        migrate = [str(image.root / "opt/venv/bin/python"), *compose()["services"]["migrate"]["command"][1:]]
        subprocess.run(migrate, cwd=image.workdir, env=migrating, check=True, capture_output=True)
        process = subprocess.Popen(image.command(image.commands["CMD"]), cwd=image.workdir, env=environment)
        try:
            yield environment
        finally:
            process.terminate()
            assert process.wait(PATIENCE) == 0


def is_healthy(image: Stage, environment: dict[str, str]) -> bool:
    check = image.command(image.commands["HEALTHCHECK"])
    return subprocess.run(check, cwd=image.workdir, env=environment, capture_output=True).returncode == 0


@pytest.mark.pgbouncer
@needs_pgbouncer
def test_the_image_s_steps_make_a_tickbase_that_serves_from_a_read_only_tree(
    image: Stage, deployed: dict[str, str]
) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_healthy(image, deployed):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    base = f"http://127.0.0.1:{deployed['PORT']}"
    account = httpx.post(f"{base}/api/auth/register", json=ACCOUNT, headers=HTTPS, timeout=PATIENCE)
    assert account.status_code == 201, account.text
    bearer = {**HTTPS, "Authorization": f"Bearer {account.json()['access']}"}
    made = httpx.post(f"{base}/api/me/tasks", json={"title": "Deploy"}, headers=bearer)
    assert (made.status_code, made.headers["ETag"]) == (201, '"1"')
    assert httpx.get(f"{base}/readyz", headers=HTTPS).status_code == 200
    assert httpx.get(f"{base}/healthz").status_code == 400  # 127.0.0.1 is none of the hosts


@pytest.mark.process
def test_a_tickbase_that_does_not_answer_is_unhealthy() -> None:
    environment = {"PATH": os.environ["PATH"], "PORT": str(free_port()), "ALLOWED_HOSTS": DOMAIN}
    checked = subprocess.run(
        ["python3", ROOT / "deploy" / "healthcheck.py"], env=environment, capture_output=True, text=True
    )
    assert checked.returncode == 1
    assert checked.stderr.startswith("Tickbase does not answer: ")


# --- compose.yaml -----------------------------------------------------------------------------------


@pytest.mark.process
def test_secrets_are_made_once_and_by_the_names_that_compose_reads(secrets: Path) -> None:
    assert {Path(each["file"]).name for each in compose()["secrets"].values()} == set(os.listdir(secrets))
    again = subprocess.run(["sh", ROOT / "deploy" / "make-secrets.sh"], cwd=secrets.parent, capture_output=True)
    assert again.returncode == 1
    assert len({path.read_text() for path in secrets.iterdir()}) == len(list(secrets.iterdir()))


def test_every_service_has_the_secrets_and_files_that_it_names() -> None:
    for name, service in compose()["services"].items():
        assert set(service.get("secrets", [])) <= set(compose()["secrets"]), name
        mounted = [volume.partition(":")[0] for volume in service.get("volumes", [])]
        assert all((ROOT / path).exists() for path in mounted if path.startswith("./")), name
        named = [path for path in service.get("environment", {}).values() if "/run/secrets/" in path]
        assert {Path(path).name for path in named} <= set(service.get("secrets", [])), name
        assert ":" in service["image"] or service["image"] == "tickbase", f"{name} has no version"


def test_services_wait_for_what_can_be_waited_for() -> None:
    services = compose()["services"]
    for service in services.values():
        for other, waits in service.get("depends_on", {}).items():
            has_check = "healthcheck" in services[other] or services[other]["image"] == "tickbase"
            assert has_check or waits["condition"] != "service_healthy", other


def test_compose_sets_variables_that_there_are() -> None:
    known = {name for name, _ in variables()}
    for name in ("app", "worker", "migrate", "backup"):
        assert set(compose()["services"][name]["environment"]) <= known


# --- The servers around it --------------------------------------------------------------------------


@contextmanager
def caddy(servers: Sequence[Server], place: Path, **other: str) -> Iterator[str]:
    """The very Caddyfile, over plain HTTP, in front of some servers; with other values of some directives."""
    text = (ROOT / "deploy" / "Caddyfile").read_text()
    addresses = " ".join(f"127.0.0.1:{server.port}" for server in servers)
    text, count = re.subn(r"dynamic a \{.*?\}", f"to {addresses}", text, flags=re.S)
    assert count == 1
    for directive, value in other.items():
        text, count = re.subn(rf"(\s{directive}) \S+$", rf"\1 {value}", text, flags=re.M)
        assert count == 1, directive
    (place / "Caddyfile").write_text(text)
    base = f"http://127.0.0.1:{free_port()}"
    own = {"DOMAIN": base, "CADDY_ADMIN": f"127.0.0.1:{free_port()}", "HOME": str(place)}
    command = [str(CADDY), "run", "--adapter", "caddyfile", "--config", str(place / "Caddyfile")]
    with (place / "caddy.log").open("wb") as log:
        process = subprocess.Popen(command, env={**os.environ, **own}, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with suppress(httpx.TransportError):
                httpx.get(f"{base}/healthz")
                break
            time.sleep(0.05)
        yield base
    finally:
        process.kill()
        process.wait()


@needs_caddy
@pytest.mark.process
def test_caddy_passes_on_etags_and_tells_who_calls() -> None:
    with ExitStack() as stack:
        place = stack.enter_context(folder())
        limited = Server(place / "data", TRUSTED_PROXIES="1", RATE_LIMIT_ANON="3/min")
        base = stack.enter_context(caddy([stack.enter_context(limited)], place))
        account = httpx.post(f"{base}/api/auth/register", json=ACCOUNT).json()
        bearer = {"Authorization": f"Bearer {account['access']}", "Accept-Encoding": "gzip, zstd"}
        made = httpx.post(f"{base}/api/me/tasks", json={"title": "Proxied"}, headers=bearer)
        assert made.headers["ETag"] == '"1"'
        path = f"{base}/api/me/tasks/{made.json()['id']}"
        assert httpx.patch(path, json={"title": "B"}, headers={**bearer, "If-Match": '"1"'}).status_code == 200
        # Whoever makes up an address is still the same caller.
        assert httpx.get(f"{base}/metrics").content == b""
        forged = [{"X-Forwarded-For": f"203.0.113.{number}"} for number in range(4)]
        assert [httpx.get(f"{base}/api/me/tasks", headers=each).status_code for each in forged][-1] == 429


@needs_caddy
@pytest.mark.process
def test_caddy_hands_on_events_and_the_end_of_a_client_at_once_and_ends_no_stream() -> None:
    """Its deadline for the body of a request is none for the answer."""

    async def scene(server: Server, base: str) -> None:
        url, account = httpx.URL(base), make_account(server)
        async with opened_many(server, [account.token] * (OF_KEY - 1)):
            async with opened(url, account.token, Host=url.netloc.decode()) as stream:
                await stream.head(5)
                with pytest.raises(TimeoutError):
                    await stream.next(1.5)
                await asyncio.to_thread(account.add)
                await stream.head(0.5)
            async with asyncio.timeout(5):
                while True:
                    async with opened(server, account.token) as stream:
                        if stream.status == 200:
                            return

    with ExitStack() as stack:
        place = stack.enter_context(folder())
        server = stack.enter_context(Server(place / "data", TRUSTED_PROXIES="1"))
        asyncio.run(scene(server, stack.enter_context(caddy([server], place, read_body="1s"))))


def units() -> list[Path]:
    return sorted(path for path in (ROOT / "deploy").iterdir() if path.suffix in {".service", ".timer"})


@needs("systemd-analyze")
@pytest.mark.process
@pytest.mark.parametrize("path", units(), ids=lambda path: path.name)
def test_systemd_takes_the_unit(path: Path, tmp_path: Path) -> None:
    for each in units():  # a timer looks for what it starts
        text = each.read_text().replace("/opt/tickbase/.venv/bin/python", "/usr/bin/env python3")
        (tmp_path / each.name).write_text(text)
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / path.name], capture_output=True, text=True
    )
    assert (verified.returncode, verified.stderr) == (0, "")
    known = {name for name, _ in variables()} | {"PYTHONDONTWRITEBYTECODE"}
    assert set(re.findall(r"(\w+)=", " ".join(re.findall(r"^Environment=(.*)", path.read_text(), re.M)))) <= known


def test_the_units_are_installed_as_the_page_says() -> None:
    page = (ROOT / "docs" / "deployment.md").read_text()
    assert sorted(re.findall(r"/opt/tickbase/deploy/(\S+\.(?:service|timer))", page)) == [path.name for path in units()]


def test_backups_are_made_by_a_user_of_their_own() -> None:
    """The volume is theirs, too: Docker gives it the owner of the image's folder."""
    services, dockerfile = compose()["services"], (ROOT / "Dockerfile").read_text()
    assert services["backup"]["user"] not in {NOBODY, "0"}
    assert (
        f"--uid {services['backup']['user']} --no-create-home --shell /usr/sbin/nologin tickbase-backup" in dockerfile
    )
    assert "--owner=tickbase-backup /backups" in dockerfile
    users = {path.name: re.findall(r"^User=(.*)", path.read_text(), re.M) for path in units()}
    assert users == {
        "tickbase-backup.service": ["tickbase-backup"], "tickbase-backup.timer": [], "tickbase.service": ["tickbase"],
        "tickbase-worker.service": ["tickbase"],
    }  # fmt: skip


def test_backups_go_where_there_is_a_place_for_them() -> None:
    """In the folder that systemd makes, and in the volume of Compose; and old ones leave."""
    unit, service = (ROOT / "deploy" / "tickbase-backup.service").read_text(), compose()["services"]["backup"]
    [state] = re.findall(r"^StateDirectory=(.*)", unit, re.M)
    [started] = re.findall(r"^ExecStart=\S+ (.*)", unit, re.M)
    [looped] = re.findall(r"while python (.*); do sleep 86400; done", service["command"][-1])
    for line, folder in ((started, f"/var/lib/{state}"), (looped, service["volumes"][0].partition(":")[2])):
        program, command, *arguments = line.split()
        options = load_command_class("config", command).create_parser(program, command).parse_args(arguments)
        assert (str(options.file), options.keep) == (folder, 14)


@pytest.mark.parametrize("name", ["make-secrets.sh", "create-role.sh"])
@pytest.mark.process
def test_the_scripts_are_sh(name: str) -> None:
    subprocess.run(["sh", "-n", ROOT / "deploy" / name], check=True)


@pytest.mark.process
def test_the_role_is_none_that_passes_by_row_level_security(tmp_path: Path) -> None:
    own, name = settings.DATABASES["default"], f"role_{os.getpid()}"
    (tmp_path / "password").write_text("p'ss\"word")
    script = (ROOT / "deploy" / "create-role.sh").read_text().replace("tickbase", name)
    environment = {
        "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
        "PGHOST": own["HOST"],
        "TICKBASE_PASSWORD_FILE": str(tmp_path / "password"),
    }
    subprocess.run(["sh", "-c", script], env=environment, check=True, capture_output=True)
    with psycopg.connect(host=own["HOST"], user="postgres", dbname="postgres", autocommit=True) as connection:
        asked = "SELECT rolsuper, rolbypassrls, rolcanlogin FROM pg_roles WHERE rolname = %s"
        assert connection.execute(asked, [name]).fetchall() == [(False, False, True)]
        asked = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s"
        assert connection.execute(asked, [name]).fetchall() == [(name,)]
        connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
