"""What do 200 slow clients do to everybody else's waiting time? `python -m tests.benchmarks.slow_clients`

Starts Tickbase as `make run` does. Idle rounds stand between the others, so that whatever else the machine does
falls on all of them alike.
"""

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from tests.chaos.load import client_of, sign_in
from tests.server import Server
from tests.slow_clients import KINDS, SlowClients, fill

COUNTS = dict.fromkeys(KINDS, 200) | {"idle": 1000}
ROUNDS = 3
REQUESTS = 100
WARM_UP = 20  # requests; the slow clients before them are still being cleared away
GOAL = 2.0


def main() -> None:
    with (
        TemporaryDirectory(prefix="tickbase-") as folder,
        Server(Path(folder)) as server,
    ):
        report(rounds(server, sign_in(server), COUNTS))


def rounds(server: Server, token: str, counts: dict[str, int]) -> dict[str, list[float]]:
    """Milliseconds of each request of a good client, by the kind of clients beside it."""
    times: dict[str, list[float]] = {"nobody": [], **{kind: [] for kind in counts}}
    with client_of(server, token) as client:
        fill(client)
        for _ in range(ROUNDS):
            for kind, count in counts.items():
                measure(client, WARM_UP)
                times["nobody"] += measure(client, REQUESTS // len(counts))
                with SlowClients(server.port, kind, count, token):
                    times[kind] += measure(client)
    return times


def measure(client: httpx.Client, requests: int = REQUESTS) -> list[float]:
    times = []
    for number in range(requests):
        start = time.perf_counter()
        answer = (
            client.get("/api/me/tasks?limit=1") if number % 2 else client.post("/api/me/tasks", json={"title": "a"})
        )
        times.append((time.perf_counter() - start) * 1000)
        answer.raise_for_status()
    return times


def report(times: dict[str, list[float]]) -> None:
    idle = percentile(times["nobody"], 99)
    for kind, samples in times.items():
        p50, p99 = percentile(samples, 50), percentile(samples, 99)
        verdict = "" if p99 <= GOAL * idle else f"  above the goal of {GOAL}"
        clients = f"{COUNTS.get(kind, 0):5} {kind:8}"
        sys.stdout.write(
            f"{clients} p50 {p50:7.1f} ms  p99 {p99:7.1f} ms  {p99 / idle:5.2f} of the idle p99{verdict}\n"
        )


def percentile(samples: list[float], percent: int) -> float:
    return sorted(samples)[len(samples) * percent // 100]


if __name__ == "__main__":
    main()
