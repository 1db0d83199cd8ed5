"""A client that openapi-python-client makes of docs/openapi.yaml, with typed models."""

import datetime as dt
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from tests.server import Server

pytestmark = pytest.mark.process

NAME = "tickbase_client"


class Generated:
    """The generated package; its modules are attributes, as `.models`."""

    def __getattr__(self, name: str) -> Any:
        return importlib.import_module(f"{NAME}.{name}")

    def call(self, operation: str, *arguments: Any, **options: Any) -> Any:
        """The parsed answer of an operation, for example `tasks.create_task`."""
        return importlib.import_module(f"{NAME}.api.{operation}").sync_detailed(*arguments, **options)


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Generated]:
    folder = tmp_path_factory.mktemp("clients")
    command = ["generate", "--path", "docs/openapi.yaml", "--output-path", str(folder / NAME), "--meta", "none"]
    # It formats what it wrote with ruff, which stands beside this Python.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [sys.executable, "-m", "openapi_python_client", *command, "--fail-on-warning"],
        cwd=settings.BASE_DIR,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, "arning" in done.stdout + done.stderr) == (0, False), done.stdout + done.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield Generated()


@pytest.fixture
def ada(generated: Generated, server: Server) -> Iterator[Any]:
    """A client of a new account, with its token."""
    account = generated.models.RegisterRequest(email="python@example.com", password="correct horse battery")
    with generated.client.Client(base_url=server.base) as stranger:
        signed_in = generated.call("accounts.register", client=stranger, body=account).parsed
    assert (type(signed_in).__name__, signed_in.user.email) == ("SignedIn", "python@example.com")
    with generated.client.AuthenticatedClient(base_url=server.base, token=signed_in.access) as client:
        yield client


def _titles(generated: Generated, ada: Any, **query: Any) -> list[str]:
    return [task.title for task in generated.call("tasks.list_tasks", "me", client=ada, **query).parsed]


def test_generated_client_drives_a_task_from_creation_to_deletion(generated: Generated, ada: Any) -> None:
    models = generated.models
    body = models.TaskRequest(title="Call", priority=models.TaskPriority.HIGH, due_date=dt.date(2026, 12, 1))
    task = generated.call("tasks.create_task", "me", client=ada, body=body).parsed
    assert (task.priority, task.due_date, task.completed_at) == (models.TaskPriority.HIGH, dt.date(2026, 12, 1), None)
    generated.call("tasks.create_task", "me", client=ada, body=models.TaskRequest(title="Rest"))
    assert _titles(generated, ada, sort=models.ListTasksSort.TITLE) == ["Call", "Rest"]
    assert _titles(generated, ada, priority=models.TaskPriority.HIGH, completed=False) == ["Call"]
    done = generated.call("tasks.complete_task", "me", task.id, client=ada).parsed
    assert (done.status, done.completed) == (models.TaskStatus.COMPLETED, True)
    assert _titles(generated, ada, completed=True) == ["Call"]
    stale = generated.call("tasks.delete_task", "me", task.id, client=ada, if_match=f'"{task.version}"')
    assert (stale.status_code, stale.parsed.current.version) == (412, done.version)
    assert generated.call("tasks.delete_task", "me", task.id, client=ada).status_code == 204
    assert _titles(generated, ada) == ["Rest"]
