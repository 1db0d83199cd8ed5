"""What is measured: Tickbase as `make run` serves it, and its peers, each with as many worker processes."""

import os
import subprocess
import time
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

import httpx

from tests.benchmarks.callers import SECRET, Caller, callers_of, of_peers, of_tickbase
from tests.benchmarks.data import Size
from tests.server import NO_RATE_LIMITS, ROOT, START_SECONDS, Server, free_port

FOLDER = Path(__file__).parent / "peers"
BIN = ROOT / ".venv-bench" / "bin"


class Refusals(NamedTuple):
    """Status codes of the answers to those without a valid token, and to another user."""

    page: int = 401
    task: int = 401
    creation: int = 403  # in somebody else's name


class Contestant(Protocol):
    name: str
    base: str
    log: Path
    process: subprocess.Popen[bytes]
    to_do: str  # the status of a task that nobody has begun
    owner: str  # the member of a task that says whose it is
    times: tuple[str, str]  # the members of when it was made and changed
    created: int  # the status of the answer to a creation
    refusals: Refusals
    knows_etags: bool
    lacks: frozenset[str]  # workloads

    def callers(self, size: Size) -> dict[int, Caller]: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *args: Any) -> None: ...


class Rest:
    """How Tickbase and the peers in Python speak."""

    owner, times = "user_id", ("created_at", "updated_at")
    created = 201
    refusals = Refusals()
    lacks: frozenset[str] = frozenset()


class Tickbase(Rest, Server):
    """With its rate limits, from which tests/server.py frees the tests."""

    to_do = "pending"
    knows_etags = True

    def __init__(self, data_dir: Path, name: str = "Tickbase", **environment: str) -> None:
        super().__init__(data_dir)
        self.name = name
        self.log = data_dir / f"{name}.log"
        limited = {name: value for name, value in self.environment.items() if name not in NO_RATE_LIMITS}
        self.environment = {**limited, **environment}

    def callers(self, size: Size) -> dict[int, Caller]:
        return callers_of(of_tickbase(), self.to_do, size)


class Peer(Rest):
    to_do = "todo"
    knows_etags = False

    def __init__(self, name: str, command: list[str], log: Path, folder: Path = FOLDER, **environment: str) -> None:
        self.name, self.log, self.folder = name, log, folder
        port = str(free_port())
        self.base = f"http://127.0.0.1:{port}"
        self.command = [argument.replace("PORT", port) for argument in command]
        self.environment = {**os.environ, "PORT": port, "JWT_SECRET": SECRET, **environment}

    def callers(self, size: Size) -> dict[int, Caller]:
        return callers_of(of_peers(size), self.to_do, size)

    def __enter__(self) -> Self:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.command, cwd=self.folder, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not start:\n{self.log.read_text()}")
            time.sleep(0.05)
        return self

    def __exit__(self, *args: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)

    def _answers(self) -> bool:
        try:
            httpx.get(f"{self.base}/api/1/tasks", timeout=5)
        except httpx.TransportError:
            return False
        return True


def peers(folder: Path, database: str, workers: int) -> list[Peer]:
    """The names are the issue's: A as tutorials write it, A2 by somebody who knows how, and Django as it comes."""
    async_database = database.replace("postgresql:", "postgresql+asyncpg:")
    sync_database = database.replace("postgresql:", "postgresql+psycopg:")
    gunicorn = [
        str(BIN / "gunicorn"),
        "naive_drf.wsgi",
        "--bind",
        "127.0.0.1:PORT",
        "--workers",
        str(workers),
        "--no-control-socket",
    ]
    return [
        # With the pool that its tutorial leaves it, 15 connections, it locks up at 16 concurrent requests.
        Peer("A", _uvicorn("fastapi_sqlmodel", workers), folder / "a.log", DATABASE_URL=sync_database, A_POOL="100"),
        Peer("A2", _uvicorn("fastapi_tuned", workers), folder / "a2.log", DATABASE_URL=async_database),
        Peer(
            "naive DRF",
            gunicorn,
            folder / "naive_drf.log",
            DATABASE_URL=database,
            DJANGO_SETTINGS_MODULE="naive_drf.settings",
        ),
    ]


def _uvicorn(module: str, workers: int) -> list[str]:
    # Lines of requests are off, as in the other peers; Tickbase writes its own.
    options = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    return [str(BIN / "uvicorn"), f"{module}:app", "--port", "PORT", "--workers", str(workers), *options]
