"""Two worker processes serve one limit, stop as one, and survive each other."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psutil
import pytest

from tests.server import Server

pytestmark = pytest.mark.process

REQUESTS = 40
LOGIN = {"email": "ada@example.com", "password": "not the right one"}


@contextmanager
def two_workers(**environment: str) -> Iterator[Server]:
    """As for the `server` fixture: not below pytest's own directory."""
    with TemporaryDirectory(prefix="tickbase-") as folder:
        server = Server(Path(folder), **{"WORKERS": "2", **environment})
        try:
            server.start()
            yield server
        finally:
            server.kill_all()


def statuses(requests: int, send: Callable[[httpx.Client, int], httpx.Response]) -> list[int]:
    """Of requests that are all sent at once, each over a connection of its own."""
    limits = httpx.Limits(max_connections=requests, max_keepalive_connections=requests)
    with httpx.Client(limits=limits, timeout=30) as client, ThreadPoolExecutor(requests) as pool:
        return [answer.status_code for answer in pool.map(lambda number: send(client, number), range(requests))]


def spoofed(number: int, *appended: str) -> dict[str, str]:
    return {"X-Forwarded-For": ", ".join([f"203.0.113.{number}", *appended])}


def test_exactly_ten_of_forty_sign_ins_pass_whatever_address_they_claim() -> None:
    with two_workers(RATE_LIMIT_LOGIN="10/min") as server:
        login = f"{server.base}/api/auth/login"
        found = statuses(REQUESTS, lambda client, n: client.post(login, json=LOGIN, headers=spoofed(n)))
        assert len(server.workers()) == 2
    assert (found.count(401), found.count(429)) == (10, 30)


def test_exactly_ten_of_forty_strangers_requests_pass_whatever_address_they_claim() -> None:
    with two_workers(RATE_LIMIT_ANON="10/min") as server:
        refresh = f"{server.base}/api/auth/refresh"
        found = statuses(REQUESTS, lambda client, n: client.post(refresh, json={"refresh": "x"}, headers=spoofed(n)))
        assert len(server.workers()) == 2
    assert (found.count(401), found.count(429)) == (10, 30)


@pytest.fixture(scope="module")
def behind_a_proxy() -> Iterator[Server]:
    with two_workers(TRUSTED_PROXIES="1", RATE_LIMIT_LOGIN="10/min", RATE_LIMIT_ANON="200/min") as server:
        yield server


def test_exactly_ten_sign_ins_to_an_account_pass_from_forty_addresses() -> None:
    """Five times as many as from each of them."""
    with two_workers(TRUSTED_PROXIES="1", RATE_LIMIT_LOGIN="2/min") as server:
        login = f"{server.base}/api/auth/login"
        found = statuses(REQUESTS, lambda client, n: client.post(login, json=LOGIN, headers=spoofed(n)))
    assert (found.count(401), found.count(429)) == (10, 30)


def test_exactly_ten_sign_ins_pass_from_one_address_that_a_proxy_tells(behind_a_proxy: Server) -> None:
    login = f"{behind_a_proxy.base}/api/auth/login"

    def sign_in(client: httpx.Client, number: int) -> httpx.Response:
        body = {**LOGIN, "email": f"{number}@example.com"}
        return client.post(login, json=body, headers=spoofed(number, "192.0.2.1"))

    found = statuses(REQUESTS, sign_in)
    assert (found.count(401), found.count(429)) == (10, 30)


def test_a_larger_limit_is_not_exceeded_and_little_of_it_lies_unused(behind_a_proxy: Server) -> None:
    """Of 200, a worker leases 4 at once: 3 may lie in the other one when all others are spent."""
    nothing = f"{behind_a_proxy.base}/api/nothing"
    found: list[int] = []
    for _ in range(7):
        found += statuses(REQUESTS, lambda client, n: client.get(nothing, headers=spoofed(n, "192.0.2.2")))
    assert 197 <= found.count(404) <= 200
    assert found.count(404) + found.count(429) == 280


SIGNALS = {"SIGTERM": signal.SIGTERM, "SIGHUP": signal.SIGHUP, "kill": signal.SIGKILL}


@pytest.mark.parametrize("way", ["Ctrl-C", *SIGNALS])
def test_two_workers_stop_with_their_server(way: str) -> None:
    with two_workers() as server:
        running = server.workers()
        assert len(running) == 2
        if way == "Ctrl-C":
            os.killpg(server.process.pid, signal.SIGINT)  # as a terminal does
        else:
            server.process.send_signal(SIGNALS[way])
        assert server.process.wait(30) == (-signal.SIGKILL if way == "kill" else 0)
        assert psutil.wait_procs(running, timeout=10)[1] == []  # those without a parent notice it within a second
        # PostgreSQL outlives a kill, until the next start.
        assert way == "kill" or server.processes() == []


def test_a_signal_ends_a_worker_that_still_starts() -> None:
    """It sends one to itself when its server is gone."""
    with two_workers(WORKERS="1") as server:
        [worker] = server.workers()
        worker.kill()
        psutil.wait_procs([worker], timeout=10)
        assert wait_until(lambda: bool(server.workers()))
        [starting] = server.workers()
        starting.terminate()
        assert psutil.wait_procs([starting], timeout=10)[1] == []


def test_a_killed_worker_is_replaced() -> None:
    with two_workers() as server:
        assert wait_until(lambda: len(server.workers()) == 2)  # one alone makes the service ready
        killed, survivor = server.workers()
        killed.kill()
        psutil.wait_procs([killed], timeout=10)
        assert wait_until(lambda: len(server.workers()) == 2)
        assert survivor in server.workers()
        assert httpx.get(f"{server.base}/readyz").status_code == 200
        assert server.stop() == 0
        assert server.processes() == []


def test_a_worker_that_dies_again_and_again_ends_the_service_with_an_error() -> None:
    """Whoever supervises it can then tell, and wait before the next start."""
    with two_workers(WORKERS="1") as server:
        deadline = time.monotonic() + 30
        while server.process.poll() is None:
            assert time.monotonic() < deadline
            for worker in server.workers():
                with suppress(psutil.NoSuchProcess):  # the launcher may be ending it
                    worker.kill()
        assert server.process.wait(10) == 1


def wait_until(is_so: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.05)
    return is_so()
