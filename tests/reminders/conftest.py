"""A clock that tests set."""

from collections.abc import Iterator

import pytest
import time_machine

from tests.reminders import NOW


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as moved:
        yield moved
