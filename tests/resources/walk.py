"""A walk through a list from page to page, and what it has to come across."""

import random
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from tests.client import Api, next_page
from tests.resources.declared import address
from users.models import User
from users.resources.resource import Resource


def pages(api: Api, resource: Resource, **query: Any) -> list[list[int]]:
    """The ids on each page, from the first to the one without a Link."""
    found = []
    url: str | None = f"{address(resource)}?{urlencode(query, doseq=True)}"
    while url:
        answer = api.get(url)
        assert answer.status_code == 200, answer.content
        found.append([shown["id"] for shown in answer.json()])
        url = next_page(answer)
    return found


def check_all_pages_together_are_the_list(resource: Resource, user: User, sort: str, limit: int) -> None:
    """Of a user with 23 rows."""
    api = Api(user)
    [whole] = pages(api, resource, sort=sort, limit=200)
    found = pages(api, resource, sort=sort, limit=limit)
    assert sum(found, []) == whole
    assert len(whole) == len(set(whole)) == 23
    assert [len(page) for page in found[:-1]] == [limit] * (len(found) - 1)
    assert 1 <= len(found[-1]) <= limit


def check_rows_that_stay_are_seen_once(
    resource: Resource, user: User, sort: str, make: Callable[[random.Random], object]
) -> None:
    """While others come and go."""
    api, dice = Api(user), random.Random(sort)
    staying = set(resource.model.objects.values_list("pk", flat=True))
    seen: Counter[int] = Counter()
    url: str | None = f"{address(resource)}?sort={sort}&limit=3"
    while url:
        answer = api.get(url)
        seen.update(shown["id"] for shown in answer.json())
        url = next_page(answer)
        leaving = dice.choice(answer.json())["id"] if dice.random() < 0.5 else dice.choice(sorted(staying))
        if leaving in staying:
            resource.delete(user, leaving)
            staying.remove(leaving)
        if len(seen) < 60:
            make(dice)
    assert staying and staying <= set(seen)
    assert set(seen.values()) == {1}
