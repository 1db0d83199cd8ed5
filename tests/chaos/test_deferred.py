"""A short form of what `python -m tests.chaos mails mails-app mails-postgres` measures."""

import pytest

from tests.chaos import deferred

pytestmark = pytest.mark.process


@pytest.mark.parametrize("what", ["worker", "app", "postgres"])
def test_no_mail_is_lost_by_a_kill(what: str) -> None:
    result = deferred.kill(what, 2, waits=False)
    assert result.acknowledged >= 20
    assert result.lost == 0


def test_a_mail_that_is_lost_is_found_missing() -> None:
    """The control."""
    assert deferred.kill("worker", 1, forgetful=True, waits=False).lost > 0
