"""How much of the project a request runs through: what a reader has to know, and what each request costs."""

from collections.abc import Callable

import pytest

from tests.benchmarks.house import entered
from tests.client import Answer, Api
from tests.factories import make_task
from users.models import User

FILES = {"patch": 35, "list": 28}
FUNCTIONS = {"patch": 148, "list": 109}
Ask = Callable[[Api], Answer]


@pytest.mark.parametrize("name", ["patch", "list"])
def test_a_request_enters_few_files_and_functions(as_alice: Api, alice: User, name: str) -> None:
    task = make_task(alice)
    requests: dict[str, Ask] = {
        "patch": lambda api: api.patch(f"{api.tasks}/{task.pk}", {"title": "B", "priority": "high"}),
        "list": lambda api: api.get(f"{api.tasks}?status=pending"),
    }
    answers: list[Answer] = []
    requests[name](as_alice)
    files, functions = entered(lambda: answers.append(requests[name](as_alice)))
    assert answers[0].status_code == 200
    assert len(files) <= FILES[name]
    assert len(functions) <= FUNCTIONS[name]
