"""The counters that all processes share, in PostgreSQL."""

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from uuid import uuid4

import pytest
from django.db import connection, connections

from config.environment.rates import Rate
from config.http.limits import counters
from config.http.limits.counters import Taken
from config.models import RateLimit

MINUTE = Rate(10, 60)


def new_key() -> str:
    return uuid4().hex


def end_window(key: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE config_rate_limit SET resets_at = now() - interval '1 ms' WHERE key = %s", [key])


@pytest.mark.django_db
def test_a_window_counts_what_is_taken_of_its_key() -> None:
    key, other = new_key(), new_key()
    assert [counters.take(key, amount, MINUTE).used for amount in (1, 4, 2)] == [1, 5, 7]
    assert counters.take(other, 1, MINUTE).used == 1


@pytest.mark.django_db(transaction=True)
def test_a_window_begins_with_its_first_request_and_is_not_prolonged() -> None:
    key = new_key()
    assert counters.take(key, 1, MINUTE).seconds_left == 60
    time.sleep(0.1)
    left = [counters.take(key, 1, MINUTE).seconds_left for _ in range(2)]
    assert 50 < left[1] <= left[0] <= 59.9


@pytest.mark.django_db(transaction=True)
def test_a_window_ends() -> None:
    key, second = new_key(), Rate(5, 1)
    time.sleep(counters.take(key, 1, second).seconds_left)
    assert counters.take(key, 1, second) == Taken(1, 1)


@pytest.mark.parametrize(
    ("used", "asked", "granted"), [(1, 1, 1), (10, 1, 1), (11, 1, 0), (10, 6, 6), (12, 6, 4), (16, 6, 0), (99, 6, 0)]
)
def test_what_still_fits_is_granted(used: int, asked: int, granted: int) -> None:
    assert Taken(used, 1.0).granted(asked, limit=10) == granted


@pytest.mark.django_db(transaction=True)
def test_connections_that_take_at_once_get_different_permits() -> None:
    key = new_key()

    def take(number: int) -> int:
        try:
            return counters.take(key, 1, Rate(1000, 60)).used
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(take, range(100))) == list(range(1, 101))


@pytest.mark.django_db
def test_the_number_in_a_row_stays_near_the_limit() -> None:
    key = new_key()
    taken = [counters.take(key, 4, MINUTE) for _ in range(6)]
    assert [each.granted(4, 10) for each in taken] == [4, 4, 2, 0, 0, 0]
    assert RateLimit.objects.get(pk=key).used == 14


@pytest.mark.django_db
def test_a_new_window_takes_over_the_row() -> None:
    key = new_key()
    counters.take(key, 10, MINUTE)
    end_window(key)
    taken = counters.take(key, 3, MINUTE)
    assert (taken.used, taken.seconds_left) == (3, 60)
    assert RateLimit.objects.count() == 1


@pytest.mark.django_db
def test_ended_windows_are_swept_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "SWEEP_EVERY", 4)
    monkeypatch.setattr(counters, "SWEEP_ROWS", 2)
    monkeypatch.setattr(counters, "_takes", count(1))
    ended, lasting = [new_key() for _ in range(3)], new_key()
    for key in ended:
        counters.take(key, 1, MINUTE)
        end_window(key)
    counters.take(lasting, 1, MINUTE)
    left = {row.pk.hex for row in RateLimit.objects.all()}
    assert len(left) == 2
    assert lasting in left


@pytest.mark.django_db
def test_the_table_is_not_logged_and_leaves_room_for_updates() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT relpersistence, reloptions FROM pg_class WHERE relname = 'config_rate_limit'")
        assert cursor.fetchone() == ("u", ["fillfactor=50"])
