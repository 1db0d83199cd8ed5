"""How much of the project a request runs through: what a reader has to know, and what each request costs."""

from collections.abc import Callable

import pytest

from tests.benchmarks.house import entered
from tests.client import Answer, Api
from tests.factories import make_task
from users.models import User

FILES = {"patch": 35, "list": 28}
FUNCTIONS = {"patch": 127, "list": 94}
Ask = Callable[[Api, int], Answer]
WARM = 5  # requests, after which statements are prepared and everything is remembered that can be


@pytest.mark.parametrize("name", ["patch", "list"])
def test_a_request_enters_few_files_and_functions(as_alice: Api, alice: User, name: str) -> None:
    task = make_task(alice)
    requests: dict[str, Ask] = {
        "patch": lambda api, n: api.patch(f"{api.tasks}/{task.pk}", {"title": f"Task {n}", "priority": "high"}),
        "list": lambda api, n: api.get(f"{api.tasks}?status=pending"),
    }
    ask = requests[name]
    for number in range(WARM):
        assert ask(as_alice, number).status_code == 200
    files, functions = entered(lambda: ask(as_alice, WARM))
    assert len(files) <= FILES[name], sorted(files)
    assert len(functions) <= FUNCTIONS[name], sorted(functions)
