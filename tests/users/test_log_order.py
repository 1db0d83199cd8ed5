"""The log is in commit order: a reader that goes on from its last version misses nothing."""

import random
import threading
import time

import pytest
from django.db import connections, transaction

from config.database.isolation import all_users
from tasks import services
from tasks.models import Task
from tests.factories import head_of, make_user
from users.models import User
from users.resources import log
from users.resources.undo import undo

WRITERS = 8
SECONDS = 2.0
PAGE = 20


class Writer(threading.Thread):
    """Changes its own tasks, alone and several at once, and notes the versions of what it has committed."""

    def __init__(self, user: User, deadline: float, seed: int) -> None:
        super().__init__()
        self.user, self.deadline, self.random = user, deadline, random.Random(seed)
        self.committed: dict[int, int] = {}  # version -> task
        self.tasks: list[int] = []

    @all_users()
    def run(self) -> None:
        while time.monotonic() < self.deadline:
            # A transaction takes its numbers, then works on for a moment before it commits.
            with transaction.atomic():
                changed = self.change()
                time.sleep(self.random.random() / 500)
            self.committed |= {task.version: task.pk for task in changed}
        connections.close_all()

    def change(self) -> list[Task]:
        kind = self.random.choice(["create", "create", "update", "complete", "complete several", "undo"])
        if kind == "create" or not self.tasks:
            task = services.create_task(self.user, title="Task")
            self.tasks.append(task.pk)
            return [task]
        task_id = self.random.choice(self.tasks)
        if kind == "update":
            return [services.update_task(self.user, task_id, {"title": f"Title {self.random.random()}"})]
        if kind == "complete several":
            return services.complete_tasks(self.user, self.tasks, self.random.random() < 0.5)
        task = services.complete_task(self.user, task_id)
        if kind == "undo":
            undone = undo(self.user, task.operation)
            self.committed[task.version] = task_id
            return [each for each in undone if isinstance(each, Task)]
        return [task]


@pytest.mark.usefixtures("transactional_db")
def test_a_reader_sees_every_change_of_8_concurrent_writers_once_and_in_order() -> None:
    """The reader goes on from the last version that it has seen, while others commit.

    Why the number is taken under the feed's lock: with `feed.take` returning a sequence's nextval(), this test fails.
    Two runs, changes missed of changes committed: 123 of 1,091 and 177 of 987; the feed none.
    """
    user = make_user()
    writers = [Writer(user, time.monotonic() + SECONDS, seed) for seed in range(WRITERS)]
    for writer in writers:
        writer.start()
    seen: list[tuple[int, int]] = []
    while True:
        writing = any(writer.is_alive() for writer in writers)
        entries = log.entries(user, seen[-1][0] if seen else 0, PAGE)
        seen += [(entry.version, entry.object_id) for entry in entries]
        if not writing and not entries:
            break
    committed = {version: task for writer in writers for version, task in writer.committed.items()}
    assert seen == sorted(committed.items())
    assert [version for version, _ in seen] == list(range(1, head_of(user) + 1))
    assert all(writer.committed for writer in writers)
