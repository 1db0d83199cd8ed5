"""The pytest plugin of the marker `process`: who carries it, that nobody else starts a program, and what all share."""

import os
import sys
from collections.abc import Generator
from tempfile import TemporaryDirectory

import pytest

from tests.server import TEMPLATES, Server

# Whoever uses one of these starts a program: fixtures of several files, and markers that name what a test needs.
FIXTURES = {"server", "tree", "metered"}
MARKERS = {"node", "pgbouncer", "browser"}
EVENTS = {"subprocess.Popen", "os.posix_spawn", "os.fork", "os.forkpty", "os.exec", "os.system"}

SHOWN_LOG = 4000  # characters, at the end

_unmarked: str | None = None  # the running test, unless it may start programs


def pytest_configure(config: pytest.Config) -> None:
    """One folder of templates for all workers, which inherit its name."""
    if not hasattr(config, "workerinput"):
        folder = TemporaryDirectory(prefix="tickbase-")
        os.environ[TEMPLATES] = folder.name
        config.add_cleanup(folder.cleanup)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """They come first: they take longest, and at the end most workers would have nothing left to do beside them."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if not FIXTURES.isdisjoint(fixtures) or any(marker.name in MARKERS for marker in item.iter_markers()):
            item.add_marker(pytest.mark.process)
    items.sort(key=lambda item: item.get_closest_marker("process") is None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    global _unmarked
    _unmarked = None if item.get_closest_marker("process") else item.nodeid
    try:
        return (yield)
    finally:
        _unmarked = None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What fails at a server that tests share is told by its log, which nobody sees afterwards."""
    report = yield
    server = getattr(item, "funcargs", {}).get("server")
    if report.failed and isinstance(server, Server):
        report.sections.append(("Log of the server", server.log.read_text(errors="replace")[-SHOWN_LOG:]))
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown() -> None:
    """What the tests of a file share ends with the last of them, whichever that is."""
    global _unmarked
    _unmarked = None


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    """Fail with what no `except Exception` takes for the program's own failure."""
    if _unmarked is not None and event in EVENTS:
        pytest.fail(f"{_unmarked} starts a program: it needs the marker process")


sys.addaudithook(_refuse)
