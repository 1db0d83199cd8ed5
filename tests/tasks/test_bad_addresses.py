"""Every parameter of the task list that is wrong, beyond those that every list has: a 400 that names it."""

import pytest

from tests.client import Api
from tests.problems import places_of
from tests.resources.addresses import CREATED, NOT_FLAGS, forged

BAD_CURSORS_OF = {
    "title": forged("title", None, 1),
    "priority": forged("priority", "high", 1),
    "-priority": forged("-priority", None, 1),
    "due_date": forged("due_date", "0000-01-01", 1),
    "-due_date": forged("-due_date", CREATED, 1),
    "updated": forged("updated", "9999-12-31T23:59:59-16:00", 1),
}
NOT_DAYS = [
    "%20",
    "x",
    "0001-01-01",
    "9999-12-31",
    "2026-02-30",
    "2026-01-01T00:00:00Z",
    "%00",
    "20260101",
    "2026-01-01%0A",
]
BAD_QUERIES: dict[str, list[str]] = {
    "status": [
        "%20", "done", "pending,", ",", "pending,,completed", "all,pending", "Pending", "%00", "pending%00",
        "done&status=pending", "pending&status=all", "pending&status=%20", "all&status=all",
    ],
    "completed": NOT_FLAGS,
    "overdue": NOT_FLAGS,
    "priority": ["%20", "urgent", "HIGH", "low,", "low,all", "all&priority=all", "low&priority=urgent", "%00"],
    "tag": ["%20", "%20&tag=", "a" * 51, "%00", "a&tag=" + "b" * 51, "&tag=".join("a" * 21)],
    "due_on": NOT_DAYS,
    "due_before": NOT_DAYS,
    "due_after": NOT_DAYS,
    "search": ["a" * 201, "a%00b", "%00"],
}  # fmt: skip


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("name", BAD_QUERIES)
def test_a_bad_parameter_is_named(as_alice: Api, name: str) -> None:
    for value in BAD_QUERIES[name]:
        assert set(places_of(as_alice.get(f"/api/me/tasks?{name}={value}"), "parameter")) == {name}, value


@pytest.mark.parametrize("sort, cursor", BAD_CURSORS_OF.items(), ids=list(BAD_CURSORS_OF))
def test_a_forged_cursor_of_each_sort(as_alice: Api, sort: str, cursor: str) -> None:
    assert places_of(as_alice.get(f"/api/me/tasks?sort={sort}&cursor={cursor}"), "parameter") == ["cursor"]


def test_every_bad_parameter_is_named_at_once(as_alice: Api) -> None:
    query = "Limit=5&priority=urgent&sort=title&sort=title&search=%ff&tag=&due_before=x&tag=" + "a" * 51
    answer = as_alice.get(f"/api/me/tasks?{query}&cursor={forged('-created', CREATED, 1)}&offset=0")
    assert sorted(places_of(answer, "parameter")) == ["Limit", "due_before", "priority", "search", "sort", "tag"]
