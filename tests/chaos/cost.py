"""Attacks that cost far more than they look, beside the waiting time of another user, and what a worker's memory is.

`make chaos ARGS=cost`. The control is the same attack on the same service without its walls, if that has one; and
what a process that only counts does to the other user on this machine.
"""

import ctypes
import multiprocessing
import platform
import resource
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import httpx
import psutil

from tests.benchmarks.slow_clients import percentile
from tests.chaos import attacks
from tests.chaos.attacks import PASSWORD, Attack, Target
from tests.chaos.cluster import folder
from tests.chaos.outcome import Outcome
from tests.server import Server
from users import hashing

GOAL = 2.0  # times the idle p99 of the other user
REQUESTS, ROUNDS = 200, 10  # of the other user, idle and beside the attack in turns, as machines change their speed
TEXT = "a" * 10_000
MIB = 1024 * 1024
AFTER_SECONDS = 20.0
ENOUGH = 5  # failures that need no more of them
EVE, VICTIM = "eve@example.com", "victim@example.com"
VICTIMS_ADDRESS = "127.0.0.2"  # the attacks come from another one


class Unguarded(Server):
    command = [Server.command[0], "-m", "tests.chaos.unguarded", "serve", "--migrate"]


class Result(NamedTuple):
    idle: float  # milliseconds, p99
    beside: float
    failed: int  # requests of the other user
    seen: Counter[str]
    peak: float  # MiB of the largest worker
    after: float

    @property
    def ratio(self) -> float:
        return self.beside / self.idle


def account(server: Server, email: str) -> str:
    body = {"email": email, "password": PASSWORD}
    answer = httpx.post(f"{server.base}/api/auth/register", json=body, timeout=30)
    if answer.status_code == 409:
        answer = httpx.post(f"{server.base}/api/auth/login", json=body, timeout=30)
    access: str = answer.raise_for_status().json()["access"]
    return access


@contextmanager
def victim(server: Server) -> Iterator[httpx.Client]:
    # Each request by a connection of its own, as a new visitor's.
    limits = httpx.Limits(max_keepalive_connections=0)
    transport = httpx.HTTPTransport(local_address=VICTIMS_ADDRESS, verify=False, limits=limits)
    headers = {"Authorization": f"Bearer {account(server, VICTIM)}"}
    with httpx.Client(base_url=server.base, transport=transport, headers=headers, timeout=10) as client:
        yield client


def times(client: httpx.Client, requests: int) -> tuple[list[float], int]:
    """Milliseconds of lists and writes, and how many failed."""
    found, failed = [], 0
    for number in range(requests):
        began = time.perf_counter()
        try:
            is_success = _ask(client, number).is_success
        except httpx.TransportError:
            is_success = False
        found.append((time.perf_counter() - began) * 1000)
        failed += not is_success
        if failed >= ENOUGH:
            break
    return found, failed


def _ask(client: httpx.Client, number: int) -> httpx.Response:
    if number % 2:
        return client.get("/api/me/tasks?limit=1")
    return client.post("/api/me/tasks", json={"title": "a"})


@contextmanager
def attacked(server: Server, attack: Attack, token: str, seen: Counter[str]) -> Iterator[None]:
    """The attack runs in another process, of the lowest priority, so that it takes no time from the one that measures,
    nor from the service: an attacker's processor is another machine's."""
    context = multiprocessing.get_context("fork")
    begun, over, told = context.Event(), context.Event(), context.SimpleQueue()
    target = Target(server.port, token, EVE, VICTIM, begun, over)

    def main() -> None:
        hashing.step_back()
        take_short_slices()
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        told.put(attack(target))

    process = context.Process(target=main)
    process.start()
    try:
        assert begun.wait(60), "the attack does not begin"
        yield
    finally:
        over.set()
        seen.update(told.get())
        process.join(30)


def take_short_slices() -> None:
    """Linux lets a process of any priority run to the end of its slice, three milliseconds, as long as a request takes;
    from 6.12 on, a process may ask for less (sched_setattr(2)): here a tenth of one."""
    number = {"x86_64": 314, "aarch64": 274}.get(platform.machine())
    if number is not None:
        attributes = struct.pack("IIQiIQQQ", 48, 0, 0, hashing.LOWEST, 0, 100_000, 0, 0)
        ctypes.CDLL(None).syscall(number, 0, attributes, 0)  # without effect on older ones


def fill(server: Server, token: str, tasks: int) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=server.base, headers=headers, timeout=30, verify=False) as client:
        for _ in range(tasks):
            client.post("/api/me/tasks", json={"title": "a", "description": TEXT}).raise_for_status()


def run(
    attack: Attack,
    *,
    kind: type[Server] = Server,
    tasks: int = 0,
    requests: int = REQUESTS,
    rounds: int = ROUNDS,
    environment: dict[str, str],
) -> Result:
    """Idle and attacked rounds in turns, so that whatever else the machine does falls on both alike."""
    idle: list[float] = []
    beside: list[float] = []
    failures, seen = 0, Counter[str]()
    with folder() as path, kind(path, **environment) as server:
        token = account(server, EVE)
        fill(server, token, tasks)
        with victim(server) as client:
            times(client, 50)
            forget_peaks(server)
            for _ in range(rounds):
                idle += times(client, requests)[0]
                with attacked(server, attack, token, seen):
                    found, failed = times(client, requests)
                beside += found
                failures += failed
                settle(client)
            peak = peak_of(server)
        after = rest_of(server)
    return Result(percentile(idle, 99), percentile(beside, 99), failures, seen, peak, after)


def settle(client: httpx.Client) -> None:
    """What the attack has left running shall not be taken for idle."""
    deadline = time.monotonic() + 60
    while max(times(client, 20)[0]) > 100 and time.monotonic() < deadline:
        time.sleep(0.2)


# --- Memory -----------------------------------------------------------------------------------------


def forget_peaks(server: Server) -> None:
    for worker in server.workers():
        Path(f"/proc/{worker.pid}/clear_refs").write_text("5")


def peak_of(server: Server) -> float:
    """Mebibytes that the largest worker has had."""
    return max(_status(worker, "VmHWM") for worker in server.workers())


def rest_of(server: Server) -> float:
    """Mebibytes that the largest worker keeps, a while after its last request."""
    deadline, least = time.monotonic() + AFTER_SECONDS, float("inf")
    while time.monotonic() < deadline:
        least = min(least, max(_status(worker, "VmRSS") for worker in server.workers()))
        time.sleep(1)
    return least


def _status(process: psutil.Process, field: str) -> float:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    [line] = [line for line in lines if line.startswith(f"{field}:")]
    return int(line.split()[1]) / 1024


# --- The table --------------------------------------------------------------------------------------


class Row(NamedTuple):
    fault: str
    attack: Attack
    answers: set[str]  # that the attacker may see
    tasks: int = 0  # of the attacker, of 10 kB each
    peak: float = 0  # MiB at most, if that is what counts
    after: float = 0
    environment: dict[str, str] = {}  # noqa: RUF012 (never changed)
    has_control: bool = True


ROWS = {
    "headers": Row("headers that cost their square", attacks.headers, {"431"}),
    "bodies": Row("9,500 unfinished bodies from one client", attacks.bodies, {"429", "held"}),
    "refusals": Row("60 clients that are only refused", attacks.refusals, {"431"}, has_control=False),
    "searches": Row("a user's eight slow searches", attacks.searches, {"200", "422", "429"}, tasks=1000),
    "exports": Row("a user's 18 exports at once", attacks.exports, {"200", "429"}, tasks=1000),
    "sign-ins": Row(
        "40 wrong sign-ins at once", attacks.sign_ins, {"401", "429"}, peak=200, environment={"WORKERS": "2"}
    ),
    "readers": Row(
        "2,000 unread answers of 2 MB", attacks.readers, {"200", "429", "waiting"}, tasks=200, peak=250, after=130
    ),
    "registrations": Row(
        "e-mail addresses of 170,000 ligatures, the most that a body has room for",
        attacks.registrations,
        {"400", "413", "429"},
    ),
    "marks": Row("10,000 combining marks in each write", attacks.marks, {"201", "400"}),
    "lockout": Row("wrong passwords for another account", attacks.lockout, {"401", "429"}, has_control=False),
    "sessions": Row("a user's endless sessions", attacks.sessions, {"200", "429"}, has_control=False),
}


def measure(name: str) -> Outcome:
    row = ROWS[name]
    result = run(row.attack, tasks=row.tasks, environment=row.environment)
    control = "none"
    if row.has_control:
        unguarded = run(row.attack, kind=Unguarded, tasks=row.tasks, environment=row.environment)
        control = f"without walls: {text(row, unguarded)}"
    machine = run(attacks.neighbour, environment=row.environment)
    control += f"; beside a process that only counts: {machine.ratio:.2f}x of {machine.idle:.0f} ms"
    memory = f", {row.peak:.0f} MiB" if row.peak else ""
    memory += f", then {row.after:.0f}" if row.after else ""
    goal = f"p99 of others at most {GOAL:.0f}x the idle one{memory}; only {', '.join(sorted(row.answers))}"
    return Outcome(row.fault, goal, text(row, result), control, is_met(row, result))


def is_met(row: Row, result: Result) -> bool:
    is_small = result.peak <= (row.peak or result.peak) and result.after <= (row.after or result.after)
    return result.ratio <= GOAL and not result.failed and result.seen.keys() <= row.answers and is_small


def text(row: Row, result: Result) -> str:
    seen = " ".join(f"{status or 'nothing'}×{count}" for status, count in sorted(result.seen.items()))
    memory = f", {result.peak:.0f} MiB" if row.peak else ""
    memory += f", then {result.after:.0f}" if row.after else ""
    return f"{result.ratio:.2f}x of {result.idle:.0f} ms, {result.failed} failed{memory}, {seen}"


FAULTS: dict[str, Callable[[], Outcome]] = {f"cost-{name}": partial(measure, name) for name in ROWS}
