"""The short form of `make soak`."""

from collections.abc import Iterator

import pytest

from tests.server import Server
from tests.soak import WEIGHTS, running_server, soak

pytestmark = pytest.mark.process

SECONDS, ROUNDS = 2, 15


@pytest.fixture(scope="module")
def two_workers() -> Iterator[Server]:
    with running_server() as server:
        yield server


def test_16_writers_of_4_users_meet_no_deadlock_and_lose_nothing(two_workers: Server) -> None:
    result = soak(two_workers, SECONDS)
    assert result.complaints == []
    assert (result.deadlocks, result.reruns) == (0, 0)
    kinds = {answer.partition(" ")[0] for answer in result.answers}
    assert kinds >= WEIGHTS.keys() - {"change_password"}  # which is rare


def test_a_deadlock_would_be_met_and_is_not_seen_by_the_clients(two_workers: Server) -> None:
    """Not in every two seconds, if other tests keep the machine busy."""
    for _ in range(ROUNDS):
        result = soak(two_workers, SECONDS, with_rival=True)
        assert result.complaints == []
        assert result.deadlocks == result.reruns
        if result.deadlocks:
            return
    pytest.fail("none was met")
