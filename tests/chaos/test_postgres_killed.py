"""A short form of what `python -m tests.chaos postgres` measures."""

import pytest

from tests.chaos.postgres_killed import kill_postgres

pytestmark = pytest.mark.process


def test_a_killed_embedded_postgresql_comes_back_and_has_lost_nothing() -> None:
    result = kill_postgres(1)
    assert result.acknowledged > 20
    assert (result.lost, result.doubled) == (0, 0)
    assert result.slowest_return < 10
