"""The log begins with a migration that can be interrupted, and raises the floor above what it does not hold."""

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from tasks.models import Task
from tests.factories import make_task, make_user
from users.models import Feed

pytestmark = pytest.mark.thorough


def test_the_migration_can_be_run_again_after_an_interruption(transactional_db: None) -> None:
    """Before Django writes down that it is done."""
    user = make_user()
    make_task(user)
    make_task(user)
    call_command("migrate", "tasks", "0019", verbosity=0)  # what comes later depends on it
    MigrationRecorder(connection).record_unapplied("tasks", "0019_log_begins")
    call_command("migrate", verbosity=0)
    assert (Feed.objects.get().floor, Feed.objects.get().head) == (2, 2)
    with connection.cursor() as cursor:
        cursor.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = 'tasks_task_trash'::regclass")
        assert cursor.fetchall() == [(True,)]
    Task.objects.all().delete()
    user.delete()
