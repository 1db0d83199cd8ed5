"""Starts and stops the real service, as an operator does."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import psutil
from fasteners import InterProcessLock

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60
TEMPLATES = "TICKBASE_TEST_TEMPLATES"  # the environment variable that names a folder of this run of the tests
NO_RATE_LIMITS = {f"RATE_LIMIT_{scope}": "off" for scope in ("ANON", "USER", "LOGIN", "REGISTER", "MAIL")}


class Server:
    """`manage.py serve --migrate` on a free port; everything that it keeps lies in `data_dir`.

    Within the tests its PostgreSQL begins as a copy of one that is migrated.
    """

    command = [sys.executable, "manage.py", "serve", "--migrate"]
    is_copied = True  # not for tests of the first start

    def __init__(self, data_dir: Path, **environment: str) -> None:
        self.data_dir = data_dir
        data_dir.mkdir(exist_ok=True)
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.log = data_dir / "serve.log"
        inherited = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        # The tests of deferred work turn it on: for the others it would be one more process that starts.
        own = {"DATA_DIR": str(data_dir), "PORT": str(self.port), "BACKGROUND": "off"}
        self.environment = {**inherited, **NO_RATE_LIMITS, **own, **environment}

    def start(self) -> None:
        is_embedded = "DATABASE_URL" not in self.environment
        if self.is_copied and is_embedded and TEMPLATES in os.environ and not (self.data_dir / "postgres").exists():
            _copy_migrated(self.data_dir)
        logged = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        # The banner is this start's; a worker that outlived the last one might answer, too.
        while b" is serving" not in self.log.read_bytes()[logged:] or not self._is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start:\n{self.log.read_text()}")
            time.sleep(0.05)

    def manage(self, *arguments: str) -> str:
        """Run a management command beside the server; returns what it prints."""
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=True)
        return done.stdout

    def stop(self, signum: int = signal.SIGTERM) -> int:
        """Signal the main process and wait for it; returns its exit status."""
        self.process.send_signal(signum)
        return self.process.wait(30)

    def workers(self) -> list[psutil.Process]:
        """Those of its processes that lead a process group of their own, as each worker does."""
        found = []
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.NoSuchProcess, ProcessLookupError):  # it has just ended
                if os.getpgid(child.pid) == child.pid and "python" in child.name():
                    found.append(child)
        return found

    def processes(self) -> list[psutil.Process]:
        """Whatever runs for this data directory: the server, its worker, PostgreSQL."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                works_here = Path(process.cwd()).is_relative_to(self.data_dir)
                if works_here or process.environ().get("DATA_DIR") == str(self.data_dir):
                    found.append(process)
        return found

    def kill_all(self) -> None:
        """As a crash of the machine would, but for the file system."""
        for process in self.processes():
            with suppress(psutil.Error):
                process.kill()
        self.process.wait(10)

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.base}/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.stop()


def _copy_migrated(data_dir: Path) -> None:
    """With owners and permissions, which PostgreSQL looks at. The first who asks makes the original."""
    folder = Path(os.environ[TEMPLATES])
    original = folder / "data" / "postgres"
    with InterProcessLock(folder / "lock"):
        if not original.exists():
            migrate = [sys.executable, "manage.py", "migrate", "--verbosity=0"]
            inherited = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
            environment = {**inherited, "DATA_DIR": str(folder / "making")}
            subprocess.run(migrate, cwd=ROOT, env=environment, check=True)
            (folder / "making").rename(folder / "data")
    subprocess.run(["cp", "-Rp", original, data_dir], check=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
