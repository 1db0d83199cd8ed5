"""The second wall alone: two workers serve a Tickbase that forgot the first one."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, LiteralString
from uuid import uuid4

import httpx
import psycopg
import pytest

from tests.pgbouncer import PgBouncer, needs_pgbouncer
from tests.server import Server

pytestmark = pytest.mark.process

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


LEAKY = {"WORKERS": "2", "DJANGO_SETTINGS_MODULE": "tests.leaky.settings"}


@contextmanager
def serving(**environment: str) -> Iterator[Server]:
    with TemporaryDirectory(prefix="tickbase-") as folder:
        server = Server(Path(folder), **LEAKY, **environment)
        try:
            server.start()
            yield server
        finally:
            server.kill_all()


@pytest.fixture(scope="module")
def direct() -> Iterator[Server]:
    """On the embedded PostgreSQL, through the pool."""
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def pooled(direct: Server) -> Iterator[Server]:
    """On the same database, through PgBouncer."""
    with (
        TemporaryDirectory(prefix="tickbase-") as folder,
        PgBouncer(Path(folder), socket_of(direct)) as bouncer,
        serving(DATABASE_URL=bouncer.url) as server,
    ):
        yield server


@pytest.fixture(params=["direct", pytest.param("pooled", marks=[needs_pgbouncer, pytest.mark.pgbouncer])])
def leaky(request: pytest.FixtureRequest) -> Server:
    server: Server = request.getfixturevalue(request.param)
    return server


@pytest.fixture
def meet(leaky: Server) -> Iterator["Meet"]:
    with ExitStack() as stack:
        yield lambda name: Person(stack.enter_context(httpx.Client(base_url=leaky.base, timeout=30)), name)


class Person:
    def __init__(self, http: httpx.Client, name: str) -> None:
        account = {"email": f"{name}{uuid4()}@example.com", "password": "correct horse battery"}
        access = http.post("/api/auth/register", json=account).json()["access"]
        http.headers["Authorization"] = f"Bearer {access}"
        self.http = http
        self.name = name
        self.tasks = [self.http.post(LIST, json={"title": f"{name}'s"}).json()["id"] for _ in range(TASKS)]


Meet = Callable[[str], Person]


def socket_of(server: Server) -> Path:
    return server.data_dir / "postgres"


def execute(server: Server, statement: LiteralString) -> list[Any]:
    """As the role of the service itself, which sees nothing until it says who asks."""
    host = str(socket_of(server))
    with psycopg.connect(host=host, user="tickbase", dbname="tickbase") as connection:
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


def test_a_forgotten_filter_leaks_nothing(direct: Server, leaky: Server, meet: Meet) -> None:
    tried = attempts([meet("ada"), meet("ben")])
    before = execute(direct, STATE)
    assert (len(tried), leaked(tried)) == (480, 0)
    assert execute(direct, STATE) == before


def test_without_the_policy_it_leaks(direct: Server, leaky: Server, meet: Meet) -> None:
    """That the test above can fail."""
    tried = attempts([meet("cyd"), meet("dan")])
    execute(direct, "ALTER TABLE tasks_task DISABLE ROW LEVEL SECURITY")
    try:
        assert leaked(tried) > 0
    finally:
        execute(direct, "ALTER TABLE tasks_task ENABLE ROW LEVEL SECURITY")
