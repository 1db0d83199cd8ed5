"""A short form of what `python -m tests.chaos postgres` measures."""

from tests.chaos.postgres_killed import kill_postgres


def test_a_killed_embedded_postgresql_comes_back_and_has_lost_nothing() -> None:
    result = kill_postgres(1)
    assert result.acknowledged > 20
    assert (result.lost, result.doubled) == (0, 0)
    assert result.slowest_return < 10


def test_without_synchronous_commit_a_kill_loses_what_was_acknowledged() -> None:
    """The control: were it on in name only, the test above would not see it."""
    assert kill_postgres(1, synchronous_commit="off").lost > 0
