"""Runs calls at the same moment, each in a thread with a database connection of its own."""

import threading
from collections.abc import Callable, Iterable
from contextvars import Context, copy_context
from typing import Any

from django.db import connections


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
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in errors:
        raise error
    return results
