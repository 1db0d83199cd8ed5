"""Skipping an occurrence: the task goes on, and nothing counts as completed."""

import datetime as dt
from typing import Any

import pytest
import time_machine

from tasks import services
from tasks.completions import Completion
from tasks.models import Task
from tests.client import Api
from tests.factories import make_task
from tests.problems import places_of, problem_of
from tests.tasks.test_recurring import NOW, TODAY, completed, make
from users.models import Change, User


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


def test_a_skipped_task_goes_on_and_counts_nothing(as_alice: Api, alice: User) -> None:
    task = make(alice, "FREQ=WEEKLY", due=dt.date(2026, 11, 20))
    answer = as_alice.post(f"{as_alice.tasks}/{task.pk}/skip")
    shown = answer.json()
    assert (answer.status_code, "Tickbase-Advanced" in answer) == (200, False)
    assert (shown["status"], shown["due_date"], shown["completions"]) == ("pending", "2026-12-04", 0)
    assert (shown["last_completed_at"], answer["ETag"]) == (None, f'"{shown["version"]}"')
    assert completed(task) == [("skipped", dt.date(2026, 11, 20), 1, True)]
    assert Change.objects.get(version=shown["version"]).kind == "skipped"
    assert not Completion.objects.counted().exists()


def test_with_the_last_one_the_series_is_over(as_alice: Api, alice: User) -> None:
    path = f"{as_alice.tasks}/{make(alice, 'FREQ=DAILY;COUNT=1').pk}"
    shown = as_alice.post(f"{path}/skip").json()
    assert (shown["status"], shown["completions"]) == ("completed", 0)
    assert problem_of(as_alice.post(f"{path}/skip"), 409)["code"] == "not_recurring"
    assert as_alice.patch(f"{path}/complete", {"completed": False}).json()["completions"] == 0
    assert Completion.objects.get().revoked_at is not None


@pytest.mark.parametrize("fields", [{}, {"due_date": TODAY}])
def test_what_does_not_recur_cannot_be_skipped(as_alice: Api, alice: User, fields: Any) -> None:
    task = make_task(alice, **fields)
    problem = problem_of(as_alice.post(f"{as_alice.tasks}/{task.pk}/skip"), 409)
    assert (problem["code"], problem["current"]["id"]) == ("not_recurring", task.pk)
    assert Task.objects.get().version == task.version


def test_a_cancelled_one_cannot_be_skipped(as_alice: Api, alice: User) -> None:
    task = make(alice)
    services.update_task(alice, task.pk, {"status": "cancelled"})
    assert problem_of(as_alice.post(f"{as_alice.tasks}/{task.pk}/skip"), 409)["code"] == "not_recurring"


def test_only_the_named_one_is_skipped(as_alice: Api, alice: User) -> None:
    path, body = f"{as_alice.tasks}/{make(alice).pk}/skip", {"occurrence": "2026-11-28"}
    assert as_alice.post(path, body).json()["due_date"] == "2026-11-29"
    assert problem_of(as_alice.post(path, body), 409)["code"] == "not_current"


def test_only_this_version_is_skipped(as_alice: Api, alice: User) -> None:
    path = f"{as_alice.tasks}/{make(alice).pk}"
    tag = as_alice.get(path)["ETag"]
    assert as_alice.post(f"{path}/skip", if_match=tag).status_code == 200
    assert problem_of(as_alice.post(f"{path}/skip", if_match=tag), 412)["code"] == "stale_version"


def test_unknown_members_are_refused(as_alice: Api, alice: User) -> None:
    answer = as_alice.post(f"{as_alice.tasks}/{make(alice).pk}/skip", {"completed": True})
    assert places_of(answer, "pointer") == ["/completed"]


def test_a_batch_skips_and_refuses(as_alice: Api, alice: User) -> None:
    daily, plain = make(alice), make_task(alice)
    steps = [{"op": "skip", "type": "task", "id": task.pk} for task in (daily, plain)]
    answer = as_alice.post("/api/me/batch", {"atomic": False, "operations": steps})
    skipped, refused = answer.json()["results"]
    assert (skipped["object"]["due_date"], refused["problem"]["code"]) == ("2026-11-29", "not_recurring")
