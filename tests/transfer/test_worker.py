"""Imports that are too large for a request: a worker stores them slice by slice."""

import datetime as dt
import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from config.database import leases
from config.operations import work
from tasks.models import Task
from tasks.transfer import models, services
from tasks.transfer.models import Import
from tests.client import Answer, Api
from tests.factories import make_webhook
from tests.pages import signed_in
from tests.problems import problem_of
from users.models import Change, User
from users.webhooks.models import Event

ROWS = 25


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is many thousands otherwise."""
    monkeypatch.setattr(services, "AT_ONCE", 5)
    monkeypatch.setattr(services, "WORKER_SLICE", 10)


def csv(rows: int, first: int = 0) -> bytes:
    return "".join(["title\n", *(f"Task {number}\n" for number in range(first, first + rows))]).encode()


def send(api: Api, data: bytes, query: str = "") -> Answer:
    path = f"/api/me/imports?format=csv{query}"
    return api.client.post(path, data, content_type="application/octet-stream")


def shown(api: Api, pk: int) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"/api/me/imports/{pk}").json()
    return found


def test_a_large_file_is_left_to_the_worker(as_alice: Api, alice: User) -> None:
    answer = send(as_alice, csv(ROWS))
    row = answer.json()
    assert (answer.status_code, answer["Location"]) == (202, f"imports/{row['id']}")
    assert (row["status"], row["total"], row["done"], row["operations"]) == ("waiting", ROWS, 0, [])
    assert Task.objects.count() == 0
    assert work.drain("imports") == 1
    done = shown(as_alice, row["id"])
    assert (done["status"], done["done"], done["report"]["created"]) == ("done", ROWS, ROWS)
    assert Task.objects.for_user(alice).count() == ROWS
    assert Import.objects.values_list("data", "due_at").get() == (None, None)


def test_each_slice_is_an_operation_that_can_be_undone(as_alice: Api) -> None:
    row = send(as_alice, csv(ROWS)).json()
    work.drain("imports")
    operations = shown(as_alice, row["id"])["operations"]
    assert len(operations) == 3
    for operation in reversed(operations):
        assert as_alice.post("/api/me/undo", {"operation": operation}).status_code == 200
    assert as_alice.get("/api/me/tasks").json() == []


def test_the_log_names_the_import(as_alice: Api, alice: User) -> None:
    row = send(as_alice, csv(ROWS)).json()
    work.drain("imports")
    assert {*Change.objects.for_user(alice).values_list("actor", flat=True)} == {f"import:{row['id']}"}


def test_a_file_of_few_rows_is_stored_at_once(as_alice: Api) -> None:
    assert (send(as_alice, csv(5)).status_code, Task.objects.count()) == (201, 5)


def test_a_dry_run_is_answered_at_once(as_alice: Api) -> None:
    answer = send(as_alice, csv(ROWS), "&dry_run=true")
    assert (answer.status_code, answer.json()["created"], Import.objects.count()) == (200, ROWS, 0)


def test_what_cannot_be_read_is_refused_at_once(as_alice: Api) -> None:
    problem_of(send(as_alice, b"\x00\xff" * 100), 400)
    assert Import.objects.count() == 0


def test_one_that_was_interrupted_goes_on_and_counts_each_row_once(
    as_alice: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = send(as_alice, csv(ROWS)).json()
    store = services._store_slice
    slices: list[int] = []

    def killed_at_the_third(*arguments: Any) -> Any:
        if len(slices) == 2:
            raise SystemExit
        slices.append(1)
        return store(*arguments)

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(services, "_store_slice", killed_at_the_third)
        work.drain("imports")
    half = shown(as_alice, row["id"])
    assert (half["status"], half["done"], half["report"]["created"]) == ("running", 10, 10)
    assert work.drain("imports") == 0  # it is leased
    Import.objects.update(leased_until=timezone.now())
    assert work.drain("imports") == 1
    done = shown(as_alice, row["id"])
    assert (done["status"], done["done"]) == ("done", ROWS)
    assert (done["report"]["created"], done["report"]["unchanged"], len(done["operations"])) == (ROWS, 0, 3)


def test_a_worker_that_has_lost_its_lease_stores_nothing_more(as_alice: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one has claimed it meanwhile, and counts what it stores."""
    row = send(as_alice, csv(ROWS)).json()
    store = services._store_slice
    slices: list[int] = []

    def late(*arguments: Any) -> Any:
        if len(slices) == 2:
            Import.objects.update(attempts=7)
        slices.append(1)
        return store(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(services, "_store_slice", late)
        work.drain("imports")
    half = shown(as_alice, row["id"])
    assert (half["status"], half["done"], Task.objects.count(), len(slices)) == ("running", 10, 10, 3)


def test_one_that_meets_a_limit_says_so_and_keeps_what_it_has(as_alice: Api, settings: Settings) -> None:
    settings.LIMIT_TASKS = 15
    row = send(as_alice, csv(ROWS)).json()
    work.drain("imports")
    failed = shown(as_alice, row["id"])
    assert (failed["status"], failed["done"], Task.objects.count()) == ("failed", 10, 10)
    assert "15" in failed["error"]
    assert work.drain("imports") == 0


def test_three_of_an_account_may_wait(as_alice: Api) -> None:
    for number in range(3):
        assert send(as_alice, csv(ROWS, number * ROWS)).status_code == 202
    problem = problem_of(send(as_alice, csv(ROWS, 1000)), 409)
    assert (problem["code"], problem["limit"]) == ("limit_reached", 3)
    work.drain("imports")
    assert send(as_alice, csv(ROWS, 1000)).status_code == 202


def test_a_failed_import_is_seen_by_operators(as_alice: Api, settings: Settings) -> None:
    settings.LIMIT_TASKS = 5
    send(as_alice, csv(ROWS))
    work.drain("imports")
    [found] = [each for each in work.backlog(timezone.now() + dt.timedelta(minutes=1)) if each.kind == "imports"]
    assert found.failed == 1


def test_a_webhook_is_told_when_it_is_done(as_alice: Api, alice: User) -> None:
    make_webhook(alice, events=["import.done"])
    row = send(as_alice, csv(ROWS)).json()
    assert not Event.objects.exists()
    work.drain("imports")
    assert Event.objects.values_list("name", "data").get() == (
        "import.done", {"import_id": row["id"], "status": "done"},
    )  # fmt: skip


def test_one_that_kills_its_worker_each_time_is_given_up(as_alice: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that fills the memory does: all other work would end with it, once a minute, for ever."""
    row = send(as_alice, csv(ROWS)).json()

    def killed(*arguments: Any) -> Any:
        raise SystemExit

    monkeypatch.setattr(services, "_store_slice", killed)
    for _ in range(services.MAX_TRIES):
        with pytest.raises(SystemExit):
            work.drain("imports")
        Import.objects.update(leased_until=timezone.now())
    assert work.drain("imports") == 1
    failed = shown(as_alice, row["id"])
    assert (failed["status"], failed["error"]) == ("failed", "It was given up after 5 tries; split the file.")
    assert Import.objects.values_list("data", "due_at").get() == (None, None)


def test_files_are_not_loaded_with_the_rows(as_alice: Api, carol: User) -> None:
    """Claims look at several, and lists at a page of them."""
    pk, staff = send(as_alice, csv(ROWS)).json()["id"], signed_in(carol)
    with CaptureQueriesContext(connection) as captured:
        for page in ("", f"{pk}/change/"):
            assert staff.get(f"/admin/transfer/import/{page}").status_code == 200
        [kind] = [each for each in work.kinds() if each.name == "imports"]
        assert len(leases.claim(kind.due_rows(timezone.now()), 1, timezone.now(), kind.owner)) == 1
    assert not [each["sql"] for each in captured if '"transfer_import"."data"' in each["sql"]]


def test_a_file_is_read_in_pieces(as_alice: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection keeps the memory of the largest row that it has received."""
    monkeypatch.setattr(models, "PIECE", 100)
    data = csv(ROWS)
    send(as_alice, data)
    row = Import.objects.without_files().get()
    with CaptureQueriesContext(connection) as queries:
        assert row.read_file() == data
    assert len(queries) == len(data) // 100 + 2  # the last finds nothing more
    Import.objects.update(data=None)
    assert row.read_file() == b""


def test_comments_count_for_what_is_stored_at_once(as_alice: Api) -> None:
    comments = [{"uid": f"c{number}", "text": "Hm"} for number in range(6)]
    task = {"uid": "t", "title": "A", "comments": comments}
    data = json.dumps({"format": "tickbase", "version": 1, "projects": [], "tasks": [task]}).encode()
    answer = as_alice.client.post("/api/me/imports", data, content_type="application/octet-stream")
    assert answer.status_code == 202, answer.content
