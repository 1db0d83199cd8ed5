"""A short form of what `python -m tests.chaos busy` measures."""

import pytest

from tests.chaos.busy import WAYS, keep_busy


@pytest.mark.parametrize("way", WAYS)
def test_while_every_thread_or_connection_waits_the_service_answers_and_all_is_well_after_it(way: str) -> None:
    result = keep_busy(way, 1)
    assert result.wrong == []
    assert result.is_met
