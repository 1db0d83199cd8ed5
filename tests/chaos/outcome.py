"""What a fault was measured to do, beside the goal and a control that shows that the measurement can fail."""

from typing import NamedTuple


class Outcome(NamedTuple):
    fault: str
    goal: str
    measured: str
    control: str
    is_met: bool
