"""Runs calls at the same moment, each in a thread with a database connection of its own."""

import threading
from collections.abc import Callable, Iterable
from contextvars import Context, copy_context
from typing import Any, Self

import pytest
from django.db import connection, connections, transaction
from django.db.models import QuerySet
from django.test import override_settings

from config.database.isolation import all_users


def short_and_full(short: int, full: int) -> list[Any]:
    """The sizes of a race, as parameters: the full one is for `make test-all`."""
    return [short, pytest.param(full, marks=pytest.mark.thorough)]


def unlimited() -> override_settings:
    """A race is about who wins: on a busy machine the last of many waits longer than a request may."""
    return override_settings(DATABASE_LOCK_TIMEOUT=0, DATABASE_STATEMENT_TIMEOUT=0, DATABASE_IDLE_TRANSACTION_TIMEOUT=0)


def at_once(calls: Iterable[Callable[[], Any]]) -> list[Any]:
    """What each call returned, in the order of the calls; raises what one of them raised."""
    calls = list(calls)
    start = threading.Barrier(len(calls))
    results: list[Any] = [None] * len(calls)
    errors: list[BaseException] = []

    def run(number: int, call: Callable[[], Any], context: Context) -> None:
        try:
            start.wait(20)
            results[number] = context.run(call)
        except BaseException as error:  # noqa: BLE001 (raised below, in the test's own thread)
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[number, call, copy_context()]) for number, call in enumerate(calls)]
    with unlimited():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for error in errors:
        raise error
    return results


class Rival(threading.Thread):
    """Another transaction, which takes two locks in the order that is wrong for the one it meets.

    Whoever holds the second and waits for the first is ended by PostgreSQL, since it is found to wait first; so
    many `rounds` in a row. Then both locks are free.
    """

    def __init__(self, first: Callable[[], Any], second: Callable[[], Any], rounds: int = 1) -> None:
        super().__init__()
        self.first, self.second, self.rounds = first, second, rounds
        self.holds = threading.Event()
        self.unlimited = unlimited()

    @all_users()
    def run(self) -> None:
        with transaction.atomic():
            self.first()
            self.holds.set()
            for _ in range(self.rounds):
                with transaction.atomic():
                    _wait_until_in_the_way()
                    self.second()
                    transaction.set_rollback(True)  # gives up the second lock, and only that
        connections.close_all()

    def __enter__(self) -> Self:
        self.start()
        assert self.holds.wait(20)
        self.unlimited.enable()
        return self

    def __exit__(self, *args: object) -> None:
        self.join()
        self.unlimited.disable()


def _wait_until_in_the_way() -> None:
    """Until another session has waited for 50 ms for a lock that this transaction holds.

    Who has waited for `deadlock_timeout` (700 ms, see `quick_deadlocks`) looks for one, once, and is the one who is
    ended: so this transaction must not come to wait later than that, also on a busy machine. Hence PostgreSQL looks,
    and not we, whom it would take many turns of the processor.
    """
    with connection.cursor() as cursor:
        cursor.execute("""
            DO $$
            BEGIN
                FOR look IN 1..4000 LOOP
                    PERFORM FROM pg_locks WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))
                        AND waitstart < clock_timestamp() - interval '50 ms';
                    IF FOUND THEN RETURN; END IF;
                    PERFORM pg_sleep(0.005);
                END LOOP;
                RAISE 'nobody waited for this transaction';
            END $$
        """)


def lock(rows: QuerySet[Any]) -> Callable[[], Any]:
    return lambda: list(rows.order_by("pk").select_for_update())
