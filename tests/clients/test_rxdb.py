"""Unmodified RxDB, and TanStack DB on top of it, with the code of the guide: pages and scenarios in Node."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from tests.clients.npm import CLIENTS, install
from tests.documents import BLOCK, blocks, steps
from tests.factories import PASSWORD
from tests.server import ROOT, Server

pytestmark = pytest.mark.node

GUIDE = ROOT / "docs/guide"
OFFLINE = GUIDE / "offline"
BASE, GRACE = "http://127.0.0.1:8000", "grace@example.com"
SCRIPTS = ["browser.mjs", "scenarios.mjs"]
SEED = "245489"  # in which a device pushes, another deletes it, and only then the first one pulls
SCENARIOS = re.findall(r'^  async "(.+)"\(\)', (CLIENTS / "rxdb" / "scenarios.mjs").read_text(), re.M)
[MODULE, *_] = steps((GUIDE / "browsers.md").read_text(), "js")


@pytest.fixture
def app(server: Server) -> Iterator[Path]:
    """A folder with an app's files, below the packages that it imports."""
    project = install("rxdb")
    (project / "generated").mkdir(exist_ok=True)
    with TemporaryDirectory(dir=project / "generated") as name:
        folder = Path(name)
        (folder / "package.json").write_text('{"type": "module"}')
        (folder / "tickbase.js").write_text(MODULE.code.replace(BASE, server.base))
        shutil.copy(OFFLINE / "tickbase-rxdb.js", folder)
        for script in SCRIPTS:
            shutil.copy(project / script, folder)
        yield folder


def run(server: Server, app: Path, script: str, *arguments: str, seconds: float = 120) -> str:
    manage = json.dumps([sys.executable, str(ROOT / "manage.py")])
    done = subprocess.run(
        ["node", "--import", "./browser.mjs", script, *arguments],
        cwd=app,
        env={**os.environ, **server.environment, "MANAGE": manage, "ROOT": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def register(server: Server, email: str) -> None:
    httpx.post(f"{server.base}/api/auth/register", json={"email": email, "password": PASSWORD}).raise_for_status()


def written(page: str, email: str) -> tuple[str, str]:
    """The code of a page as one module, for another account, and what it prints."""
    text = (OFFLINE / page).read_text()
    code, shown = ("".join(blocks(text, language)) for language in ("js", "text"))
    return code.replace(GRACE, email), shown


def test_the_page_about_rxdb_prints_what_it_shows(server: Server, app: Path) -> None:
    register(server, "rxdb@example.com")
    code, shown = written("rxdb.md", "rxdb@example.com")
    (app / "page.js").write_text(code + "\nprocess.exit();\n")
    assert run(server, app, "page.js") == shown


def test_the_page_about_tanstack_db_prints_what_it_shows(server: Server, app: Path) -> None:
    register(server, "tanstack@example.com")
    beginning, _ = written("rxdb.md", "tanstack@example.com")
    (app / "rxdb.js").write_text(beginning.partition("const trip =")[0])
    code, shown = written("tanstack.md", "")
    (app / "page.js").write_text(code + "\nprocess.exit();\n")
    assert run(server, app, "page.js") == shown
    [overrides] = blocks((OFFLINE / "tanstack.md").read_text(), "json")
    assert json.loads(overrides).items() <= json.loads((install("rxdb") / "package.json").read_text()).items()


def test_every_block_of_these_pages_is_run() -> None:
    found = {language for page in OFFLINE.glob("*.md") for language, _ in BLOCK.findall(page.read_text())}
    assert found == {"js", "json", "text"}
    assert {page.name for page in OFFLINE.glob("*.md") if blocks(page.read_text(), "js")} == {"rxdb.md", "tanstack.md"}


@pytest.mark.parametrize("name", SCENARIOS)
def test_devices_end_with_what_the_server_has(server: Server, app: Path, name: str) -> None:
    run(server, app, "scenarios.mjs", name, server.base, f"rxdb-{name.replace(' ', '-')}@example.com", SEED)
