"""What the pages below docs/ say: their links and paths lead somewhere, and operators' commands run."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
import yaml
from django.core.management import get_commands, load_command_class

from tests.chaos.cluster import Cluster
from tests.chaos.cluster import folder as passable_folder
from tests.config.test_readme import variables
from tests.documents import PAGES, blocks, names_in, section, table
from tests.server import ROOT, Server
from tests.tree import KEY, SECRET

DOCS = ROOT / "docs"
OPERATIONS, SECURITY, DEPLOYMENT = (DOCS / f"{name}.md" for name in ("operations", "security", "deployment"))
ADA = {"email": "ada@example.com", "password": "correct horse battery"}
# Which other pages' commands are, and why they are not run here.
NOT_RUN = {
    "README.md",  # make and the service itself
    "deployment.md",  # Docker, systemd and their files: test_deploy.py
    "browsers.md",  # npm: tests/browser/test_guide.py
    "resources.md",  # of a copy of the project: tests/startresource/test_served.py
}
OPERATORS = [(page, block) for page in PAGES if page.name not in NOT_RUN for block in blocks(page.read_text(), "sh")]
by_page = pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])


@pytest.fixture(scope="module")
def operated(server: Server) -> Server:
    httpx.post(f"{server.base}/api/auth/register", json=ADA).raise_for_status()
    return server


@pytest.fixture
def home() -> Iterator[Path]:
    with passable_folder() as path:
        yield path


@pytest.mark.parametrize(
    ("page", "block"), OPERATORS, ids=[f"{page.stem}-{i}" for i, (page, _) in enumerate(OPERATORS)]
)
@pytest.mark.process
def test_operators_commands_run(operated: Server, home: Path, page: Path, block: str) -> None:
    run(block, ROOT, {**operated.environment, "HOME": str(home)})


def run(script: str, directory: Path, environment: dict[str, str]) -> str:
    given = {**environment, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-euc", script], cwd=directory, env=given, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("own", [{}, {"SECRET_KEY": SECRET, "JWT_SIGNING_KEY": KEY}], ids=["made", "own"])
@pytest.mark.process
def test_restoring_beside_takes_what_the_env_file_names_and_the_keys_that_were_made(
    home: Path, own: dict[str, str]
) -> None:
    checkout, before, after = (home / name for name in ("checkout", "before", "tickbase-data"))
    for name in ("config", "users", "tasks"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("manage.py", "docs/openapi.md"):
        (checkout / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, checkout / name)
    (checkout / ".env").write_text("".join(f"{name}={value}\n" for name, value in {"DATA_DIR": before, **own}.items()))
    [block] = blocks(section("Restore", OPERATIONS), "sh")
    begin = "python manage.py migrate\npython manage.py seed_demo --users 2 --tasks 3\n"
    assert "Restored 2 accounts, 6 tasks and 12 projects." in run(begin + block, checkout, {"HOME": str(home)})
    made = {path.name: path.read_text() for path in before.glob("*.secret")}
    assert len(made) == (0 if own else 2)
    assert {path.name: path.read_text() for path in after.glob("*.secret")} == made


def test_there_are_operators_commands() -> None:
    assert {page.stem for page, _ in OPERATORS} >= {"operations", "security"}


@by_page
def test_manage_knows_every_command(page: Path) -> None:
    """Also those within a sentence, with the options that they are given."""
    commands = get_commands()
    text = re.sub(r"\s+", " ", page.read_text())
    for name, options in re.findall(r"manage\.py ([a-z_]+)((?: [^`]*?)??)(?=`| python |$)", text):
        if name == "version":  # which manage.py itself knows
            continue
        assert name in commands, name
        known = load_command_class(commands[name], name).create_parser("manage.py", name).format_help()
        for option in re.findall(r"(?<= )--[a-z-]+", options.partition("```")[0]):
            assert option in known, f"{name} {option}"


# --- Links, paths, names -----------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@by_page
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@by_page
def test_every_path_is_there(page: Path) -> None:
    text = page.read_text()
    paths = [name for name in names_in(text) if re.fullmatch(r"(config|users|tasks|tests|docs|deploy)/[\w./-]*", name)]
    for diagram in blocks(text, "mermaid"):
        paths += re.findall(r"\b(?:config|users|tasks)/[\w./]*\w", diagram)
    for path in paths:
        assert (ROOT / path).exists(), path


@by_page
def test_every_setting_is_one(page: Path) -> None:
    known = {name for name, _ in variables()}
    for block in blocks(page.read_text(), "ini"):
        assert {line.partition("=")[0] for line in block.splitlines()} <= known
    for name in names_in(page.read_text()):
        setting = re.fullmatch(r"([A-Z]+_[A-Z_]+)(=\S*)?", name)
        if setting and setting[1].startswith(
            ("METRICS_", "JWT_", "DATABASE_", "EMAIL_", "ADMIN_", "TRUSTED_", "RATE_")
        ):
            assert setting[1] in known, name


def test_the_diagram_names_each_node_once_and_connects_them_all() -> None:
    [diagram] = blocks((DOCS / "architecture.md").read_text(), "mermaid")
    assert diagram.startswith("flowchart ")
    nodes = re.findall(r"(\w+)(?:\(\[|\[\(|\[)[^\])]+", diagram)
    edges = [line for line in diagram.splitlines() if "->" in line]
    assert len(nodes) == len(set(nodes)) >= 12
    assert all(sum(node in edge for edge in edges) for node in nodes if node != "worker")
    assert len(re.findall(r"^\s*subgraph ", diagram, re.M)) == len(re.findall(r"^\s*end$", diagram, re.M))


def test_each_alert_has_advice() -> None:
    rules = yaml.safe_load((DOCS / "alerts.yaml").read_text())
    alerts = [rule["alert"] for group in rules["groups"] for rule in group["rules"] if "alert" in rule]
    assert [names_in(row[0])[0] for row in table("Alerts", OPERATIONS)] == alerts


def test_each_metric_is_described() -> None:
    sources = [(ROOT / "config/observability" / name).read_text() for name in ("metrics.py", "scrape.py")]
    metrics = {name.removesuffix("_total") for name in re.findall(r'"(tickbase_\w+)"', "".join(sources))}
    text = section("Monitoring", OPERATIONS)
    described = {name.removesuffix("_total") for name in re.findall(r"`(tickbase_\w+)`", text)}
    assert len(metrics) >= 15 and metrics - described == set()


def test_prometheus_is_told_where_the_rules_are_and_by_the_name_that_they_use() -> None:
    asked = [yaml.safe_load(block) for block in blocks(OPERATIONS.read_text(), "yaml")]
    assert [(DOCS / name).exists() for each in asked for name in each["rule_files"]] == [True] * 2
    for job in (job for each in asked for job in each["scrape_configs"]):
        assert f'job="{job["job_name"]}"' in (DOCS / "alerts.yaml").read_text()


def test_each_threat_names_the_tests_that_hold_it_off() -> None:
    rows = table("The model", SECURITY)
    assert len(rows) >= 12
    assert [row[0] for row in rows if not names_in(row[2])] == []


# --- SQL ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with passable_folder() as path:
        database = Cluster(path / "data")
        database.initialize()
        try:
            database.start()
            yield database
        finally:
            database.kill()


@pytest.mark.process
def test_the_sql_that_makes_a_role_makes_one_that_row_level_security_holds(cluster: Cluster) -> None:
    """Run by a role as providers make them: no superuser, who may create others."""
    cluster.sql("CREATE ROLE owner LOGIN CREATEROLE CREATEDB")
    found = blocks(DEPLOYMENT.read_text(), "sql")
    assert len(found) == 2
    for number, block in enumerate(found):
        statements = [re.sub(r"--.*", "", line) for line in block.splitlines()]
        script = "\n".join(statements).replace("tickbase", f"tickbase{number}")
        with psycopg.connect(
            host=str(cluster.data), port=cluster.port, user="owner", dbname="postgres", autocommit=True
        ) as connection:
            for statement in filter(str.strip, script.split(";")):
                connection.execute(statement.encode())
        made = f"SELECT rolsuper, rolbypassrls, rolcanlogin FROM pg_roles WHERE rolname = 'tickbase{number}'"
        assert cluster.sql(made) == [(False, False, True)]


def test_the_roles_of_the_security_page_are_told_in_a_section_of_their_own() -> None:
    assert section("Roles", SECURITY)
