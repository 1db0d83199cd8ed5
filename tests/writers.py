"""Threads that write tasks, and note what they have committed."""

import random
import threading
import time

from django.db import connections, transaction

from config.database.isolation import all_users
from tasks import services
from tasks.models import Task
from users.models import User


class Writer(threading.Thread):
    """Changes its own tasks until the deadline, and notes each committed version. Subclasses say how."""

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
        """Change some tasks; returns them with their new versions."""
        raise NotImplementedError

    def create(self) -> list[Task]:
        task = services.create_task(self.user, title="Task")
        self.tasks.append(task.pk)
        return [task]
