"""What a worker imports before it serves: each of these costs every start time, and every worker memory."""

import os
import subprocess
import sys

import pytest

from tests.server import ROOT

pytestmark = pytest.mark.process

UNREACHABLE = "postgresql://nobody@127.0.0.1:1/nothing"
IMPORTED = "import sys, config.asgi; print(*sys.modules)"
# Each is imported where it is used: with metrics, without DATABASE_URL, for a password or the schema.
LATER = {
    "argon2",
    "jsonschema",
    "config.database.embedded",
    "prometheus_client",
    "config.observability.metrics",
}
OURS = {"config", "users", "tasks"}
MODULES = 1207  # of others; unfold has 39 of them, and DRF imports development tools where they are installed


def imported(**environment: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": UNREACHABLE, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


@pytest.fixture(scope="module")
def modules() -> set[str]:
    return imported()


def test_a_worker_starts_without_what_it_may_never_need(modules: set[str]) -> None:
    assert modules & LATER == set()


def test_a_worker_starts_with_no_more_modules_than_it_has_to(modules: set[str]) -> None:
    assert sum(name.partition(".")[0] not in OURS for name in modules) < MODULES


def test_a_request_calls_no_receiver_of_djangos_for_connections_and_caches() -> None:
    """Each thread keeps its connection, and config.database looks at it before it is used."""
    receivers = "[receiver() for _, receiver, *_ in (*request_started.receivers, *request_finished.receivers)]"
    signals = "from django.core.signals import request_finished, request_started"
    done = subprocess.run(
        [sys.executable, "-c", f"import config.asgi; {signals}; print(*[each.__name__ for each in {receivers}])"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": UNREACHABLE},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == []
