"""One interval of load by wrk, and what it cost."""

import json
import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from tests.benchmarks.servers import Contestant

WORKLOADS = ("list", "list_304", "get", "create", "update", "mixed")
SCRIPT = Path(__file__).parent / "load.lua"
WRK = shutil.which("wrk")
TIMEOUT = 35  # seconds; A's pool, when it has locked up, gives up after 30


class Measurement(NamedTuple):
    rate: float  # requests a second
    cpu: float  # µs a request, of the server's processes
    database_cpu: float  # µs a request, of PostgreSQL's processes
    p50: float  # ms
    p99: float  # ms
    size: float  # bytes of an answer with its headers
    bad: int  # refusals, errors, time-outs


def measure(
    server: Contestant, workload: str, connections: int, seconds: int, callers: Path, postgres: int
) -> Measurement:
    cpu, database_cpu = cpu_seconds(server.process.pid), cpu_seconds(postgres)
    load = _load(server, workload, connections, seconds, callers)
    cpu, database_cpu = cpu_seconds(server.process.pid) - cpu, cpu_seconds(postgres) - database_cpu
    requests = max(1, load["requests"])
    return Measurement(
        rate=load["requests"] / load["microseconds"] * 1e6,
        cpu=cpu / requests * 1e6,
        database_cpu=database_cpu / requests * 1e6,
        p50=load["p50"] / 1000,
        p99=load["p99"] / 1000,
        size=load["bytes"] / requests,
        bad=load["bad"],
    )


def _load(server: Contestant, workload: str, connections: int, seconds: int, callers: Path) -> dict[str, int]:
    """What load.lua reports."""
    assert WRK is not None
    done = subprocess.run(
        [WRK, "-t1", f"-c{connections}", f"-d{seconds}s", f"--timeout={TIMEOUT}s", "-s", SCRIPT, server.base],
        env={**os.environ, "WORKLOAD": workload, "CALLERS": str(callers)},
        capture_output=True,
        text=True,
        timeout=seconds + 2 * TIMEOUT,
    )
    _, marker, result = done.stdout.partition("RESULT")
    if not marker:
        raise RuntimeError(f"wrk failed:\n{done.stdout}{done.stderr}")
    report: dict[str, int] = json.loads(result)
    return report


def tree(pid: int) -> list[psutil.Process]:
    main = psutil.Process(pid)
    return [main, *main.children(recursive=True)]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, its children, and those that it has outlived."""
    total = 0.0
    for process in tree(pid):
        with suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:4])
    return total


def memory(pid: int) -> float:
    """MiB in RAM of a process and its children; what they share counts for each."""
    total = 0
    for process in tree(pid):
        with suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return total / 2**20
