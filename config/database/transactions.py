"""Transactions that are retried after a deadlock or a serialization failure."""

import functools
import logging
import random
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from django.db import IntegrityError, OperationalError, connection, transaction
from psycopg import errors

from config.errors import DomainError, violated_constraint

logger = logging.getLogger(__name__)

RETRIES = 2
PAUSE = 0.05  # seconds, about
_RETRIED = (errors.DeadlockDetected, errors.SerializationFailure)

# Of a violated constraint, by name, what its app tells of it; None for another's.
refusals: list[Callable[[str | None], DomainError | None]] = []

P = ParamSpec("P")
R = TypeVar("R")


def retried(service: Callable[P, R]) -> Callable[P, R]:
    """For a function that may run again: it changes none of the objects that it is given.

    Within a transaction nothing is retried: all of that one is rolled back, so its caller has to retry.
    Raises the OperationalError of the last attempt, and the first of the `refusals` of an IntegrityError.
    """

    @functools.wraps(service)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        retries = 0 if connection.in_atomic_block else RETRIES
        while True:
            try:
                return service(*args, **kwargs)
            except OperationalError as error:
                if not retries or not isinstance(error.__cause__, _RETRIED):
                    raise
                retries -= 1
                logger.warning("%s is run anew: %s", service.__qualname__, type(error.__cause__).__name__)
                # Retry with jitter, so two retries do not collide again.
                time.sleep(PAUSE * random.uniform(0.5, 1.5))
            except IntegrityError as error:
                name = violated_constraint(error)
                raise next(filter(None, (refuse(name) for refuse in refusals)), error) from error.__cause__

    return run


def retried_transaction(service: Callable[P, R]) -> Callable[P, R]:
    """`transaction.atomic` and `retried`."""
    return retried(transaction.atomic(service))
