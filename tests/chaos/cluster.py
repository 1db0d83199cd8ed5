"""A PostgreSQL of the operator's own, from the embedded binaries: what DATABASE_URL names, to stop, freeze and kill."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import psycopg

from config.database.embedded import PROGRAMS, system_user
from tests.server import Server, free_port

ROLE = DATABASE = "tickbase"
SETTINGS = {"listen_addresses": "127.0.0.1", "max_connections": "40", "fsync": "on"}


@contextmanager
def folder() -> Iterator[Path]:
    """Not below pytest's own directory, and passable for the user as whom PostgreSQL runs."""
    with TemporaryDirectory(prefix="tickbase-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


class Cluster:
    """One server with a data directory, on a TCP port of its own."""

    programs = PROGRAMS

    def __init__(self, data: Path, **settings: str) -> None:
        data.mkdir(exist_ok=True)
        self.data = data
        self.port = free_port()
        self.settings = {**SETTINGS, "port": str(self.port), "unix_socket_directories": str(data), **settings}
        self.user = system_user(data)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"postgresql://{ROLE}:secret@{self.address}/{DATABASE}"

    def create(self) -> None:
        self.initialize()
        self.start()
        self.sql(f"CREATE ROLE {ROLE} LOGIN NOSUPERUSER NOBYPASSRLS", f"CREATE DATABASE {DATABASE} OWNER {ROLE}")

    def initialize(self) -> None:
        self.run("initdb", "--auth=trust", "--encoding=utf8", "--username=postgres", "-D", str(self.data))

    def start(self) -> None:
        with (self.data / "postgresql.auto.conf").open("a") as conf:
            conf.writelines(f"{name} = '{value}'\n" for name, value in self.settings.items())
        self.run("pg_ctl", "-D", str(self.data), "-l", str(self.data / "log"), "-w", "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-D", str(self.data), "-m", "fast", "-w", "stop")

    def promote(self) -> None:
        self.run("pg_ctl", "-D", str(self.data), "-w", "promote")

    def signal_all(self, signum: int) -> None:
        """To the main process first, which else would notice that the others die."""
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signum)

    def kill(self) -> None:
        killed = self.processes()
        self.signal_all(signal.SIGKILL)
        psutil.wait_procs(killed, timeout=10)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It neither answers nor closes a connection; the kernel goes on to accept new ones."""
        self.signal_all(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal_all(signal.SIGCONT)

    def processes(self) -> list[psutil.Process]:
        with suppress(FileNotFoundError, psutil.NoSuchProcess, ValueError):
            main = psutil.Process(int((self.data / "postmaster.pid").read_text().split("\n")[0]))
            return [main, *main.children(recursive=True)]
        return []

    def sql(self, *statements: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """As the superuser; returns the rows of the last statement, if it has any."""
        where: Any = {"host": str(self.data), "port": self.port, "user": "postgres", "dbname": database}
        with psycopg.connect(**where, autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def run(self, program: str, *arguments: str) -> None:
        """As the user who may run PostgreSQL, where that is not the tests' own."""
        command = [str(self.programs / program), *arguments]
        subprocess.run(command, cwd=self.data, user=self.user, check=True, capture_output=True)

    def follow(self, primary: "Cluster") -> None:
        """Become its standby, from a copy of its data."""
        self.data.chmod(0o700)
        primary.run("pg_basebackup", "-h", str(primary.data), "-p", str(primary.port), "-U", "postgres",
                    "-D", str(self.data), "-c", "fast", "-R")  # fmt: skip
        self.start()


@contextmanager
def cluster(**settings: str) -> Iterator[Cluster]:
    with folder() as path:
        server = Cluster(path / "data", **settings)
        try:
            server.create()
            yield server
        finally:
            server.kill()


@contextmanager
def service(**settings: str) -> Iterator[tuple[Server, Cluster]]:
    """Tickbase on a cluster."""
    with folder() as path, cluster(**settings) as database, Server(path, DATABASE_URL=database.url) as server:
        yield server, database
