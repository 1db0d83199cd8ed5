"""What only comments have: their values, filters, orders and bounds. tests/resources has what they share."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.comments.models import Comment
from tasks.comments.resource import COMMENTS
from tests.client import Api
from tests.problems import problem_of
from tests.resources.declared import address, example, label, make, named, provided, required, unbounded
from users.models import User

LETTERS = "aZÄßжφ字０9'\"<&%\\"
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": st.text(LETTERS, min_size=1, max_size=60),
}


@pytest.fixture(autouse=True)
def _what_they_need(db: None) -> Iterator[None]:
    with provided(COMMENTS):
        yield


@pytest.fixture
def rows(alice: User, as_alice: Api) -> Iterator[list[dict[str, Any]]]:
    """One of all that the example has, and one of the least."""
    with unbounded(COMMENTS):
        make(COMMENTS, alice, **{**example(COMMENTS), **named(COMMENTS, "Zebra")})
        make(COMMENTS, alice, **named(COMMENTS, "Äpfel"))
        found: list[dict[str, Any]] = as_alice.get(address(COMMENTS)).json()
        assert len(found) == 2
        yield found


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=st.fixed_dictionaries({}, optional=VALUES))
def test_what_is_sent_is_what_is_kept(as_alice: Api, sent: dict[str, Any]) -> None:
    Comment.objects.all().delete()
    created = as_alice.post(address(COMMENTS), {**required(COMMENTS), **sent})
    assert created.status_code == 201, created.content
    shown = as_alice.get(address(COMMENTS, created.json()["id"])).json()
    assert shown == created.json()
    assert {name: shown[name] for name in sent} == sent


@pytest.mark.parametrize("name", ["task"])
def test_a_filter_by_what_they_belong_to(as_alice: Api, rows: list[dict[str, Any]], name: str) -> None:
    assert as_alice.get(f"{address(COMMENTS)}?{name}={rows[0][f'{name}_id']}").json() == rows
    assert as_alice.get(f"{address(COMMENTS)}?{name}={2**62}").json() == []


def test_search_finds_words_in_any_case_and_accent(as_alice: Api, rows: list[dict[str, Any]]) -> None:
    found = as_alice.get(f"{address(COMMENTS)}?search=APF").json()
    assert [row[label(COMMENTS)] for row in found] == ["Äpfel"]


def test_an_account_has_so_many(as_alice: Api, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Comment.max_rows == 100_000
    monkeypatch.setattr(Comment, "max_rows", 1)
    make(COMMENTS, alice)
    problem = problem_of(as_alice.post(address(COMMENTS), named(COMMENTS, "One more")), 409)
    assert (problem["code"], problem["limit"]) == ("limit_reached", 1)
