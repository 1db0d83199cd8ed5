"""A short form of what `python -m tests.chaos disk` measures."""

import pytest

from tests.chaos.disk_full import CAN_MOUNT, fill_up

pytestmark = pytest.mark.process


@pytest.mark.skipif(not CAN_MOUNT, reason="only root can mount the small disk that is filled")
def test_on_a_full_disk_writes_are_refused_and_reads_go_on_and_nothing_is_lost() -> None:
    result = fill_up(1)
    assert result.data.writes.keys() == {503}
    assert result.data.reads.keys() == {200}
    # The control: without room for its WAL, PostgreSQL stops.
    assert result.wal.reads[503] > 0
    assert result.lost == 0
