"""The log is in commit order: a reader that goes on from its last version misses nothing."""

import time

import pytest

from tasks import services
from tasks.models import Task
from tests.factories import head_of, make_user
from tests.writers import Writer
from users.resources import log
from users.resources.undo import undo

pytestmark = pytest.mark.thorough

WRITERS = 8
SECONDS = 2.0
PAGE = 20


class AnyWriter(Writer):
    """Changes tasks alone and several at once, and takes changes back."""

    def change(self) -> list[Task]:
        kind = self.random.choice(["create", "create", "update", "complete", "complete several", "undo"])
        if kind == "create" or not self.tasks:
            return self.create()
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
    writers = [AnyWriter(user, time.monotonic() + SECONDS, seed) for seed in range(WRITERS)]
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
