"""200 slow clients: everybody else waits hardly longer, whereas a plain WSGI server answers nobody any more."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.benchmarks.slow_clients import GOAL, percentile, rounds
from tests.chaos.cluster import folder
from tests.chaos.load import sign_in
from tests.chaos.outcome import Outcome
from tests.server import ROOT, START_SECONDS, Server, free_port
from tests.slow_clients import KINDS, SlowClients

COUNT = 200
CONTROL_SECONDS = 3.0
THREADS = 4  # as many as the service has


def p99s(server: Server, token: str) -> dict[str, float]:
    """Milliseconds of a good client, by the kind of slow ones beside it; "nobody" is the idle one."""
    times = rounds(server, token, dict.fromkeys(KINDS, COUNT))
    return {kind: percentile(samples, 99) for kind, samples in times.items()}


@contextmanager
def plain(server: Server) -> Iterator[int]:
    """The same application and database behind granian's own WSGI threads; yields the port."""
    port = free_port()
    options = ["--interface", "wsgi", "--blocking-threads", str(THREADS), "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-m", "granian", *options, "config.wsgi:application"],
        cwd=ROOT,
        env=server.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_answer(port)
        yield port
    finally:
        # It waits for its threads, which wait for their clients.
        process.terminate()
        process.wait(30)


def wait_for_answer(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not answers(port, 1):
        assert time.monotonic() < deadline, "granian does not start"
        time.sleep(0.1)


def answers(port: int, seconds: float) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=seconds).status_code == 200
    except httpx.TransportError:
        return False


def plain_server_answers(server: Server, token: str) -> bool:
    """The control."""
    with plain(server) as port:
        with SlowClients(port, "bodies", COUNT, token):
            is_answered = answers(port, CONTROL_SECONDS)
        wait_for_answer(port)  # it was their doing
        return is_answered


def measure() -> Outcome:
    with folder() as path, Server(path) as server:
        token = sign_in(server)
        found = p99s(server, token)
        does_control_answer = plain_server_answers(server, token)
    idle = found.pop("nobody")
    return Outcome(
        f"{COUNT} slow clients",
        f"p99 of others at most {GOAL:.0f}x the idle one",
        f"idle {idle:.0f} ms, " + ", ".join(f"{kind} {p99 / idle:.2f}x" for kind, p99 in found.items()),
        f"plain WSGI server, slow bodies: {'answers' if does_control_answer else 'no answer'}"
        f" in {CONTROL_SECONDS:.0f} s",
        all(p99 <= GOAL * idle for p99 in found.values()) and not does_control_answer,
    )
