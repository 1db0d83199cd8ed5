"""Does the time of a refused sign-in tell who has an account? `python -m tests.benchmarks.sign_in`

Starts Tickbase as `make run` does, and takes the kinds of refusal in turns, so that whatever else the machine
does falls on all of them alike.
"""

import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from tests.server import Server

PASSWORD = "correct horse battery"
DECOMPOSED = "cre\u0300me bru\u0302le\u0301e"
SAMPLES = 200
DEACTIVATE = "from users.models import User; User.objects.filter(email='inactive@example.com').update(is_active=False)"
KINDS = {
    "unknown address": {"email": "nobody@example.com", "password": PASSWORD},
    "wrong password": {"email": "active@example.com", "password": "not the password"},
    "inactive account": {"email": "inactive@example.com", "password": PASSWORD},
    # Which are hashed as they are, too.
    "unknown address, decomposed": {"email": "nobody@example.com", "password": DECOMPOSED},
    "wrong password, decomposed": {"email": "active@example.com", "password": DECOMPOSED},
}


def main() -> None:
    with (
        TemporaryDirectory(prefix="tickbase-") as folder,
        Server(Path(folder)) as server,
        httpx.Client(base_url=server.base) as client,
    ):
        for name in ("active", "inactive"):
            account = {"email": f"{name}@example.com", "password": PASSWORD}
            client.post("/api/auth/register", json=account).raise_for_status()
        server.manage("shell", "--verbosity", "0", "-c", DEACTIVATE)
        report(measure(client))


def measure(client: httpx.Client) -> dict[str, list[float]]:
    """Milliseconds of each attempt."""
    times: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for _ in range(SAMPLES):
        for kind, credentials in KINDS.items():
            start = time.perf_counter()
            answer = client.post("/api/auth/login", json=credentials)
            times[kind].append((time.perf_counter() - start) * 1000)
            assert answer.status_code == 401, answer.text
    return times


def report(times: dict[str, list[float]]) -> None:
    medians = {kind: statistics.median(samples) for kind, samples in times.items()}
    for kind, median in medians.items():
        sys.stdout.write(f"{kind:28} median {median:6.1f} ms of {SAMPLES}\n")


if __name__ == "__main__":
    main()
