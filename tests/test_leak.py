"""The second wall alone: two workers serve a Tickbase that forgot the first one."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psycopg
import pytest

from tests.server import Server

LIST = "/api/me/tasks"
ROUNDS = 10
TASKS = 4  # of each user
OPERATIONS: list[tuple[str, str, Any]] = [
    ("GET", "", None),
    ("PUT", "", {"title": "mine now"}),
    ("PATCH", "", {"title": "mine now"}),
    ("PATCH", "/complete", {"completed": True}),
    ("DELETE", "", None),
]


@pytest.fixture(scope="module")
def leaky() -> Iterator[Server]:
    with TemporaryDirectory(prefix="tickbase-") as folder:
        server = Server(Path(folder), WORKERS="2", DJANGO_SETTINGS_MODULE="tests.leaky.settings")
        try:
            server.start()
            yield server
        finally:
            server.kill_all()


@pytest.fixture
def meet(leaky: Server) -> Iterator["Meet"]:
    with ExitStack() as stack:
        yield lambda name: Person(stack.enter_context(httpx.Client(base_url=leaky.base, timeout=30)), name)


class Person:
    def __init__(self, http: httpx.Client, name: str) -> None:
        account = {"email": f"{name}@example.com", "password": "correct horse battery"}
        access = http.post("/api/auth/register", json=account).json()["access"]
        http.headers["Authorization"] = f"Bearer {access}"
        self.http = http
        self.name = name
        self.tasks = [self.http.post(LIST, json={"title": f"{name}'s"}).json()["id"] for _ in range(TASKS)]


Meet = Callable[[str], Person]


def execute(server: Server, statement: str) -> list[Any]:
    """As the role of the service itself, which sees nothing until it says who asks."""
    where = {"host": str(server.data_dir / "postgres"), "user": "tickbase", "dbname": "tickbase"}
    with psycopg.connect(**where) as connection:
        connection.execute("SELECT set_config('tickbase.user_id', '0', true)")
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


STATE = "SELECT user_id, title, status, version, deleted_at FROM tasks_task ORDER BY id"


def attempts(people: list[Person]) -> list[tuple[Person, str, str, Any]]:
    """Every operation on every task of the other, and as often the own list, in which a foreign task would show."""
    ada, ben = people
    found = []
    for caller, other in [(ada, ben), (ben, ada)] * ROUNDS:
        for task in other.tasks:
            found += [(caller, method, f"{LIST}/{task}{action}", body) for method, action, body in OPERATIONS]
            found += [(caller, "GET", LIST, None)]
    return found


def has_leaked(attempt: tuple[Person, str, str, Any]) -> bool:
    caller, method, path, body = attempt
    answer = caller.http.request(method, path, json=body)
    if path != LIST:
        return answer.status_code != 404
    return any(not task["title"].startswith(caller.name) for task in answer.json())


def leaked(attempts: list[tuple[Person, str, str, Any]]) -> int:
    """How many of the attempts leaked, made by 16 threads."""
    with ThreadPoolExecutor(16) as pool:
        return sum(pool.map(has_leaked, attempts))


def test_a_forgotten_filter_leaks_nothing(leaky: Server, meet: Meet) -> None:
    tried = attempts([meet("ada"), meet("ben")])
    before = execute(leaky, STATE)
    assert (len(tried), leaked(tried)) == (480, 0)
    assert execute(leaky, STATE) == before


def test_without_the_policy_it_leaks(leaky: Server, meet: Meet) -> None:
    """That the test above can fail."""
    tried = attempts([meet("cyd"), meet("dan")])
    execute(leaky, "ALTER TABLE tasks_task DISABLE ROW LEVEL SECURITY")
    try:
        assert leaked(tried) > 100
    finally:
        execute(leaky, "ALTER TABLE tasks_task ENABLE ROW LEVEL SECURITY")
