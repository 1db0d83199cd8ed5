"""The Node projects among the tests: installed once, and only skipped where that is nobody's fault."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NoReturn

import pytest
from fasteners import InterProcessLock

CLIENTS = Path(__file__).parent
NETWORK_ERRORS = ("EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ENETUNREACH", "ENOTFOUND", "ETIMEDOUT")


def npm(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["npm", *arguments], cwd=project, capture_output=True, text=True, timeout=300)


def install(name: str) -> Path:
    """The directory of the project, once what its lock file names is there."""
    project = CLIENTS / name
    if shutil.which("npm") is None or shutil.which("node") is None:
        skip(f"Node is not installed; install Node 20 or newer for the tests in {project.name}")
    # Several processes run the tests.
    with InterProcessLock(Path(tempfile.gettempdir()) / f"tickbase-{os.getuid()}-npm-{name}.lock"):
        _install(project)
    return project


def _install(project: Path) -> None:
    # The lock file's hash, so that a second run installs nothing.
    installed = project / "node_modules" / ".installed"
    lock = hashlib.sha256((project / "package-lock.json").read_bytes()).hexdigest()
    if not installed.exists() or installed.read_text() != lock:
        done = npm(project, "ci")
        if any(error in done.stderr for error in NETWORK_ERRORS):
            skip(f"npm cannot reach its registry to install what {project.name} needs")
        assert done.returncode == 0, done.stderr
        installed.write_text(lock)


def skip(reason: str) -> NoReturn:
    """Continuous integration has Node and a network: there, skipping would hide a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
