"""PgBouncer in transaction mode, in front of the database of the tests."""

import getpass
import os
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

from tests.server import free_port

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")


class PgBouncer:
    """One session of the server for all clients, as `database` says where and who."""

    def __init__(self, folder: Path, database: dict[str, Any]) -> None:
        self.port = free_port()
        host = database["HOST"]
        self.owner = Path(host).owner() if os.path.isabs(host) else getpass.getuser()
        self.config = folder / "pgbouncer.ini"
        where = f"host={host} port={database['PORT'] or 5432} user={database['USER']}"
        # With `any`, everybody who asks is this user.
        self.config.write_text(
            f"[databases]\n{database['NAME']} = {where}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            "pool_mode = transaction\ndefault_pool_size = 1\nauth_type = any\n"
        )
        self.url = f"postgresql://{database['USER']}@127.0.0.1:{self.port}/{database['NAME']}"

    def __enter__(self) -> Self:
        assert PROGRAM
        command = [PROGRAM, "-q", str(self.config)]
        if os.getuid() == 0:  # as whom it refuses to run
            self.config.chmod(0o644)
            command[1:1] = ["-u", self.owner]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("PgBouncer did not start")
            time.sleep(0.02)
        return self

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        self.process.wait(10)
