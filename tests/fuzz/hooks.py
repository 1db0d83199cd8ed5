"""What schemathesis loads."""

from tests.fuzz import peers, well_formed

__all__ = ["peers", "well_formed"]
