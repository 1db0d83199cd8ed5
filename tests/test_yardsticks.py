"""Upper bounds of what each route costs: counts that are the same on every machine, in the suite and beside others.

They are of Python 3.11; a newer one calls less, as it makes comprehensions part of their functions. What
`python -m tests.benchmarks.house` prints is a few calls less, without the suite around it.
"""

from collections.abc import Callable

import pytest
from pytest_django import Settings

from tests.benchmarks.system_calls import NotPermittedError
from tests.benchmarks.yardsticks import Counts, counted, counted_system_calls, routes
from tests.factories import make_user
from users.models import User

# Calls of functions in Python, in C, and of the latter for input and output; files and functions of the project;
# statements; messages to PostgreSQL.
BOUNDS = {
    "list": Counts(325, 454, 3, 30, 99, 2, 1),
    "unchanged list": Counts(262, 295, 3, 24, 86, 1, 1),
    "get": Counts(273, 303, 3, 25, 90, 1, 1),
    "create": Counts(450, 490, 9, 42, 140, 1, 1),
    "PATCH": Counts(455, 480, 10, 40, 142, 2, 2),
    "move": Counts(543, 537, 10, 44, 150, 3, 2),
    # Under the lock of the feed, with the tasks above and below, and its own long texts apart from those, which are not
    # read; with a row of the completion.
    "complete": Counts(669, 665, 4, 44, 163, 6, 2),
    "DELETE": Counts(504, 520, 4, 38, 127, 4, 2),
}
SYSTEM_CALLS = {
    "list": 4,
    "unchanged list": 4,
    "get": 4,
    "create": 4,
    "PATCH": 7,
    "move": 7,
    "complete": 7,
    "DELETE": 7,
}


@pytest.fixture
def account(transactional_db: None, limit: Callable[..., None], settings: Settings) -> User:
    """Committed for real, limited as by default, and with static files found once, as in the service."""
    limit(anon="300/min", user="3000/min")
    settings.WHITENOISE_AUTOREFRESH = False
    return make_user()


@pytest.mark.parametrize("name", BOUNDS)
def test_a_request_costs_no_more_than_its_bounds(account: User, name: str) -> None:
    counts = counted(account, routes(account)[name])
    above = {
        field: f"{count} > {bound}"
        for field, count, bound in zip(Counts._fields, counts, BOUNDS[name], strict=True)
        if count > bound
    }
    assert not above, counts


@pytest.mark.process
@pytest.mark.parametrize("name", SYSTEM_CALLS)
def test_a_request_makes_no_more_system_calls_than_its_bound(account: User, name: str) -> None:
    try:
        made = counted_system_calls(account, routes(account)[name])
    except NotPermittedError as reason:
        pytest.skip(str(reason))
    assert made <= SYSTEM_CALLS[name]
