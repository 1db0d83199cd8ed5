"""Types that openapi-typescript makes of docs/openapi.yaml, and openapi-fetch that lives with them."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.server import Server

PROJECT = Path(__file__).parent / "typescript"
INSTALLED = PROJECT / "node_modules" / ".installed"  # the lock file's hash, so that a second run installs nothing
NETWORK_ERRORS = ("EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ENETUNREACH", "ENOTFOUND", "ETIMEDOUT")


def _npm(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["npm", *arguments], cwd=PROJECT, capture_output=True, text=True, timeout=300)


def _run(*arguments: str) -> str:
    done = _npm("run", "--silent", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def installed() -> None:
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed; install Node 20 or newer to test the TypeScript client")
    lock = hashlib.sha256((PROJECT / "package-lock.json").read_bytes()).hexdigest()
    if INSTALLED.exists() and INSTALLED.read_text() == lock:
        return
    done = _npm("ci")
    if any(error in done.stderr for error in NETWORK_ERRORS):
        pytest.skip("npm cannot reach its registry to install the TypeScript client's tools")
    assert done.returncode == 0, done.stderr
    INSTALLED.write_text(lock)


def test_generated_types_drive_a_task_from_creation_to_deletion(installed: None, server: Server) -> None:
    generated = _run("generate").lower()
    assert "warn" not in generated and "error" not in generated and "🚀" in generated, generated
    _run("compile")
    assert _run("drive", "--", server.base, "typescript@example.com") == "deleted\n"
