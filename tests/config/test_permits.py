"""Leases: no limit is ever exceeded, how much may lie unused, and what they spare."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError, connection, connections
from django.test.utils import CaptureQueriesContext

from config.environment.rates import Rate
from config.http.limits import counters
from config.http.limits.counters import Taken
from config.http.limits.permits import Limiter, lease_of
from config.models import RateLimit

PROCESSES = 3


def new_key() -> str:
    return uuid4().hex


def grants(limiter: Limiter, key: str, rate: Rate, requests: int) -> int:
    return sum(limiter.take(key, rate).is_granted for _ in range(requests))


class Gate:
    """Holds back whoever takes of `key` until it is opened."""

    def __init__(self, key: str) -> None:
        self.answer = counters.take
        self.key = key
        self.amounts: list[int] = []
        self.entered, self.opened = threading.Event(), threading.Event()

    def __call__(self, key: str, amount: int, rate: Rate) -> Taken:
        self.amounts.append(amount)
        if key == self.key and not self.entered.is_set():
            self.entered.set()
            assert self.opened.wait(10)
        return self.answer(key, amount, rate)


class Flaky:
    """Its first answer is a failure."""

    def __init__(self) -> None:
        self.answer = counters.take
        self.amounts: list[int] = []

    def __call__(self, key: str, amount: int, rate: Rate) -> Taken:
        self.amounts.append(amount)
        if len(self.amounts) == 1:
            raise OperationalError
        return self.answer(key, amount, rate)


def in_thread(call: Callable[[], object]) -> threading.Thread:
    def run() -> None:
        call()
        connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.parametrize(("limit", "lease"), [(1, 1), (20, 1), (99, 1), (100, 2), (3000, 60), (1_000_000, 20_000)])
def test_a_lease_is_a_fiftieth(limit: int, lease: int) -> None:
    assert lease_of(Rate(limit, 60)) == lease


@pytest.mark.parametrize("limit", [1, 10, 99, 100, 520])
@pytest.mark.django_db(transaction=True)
def test_one_process_gives_out_exactly_the_limit(limit: int) -> None:
    assert grants(Limiter(), new_key(), Rate(limit, 60), limit + 30) == limit


@pytest.mark.parametrize("limit", [10, 99, 520])
@pytest.mark.django_db(transaction=True)
def test_processes_that_take_turns_share_the_whole_limit(limit: int) -> None:
    rate, key = Rate(limit, 60), new_key()
    processes = [Limiter() for _ in range(PROCESSES)]
    passed = sum(process.take(key, rate).is_granted for _ in range(limit) for process in processes)
    assert passed == limit


@pytest.mark.parametrize("limit", [10, 99, 520])
@pytest.mark.django_db(transaction=True)
def test_at_worst_a_lease_less_one_lies_in_each_other_process(limit: int) -> None:
    rate, key = Rate(limit, 60), new_key()
    first, *others = [Limiter() for _ in range(PROCESSES)]
    passed = sum(grants(other, key, rate, 1) for other in others)
    passed += grants(first, key, rate, limit)
    unused = (PROCESSES - 1) * (lease_of(rate) - 1)
    assert passed == limit - unused
    assert sum(grants(other, key, rate, limit) for other in others) == unused  # never more than the limit


@pytest.mark.parametrize("limit", [10, 99, 150])
@pytest.mark.django_db(transaction=True)
def test_threads_of_processes_that_race_get_no_more_than_the_limit(limit: int) -> None:
    rate, key = Rate(limit, 60), new_key()
    processes = [Limiter() for _ in range(PROCESSES)]

    def request(number: int) -> bool:
        try:
            return processes[number % PROCESSES].take(key, rate).is_granted
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        passed = sum(pool.map(request, range(limit * 2)))
    assert limit - (PROCESSES - 1) * (lease_of(rate) - 1) <= passed <= limit


@pytest.mark.django_db
def test_a_lease_costs_one_query_and_a_refusal_none() -> None:
    limiter, key, rate = Limiter(), new_key(), Rate(500, 60)
    with CaptureQueriesContext(connection) as queries:
        assert grants(limiter, key, rate, 500) == 500
    assert len(queries) == 50
    with CaptureQueriesContext(connection) as queries:
        assert grants(limiter, key, rate, 500) == 0
    assert len(queries) == 0


@pytest.mark.django_db
def test_another_process_asks_once_to_know_of_a_refusal() -> None:
    key, rate = new_key(), Rate(5, 60)
    grants(Limiter(), key, rate, 5)
    other = Limiter()
    with CaptureQueriesContext(connection) as queries:
        assert grants(other, key, rate, 100) == 0
    assert len(queries) == 1


@pytest.mark.django_db
def test_what_remains_is_told() -> None:
    limiter, key, rate = Limiter(), new_key(), Rate(102, 60)
    assert [limiter.take(key, rate).remaining for _ in range(103)] == [*range(101, -1, -1), 0]
    refused = limiter.take(key, rate)
    assert not refused.is_granted
    assert 59 < refused.seconds_left <= 60


@pytest.mark.django_db(transaction=True)
def test_a_permit_is_not_spent_in_the_next_window() -> None:
    key, rate = new_key(), Rate(100, 1)
    limiter = Limiter()
    assert limiter.take(key, rate).is_granted  # one more is leased
    time.sleep(1)
    assert limiter.take(key, rate).remaining == 99
    assert RateLimit.objects.get(pk=key).used == 2  # of the new lease


@pytest.mark.django_db(transaction=True)
def test_a_window_is_over_in_time_though_its_answer_came_late(monkeypatch: pytest.MonkeyPatch) -> None:
    key, rate, answer = new_key(), Rate(100, 1), counters.take

    def answer_late(*arguments: Any) -> Taken:
        taken = answer(*arguments)
        time.sleep(0.6)
        return taken

    monkeypatch.setattr(counters, "take", answer_late)
    limiter = Limiter()
    assert limiter.take(key, rate).is_granted  # one more is leased
    time.sleep(0.5)
    assert limiter.take(key, rate).remaining == 99


@pytest.mark.django_db(transaction=True)
def test_a_slow_answer_stops_no_other_key(monkeypatch: pytest.MonkeyPatch) -> None:
    slow, quick, rate = new_key(), new_key(), Rate(5, 60)
    gate, limiter = Gate(slow), Limiter()
    monkeypatch.setattr(counters, "take", gate)
    thread = in_thread(lambda: limiter.take(slow, rate))
    assert gate.entered.wait(10)
    assert limiter.take(quick, rate).is_granted
    gate.opened.set()
    thread.join()
    assert RateLimit.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_while_one_thread_asks_for_a_lease_others_take_single_permits(monkeypatch: pytest.MonkeyPatch) -> None:
    key, rate = new_key(), Rate(500, 60)
    gate, limiter = Gate(key), Limiter()
    monkeypatch.setattr(counters, "take", gate)
    thread = in_thread(lambda: limiter.take(key, rate))
    assert gate.entered.wait(10)
    assert grants(limiter, key, rate, 3) == 3
    gate.opened.set()
    thread.join()
    assert grants(limiter, key, rate, 9) == 9  # the lease of the first
    assert gate.amounts == [10, 1, 1, 1]


@pytest.mark.django_db
def test_after_a_failure_the_next_one_asks_for_a_lease_again(monkeypatch: pytest.MonkeyPatch) -> None:
    flaky, limiter, key, rate = Flaky(), Limiter(), new_key(), Rate(500, 60)
    monkeypatch.setattr(counters, "take", flaky)
    with pytest.raises(OperationalError):
        limiter.take(key, rate)
    assert limiter.take(key, rate).is_granted
    assert flaky.amounts == [10, 10]


@pytest.mark.django_db
def test_what_a_process_remembers_is_bounded() -> None:
    limiter, rate, keys = Limiter(max_windows=3), Rate(1, 60), [new_key() for _ in range(9)]
    assert [limiter.take(key, rate).is_granted for key in keys] == [True] * 9
    assert len(limiter._windows) == 3
    assert [limiter.take(key, rate).is_granted for key in keys] == [False] * 9  # forgotten here, not everywhere
