"""The shared counters: one table of cases for PostgreSQL and Redis, and what is special to each."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from django.db import connection, connections
from redis import Redis

from config.environment.rates import Rate
from config.http.limits import counters, redis_counters
from config.http.limits.counters import Counters, PostgresCounters, Taken
from config.http.limits.redis_counters import FallbackCounters, RedisCounters
from config.models import RateLimit
from tests.redis_server import RedisServer

MakeCounters = Callable[[], Counters]
MINUTE = Rate(10, 60)


def new_key() -> str:
    return uuid4().hex


def end_window(key: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE config_rate_limit SET resets_at = now() - interval '1 ms' WHERE key = %s", [key])


# --- Both -------------------------------------------------------------------------------------------


def test_a_window_counts_what_all_processes_take(make_counters: MakeCounters) -> None:
    key, other = new_key(), new_key()
    one, two = make_counters(), make_counters()
    used = [process.take(key, amount, MINUTE).used for process, amount in [(one, 1), (two, 4), (one, 2)]]
    assert used == [1, 5, 7]
    assert two.take(other, 1, MINUTE).used == 1


def test_a_window_begins_with_its_first_request_and_is_not_prolonged(make_counters: MakeCounters) -> None:
    key, shared = new_key(), make_counters()
    assert shared.take(key, 1, MINUTE).seconds_left == 60
    time.sleep(0.1)
    left = [shared.take(key, 1, MINUTE).seconds_left for _ in range(2)]
    assert 50 < left[1] <= left[0] <= 59.9


def test_a_window_ends(make_counters: MakeCounters) -> None:
    key, shared, second = new_key(), make_counters(), Rate(5, 1)
    time.sleep(shared.take(key, 1, second).seconds_left)
    assert shared.take(key, 1, second) == Taken(1, 1)


@pytest.mark.parametrize(
    ("used", "asked", "granted"), [(1, 1, 1), (10, 1, 1), (11, 1, 0), (10, 6, 6), (12, 6, 4), (16, 6, 0), (99, 6, 0)]
)
def test_what_still_fits_is_granted(used: int, asked: int, granted: int) -> None:
    assert Taken(used, 1.0).granted(asked, limit=10) == granted


def test_processes_that_take_at_once_get_different_permits(make_counters: MakeCounters) -> None:
    key, shared = new_key(), make_counters()

    def take(number: int) -> int:
        try:
            return shared.take(key, 1, Rate(1000, 60)).used
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(take, range(100))) == list(range(1, 101))


# --- PostgreSQL -------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_number_in_a_row_stays_near_the_limit() -> None:
    key = new_key()
    taken = [PostgresCounters().take(key, 4, MINUTE) for _ in range(6)]
    assert [each.granted(4, 10) for each in taken] == [4, 4, 2, 0, 0, 0]
    assert RateLimit.objects.get(pk=key).used == 14


@pytest.mark.django_db
def test_a_new_window_takes_over_the_row() -> None:
    key = new_key()
    PostgresCounters().take(key, 10, MINUTE)
    end_window(key)
    taken = PostgresCounters().take(key, 3, MINUTE)
    assert (taken.used, taken.seconds_left) == (3, 60)
    assert RateLimit.objects.count() == 1


@pytest.mark.django_db
def test_ended_windows_are_swept_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "SWEEP_EVERY", 4)
    monkeypatch.setattr(counters, "SWEEP_ROWS", 2)
    shared, ended, lasting = PostgresCounters(), [new_key() for _ in range(3)], new_key()
    for key in ended:
        shared.take(key, 1, MINUTE)
        end_window(key)
    shared.take(lasting, 1, MINUTE)
    left = {row.pk.hex for row in RateLimit.objects.all()}
    assert len(left) == 2
    assert lasting in left


@pytest.mark.django_db
def test_the_table_is_not_logged_and_leaves_room_for_updates() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT relpersistence, reloptions FROM pg_class WHERE relname = 'config_rate_limit'")
        assert cursor.fetchone() == ("u", ["fillfactor=50"])


# --- Redis ------------------------------------------------------------------------------------------


def test_every_key_in_redis_expires(redis: RedisServer) -> None:
    RedisCounters(redis.url).take(new_key(), 1, MINUTE)
    with Redis.from_url(redis.url) as client:
        [name] = client.keys()
        assert 59_000 < client.pttl(name) <= 60_000


def test_a_key_that_lost_its_expiry_gets_one_again(redis: RedisServer) -> None:
    key, shared = new_key(), RedisCounters(redis.url)
    shared.take(key, 1, MINUTE)
    with Redis.from_url(redis.url) as client:
        client.persist(client.keys()[0])
        assert shared.take(key, 1, MINUTE).seconds_left == 60


@pytest.mark.django_db
def test_postgresql_counts_while_redis_is_away(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(redis_counters, "RETRY_SECONDS", 0)
    key, shared = new_key(), FallbackCounters(RedisCounters(redis.url), PostgresCounters())
    used = [shared.take(key, 1, MINUTE).used]
    assert not RateLimit.objects.exists()
    redis.kill()
    used += [shared.take(key, 1, MINUTE).used for _ in range(3)]
    redis.start()  # empty
    used += [shared.take(key, 1, MINUTE).used for _ in range(2)]
    assert used == [1, 1, 2, 3, 1, 2]
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


@pytest.mark.django_db
def test_while_redis_is_away_it_is_asked_now_and_then_only(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    key, shared = new_key(), FallbackCounters(RedisCounters(redis.url), PostgresCounters())
    redis.kill()
    shared.take(key, 1, MINUTE)
    redis.start()
    assert shared.take(key, 1, MINUTE).used == 2  # in PostgreSQL, still
    monkeypatch.setattr(shared, "_retry_at", time.monotonic())
    assert [shared.take(key, 1, MINUTE).used for _ in range(2)] == [1, 2]


@pytest.mark.django_db
def test_a_redis_that_refuses_is_as_one_that_is_away(redis: RedisServer) -> None:
    with Redis.from_url(redis.url) as client:
        client.config_set("maxmemory", "1")
    key, shared = new_key(), FallbackCounters(RedisCounters(redis.url), PostgresCounters())
    assert [shared.take(key, 1, MINUTE).used for _ in range(2)] == [1, 2]
    assert RateLimit.objects.get(pk=key).used == 2
