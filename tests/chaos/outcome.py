"""What a fault was measured to do, beside the goal and a control that shows that the measurement can fail."""

from typing import NamedTuple


class NotMeasuredError(Exception):
    """The fault cannot be caused here; the message says what it needs."""


class Outcome(NamedTuple):
    fault: str
    goal: str
    measured: str
    control: str
    is_met: bool
