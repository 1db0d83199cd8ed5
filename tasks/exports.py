"""What an export of a user's data holds of tasks."""

from collections.abc import Iterator
from typing import Any

from tasks.models import Feed, Task
from users import exports
from users.models import User

TASK = (
    "id", "uid", "title", "description", "status", "priority", "tags", "due_date", "due_at", "completed_at",
    "created_at", "updated_at", "version", "deleted_at",
)  # fmt: skip


@exports.register("tasks")
def _tasks(user: User) -> Iterator[dict[str, Any]]:
    """Deleted ones too, as long as their rows are there."""
    return exports.rows(Task.objects.for_user(user), *TASK)


@exports.register("feed")
def _feed(user: User) -> Iterator[dict[str, Any]]:
    return exports.rows(Feed.objects.filter(user=user), "head", "floor", "live", "stored")
