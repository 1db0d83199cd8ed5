"""The two places where requests are counted, and the settings of other environments."""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from config.http.limits.counters import Counters, PostgresCounters
from config.http.limits.redis_counters import RedisCounters
from tests.redis_server import RedisServer
from tests.tree import Tree


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    # The path of a socket must be short, and pytest's is not.
    with TemporaryDirectory(prefix="tickbase-") as folder:
        server = RedisServer(Path(folder))
        server.start()
        yield server
        server.kill()


@pytest.fixture(params=["postgres", pytest.param("redis", marks=pytest.mark.process)])
def make_counters(request: pytest.FixtureRequest, transactional_db: None) -> Callable[[], Counters]:
    """As each process makes its own, of counters that they share."""
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis")
        return lambda: RedisCounters(server.url)
    return PostgresCounters


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)
