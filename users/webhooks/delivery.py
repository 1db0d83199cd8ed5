"""Delivers what endpoints are to be sent: the worker's part. No transaction is open while a receiver is waited for."""

import datetime as dt
import time
from collections import deque
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

from django.utils import timezone

from config.database.leases import LEASE
from users.webhooks import messages, signing, writes
from users.webhooks.messages import Message
from users.webhooks.models import Delivery, Endpoint, EndpointQuerySet
from users.webhooks.transport import Connection, Outcome

AT_MOST = LEASE.total_seconds() / 2  # seconds, after which an endpoint waits for its next turn
TURN = 1.0  # seconds, after which it does so if others are waiting
FRESH = 2.0  # seconds, after which a page is read anew: what was erased meanwhile is not sent
QUICK_SECONDS = 3.0  # for an attempt among the quick ones; what takes longer is tried again among the slow ones
BATCH, SLOW_BATCH = 4, 8  # endpoints that one thread waits for at the same time


def due_quick(now: dt.datetime) -> EndpointQuerySet:
    return _due(now).filter(is_slow=False)


def due_slow(now: dt.datetime) -> EndpointQuerySet:
    return _due(now).filter(is_slow=True)


def _due(now: dt.datetime) -> EndpointQuerySet:
    return Endpoint.objects.due(now).aged().select_related("user")


def deliver(endpoints: list[Endpoint]) -> None:
    """Send what claimed endpoints are to be sent, message by message; none of them waits for another.

    At least once: if the worker is killed after a receiver has accepted a message, and before that is stored, the same
    message is sent again, with the same id.
    """
    couriers = [Courier(each) for each in endpoints]
    if len(couriers) == 1:
        (alone,) = couriers
        while (message := alone.next()) and alone.record(message, alone.send(message)):
            pass
        return
    with ThreadPoolExecutor(len(couriers), thread_name_prefix="webhook") as pool:
        sending = {pool.submit(each.send, message): (each, message) for each in couriers if (message := each.next())}
        while sending:
            for future in wait(sending, return_when=FIRST_COMPLETED).done:
                courier, message = sending.pop(future)
                if courier.record(message, future.result()) and (following := courier.next()):
                    sending[pool.submit(courier.send, following)] = courier, following


class Courier:
    """Delivers to one endpoint for as long as its turn lasts. Only `send` may run in another thread."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint, self._user = endpoint, endpoint.user
        self._is_slow = endpoint.is_slow
        self._connection = Connection(endpoint.url)
        self._page: deque[Message] = deque()
        self._deliveries: list[Delivery] = []
        self._is_alone = False  # whether the page has only one message, and nothing came after it
        self._began = self._read_at = self._looked_at = time.monotonic()

    def next(self) -> Message | None:
        """The message that the cursor is before; None if the turn is over, and then the lease is given up.

        The others of the batch wait for this: what is not wanted is passed over for no longer than a turn.
        """
        began = time.monotonic()
        while not self._is_over():
            if self._page and time.monotonic() - self._read_at < FRESH:
                return self._page[0]
            if self._is_alone and not self._page:
                break  # most often it was the only one; what has come since is claimed anew
            self._store()
            self._read_at = time.monotonic()
            page = messages.read(self._endpoint, self._user)
            self._page = deque(page.messages)
            self._is_alone = len(page.messages) == 1 and not page.more
            if not self._page:
                goes_on = writes.pass_over(self._endpoint, page.place) and page.more
                if not goes_on or time.monotonic() - began > TURN:
                    break
        self._end()
        return None

    def send(self, message: Message) -> Outcome:
        now, body = timezone.now(), message.body
        keys = self._endpoint.secrets(now)
        headers = signing.headers(message.id, int(now.timestamp()), body, keys)
        return self._connection.post(body, headers, None if self._is_slow else QUICK_SECONDS)

    def record(self, message: Message, outcome: Outcome) -> bool:
        """Whether to go on."""
        if outcome.is_late and not self._is_slow:  # no failure yet: the quick ones wait for nobody for long
            self._endpoint.settle(timezone.now(), is_slow=True)
            return self._stop()
        self._deliveries.append(writes.delivery(self._endpoint, message, outcome))
        if not outcome.is_accepted:
            writes.fail(self._endpoint, outcome)
            return self._stop()
        row = writes.accept(self._endpoint, message, outcome)
        if row is None:
            return self._stop()
        self._page.popleft()
        if row is not self._endpoint:  # it was changed: something else is to be sent now, or elsewhere
            self._page.clear()
            self._connection.close()
            self._connection = Connection(row.url)
            self._endpoint = row
        if row.is_active and row.is_slow == self._is_slow:
            return True
        self._end()
        return False

    def _is_over(self) -> bool:
        now = time.monotonic()
        if now - self._looked_at < TURN:
            return False
        self._looked_at = now
        others = Endpoint.objects.due(timezone.now()).filter(is_slow=self._is_slow).exclude(pk=self._endpoint.pk)
        return now - self._began > AT_MOST or others.exists()

    def _end(self) -> None:
        self._endpoint.settle(timezone.now())
        self._stop()

    def _stop(self) -> bool:
        self._connection.close()
        self._store()
        return False

    def _store(self) -> None:
        """Page by page, as attempts are noted for people alone: a worker that is killed has not noted the last ones."""
        writes.store_deliveries(self._endpoint, self._deliveries)
        self._deliveries = []
