"""One contract, run for every registered resource and for one that only the tests have.

The tests are named by the resource: `test_x[task]`. What a check needs to know of a resource, it takes from the
declaration; the checks that hold the walls are functions of one, so that the tests can show that they fail.
"""

import pytest

pytest.register_assert_rewrite(*(f"{__name__}.{checks}" for checks in ("isolation", "tables", "versions")))
