"""A slash at the end of an address: clients of other APIs put one there."""

import pytest

from tests.client import Api
from tests.problems import problem_of, send


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize(
    "address",
    ["/api/me/tasks", "/api/%D9%A3/tasks/1", "/api/me/tasks/1/complete", "/api/auth/login", "/api/schema", "/healthz"],
)
@pytest.mark.parametrize("slashes", ["/", "//"])
def test_a_slash_at_the_end_is_answered_with_the_address_without_it(method: str, address: str, slashes: str) -> None:
    detail = problem_of(send(Api(), method, address + slashes), 404)["detail"]
    assert detail == f"Addresses here end without a slash; use {address}."


@pytest.mark.parametrize("address", ["/", "/api/", "/api/nothing/", "/static/", f"/api/{'a' * 5000}/tasks/"])
def test_a_slash_at_the_end_of_nothing(address: str) -> None:
    assert problem_of(send(Api(), "GET", address), 404)["detail"] == "Nothing is here; /api/docs lists every address."
