"""Migrations of tasks, forward and back, with rows that are in their way."""

from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection
from django.db.migrations.executor import MigrationExecutor

from tasks.models import Task
from tests.factories import make_task, make_user
from users.models import User


def migrate(name: str) -> None:
    call_command("migrate", "tasks", name, verbosity=0)


@pytest.fixture
def migrated_again(transactional_db: None) -> Iterator[None]:
    yield
    User.objects.all().delete()
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())


@pytest.mark.usefixtures("migrated_again")
def test_descriptions_of_before_may_grow() -> None:
    task = make_task(make_user(), description="x" * 10_000)
    migrate("0006")
    with pytest.raises(IntegrityError, match="tasks_task_description"):
        Task.objects.filter(pk=task.pk).update(description="x" * 10_001)
    migrate("0008")
    assert Task.objects.filter(pk=task.pk).update(description="x" * 20_000) == 1
    with pytest.raises(IntegrityError, match="tasks_task_description"):
        Task.objects.filter(pk=task.pk).update(description="x" * 20_001)
    with pytest.raises(IntegrityError, match="tasks_task_description"):
        migrate("0006")
