"""Types that openapi-typescript makes of docs/openapi.yaml, and openapi-fetch that lives with them."""

from pathlib import Path

import pytest

from tests.clients.npm import install, npm
from tests.server import Server


def _run(project: Path, *arguments: str) -> str:
    done = npm(project, "run", "--silent", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def project() -> Path:
    return install("typescript")


@pytest.mark.node
def test_generated_types_drive_a_task_from_creation_to_deletion(project: Path, server: Server) -> None:
    generated = _run(project, "generate").lower()
    assert "warn" not in generated and "error" not in generated and "🚀" in generated, generated
    _run(project, "compile")
    assert _run(project, "drive", "--", server.base, "typescript@example.com") == "deleted\n"
