"""`manage.py prune` beside writers and readers: a reader of the log misses nothing, or is told to begin anew."""

import threading
import time

import pytest
from django.db import connections
from django.utils import timezone

from config.database.isolation import all_users
from tasks import services
from tasks.models import Task
from tests.factories import head_of, make_user
from users.models import Feed, Kind, User
from users.resources import log, pruning

pytestmark = pytest.mark.thorough

WRITERS = 2
TOMBSTONES = 30  # that pruning removes meanwhile


def floor_of(user: User) -> int:
    return Feed.objects.values_list("floor", flat=True).get(user=user)


class Client(threading.Thread):
    """Writes through the services for as long as it may, and keeps a replica by reading the log.

    Either after each write, or `seldom`: when the next entry that it should read was cut off.
    """

    def __init__(self, user: User, until: threading.Event, *, seldom: bool) -> None:
        super().__init__()
        self.user, self.until, self.seldom = user, until, seldom
        self.replica: dict[int, int] = {}
        self.cursor = self.restarts = self.writes = 0
        self.failure: BaseException | None = None

    @all_users()
    def run(self) -> None:
        try:
            while not self.until.is_set():
                self.write()
                if not self.seldom or self.cursor == 0 or floor_of(self.user) > self.cursor:
                    self.sync()
        except BaseException as error:  # noqa: BLE001 (told to the test)
            self.failure = error
        finally:
            connections.close_all()

    def write(self) -> None:
        task = services.create_task(self.user, title="Task")
        services.complete_task(self.user, task.pk)
        if self.writes % 2:
            services.delete_task(self.user, task.pk)
        self.writes += 1

    def sync(self) -> None:
        try:
            entries = log.entries(self.user, self.cursor, 10_000)
        except log.CursorExpired:
            self.cursor = head_of(self.user)
            self.replica = dict(Task.objects.for_user(self.user).visible().values_list("pk", "version"))
            self.restarts += 1
            return
        for entry in entries:
            if entry.kind in (Kind.DELETED, Kind.ERASED):
                self.replica.pop(entry.object_id, None)
            else:
                self.replica[entry.object_id] = entry.version
            self.cursor = entry.version


def each_was_behind(clients: list[Client]) -> bool:
    return all(client.restarts for client in clients if client.seldom)


def prune_at_once() -> int:
    """All that is deleted or written goes, so that readers meet the floor all the time; returns how many tombstones."""
    list(pruning.empty_trash(Task, timezone.now(), batch=5))
    list(pruning.cut_log(timezone.now(), batch=5))
    return sum(pruning.prune_tombstones(Task, batch=5))


@pytest.mark.usefixtures("transactional_db")
def test_pruning_beside_writers_loses_nothing() -> None:
    users = [make_user(f"writer{number}") for number in range(WRITERS)]
    is_over = threading.Event()
    # Two devices of the same person: what one has written is cut off before the other has read it.
    clients = [Client(user, is_over, seldom=seldom) for user in users for seldom in (False, True)]
    for client in clients:
        client.start()
    removed, deadline = 0, time.monotonic() + 30
    while (removed < TOMBSTONES or not each_was_behind(clients)) and time.monotonic() < deadline:
        removed += prune_at_once()
    is_over.set()
    for client in clients:
        client.join()
    assert [client.failure for client in clients] == [None] * len(clients)
    assert removed >= TOMBSTONES
    assert each_was_behind(clients), "some reader was never behind the floor"
    for client in clients:
        client.sync()
        live = dict(Task.objects.for_user(client.user).visible().values_list("pk", "version"))
        assert client.replica == live
    prune_at_once()
    assert not Task.objects.trashed().exists()
    for user in users:
        assert head_of(user) >= floor_of(user) > 0
