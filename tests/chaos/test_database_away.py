"""A short form of what `python -m tests.chaos stopped frozen idle` measures."""

from collections.abc import Iterator

import pytest

from tests.chaos import idle_dropped
from tests.chaos.cluster import Cluster, service
from tests.chaos.database_away import GOAL_SECONDS, WAYS, take_away
from tests.server import Server

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Server, Cluster]]:
    with service() as pair:
        yield pair


@pytest.mark.parametrize("way", WAYS)
def test_every_answer_is_a_503_within_seconds_and_the_service_comes_back_by_itself(
    running: tuple[Server, Cluster], way: str
) -> None:
    result = take_away(way, *running, 2)
    assert result.wrong == []
    assert result.slowest <= GOAL_SECONDS
    assert result.return_seconds < 5


@pytest.mark.parametrize("way", idle_dropped.WAYS)
def test_no_request_fails_after_idle_connections_were_dropped(running: tuple[Server, Cluster], way: str) -> None:
    assert idle_dropped.failures(way, *running) == 0


def test_plain_connections_that_were_dropped_fail(running: tuple[Server, Cluster]) -> None:
    """The control."""
    assert idle_dropped.failures_of_plain_connections(running[1]) > 0
