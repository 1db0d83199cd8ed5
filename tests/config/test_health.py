"""Probes: anybody may ask for them, as often as they like."""

import datetime as dt
from collections.abc import Callable

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from config import VERSION
from config.models import Worker
from config.observability import health
from config.observability.health import Readiness
from tests.client import Api
from tests.problems import problem_of
from tests.races import at_once


@pytest.fixture
def keep(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    def keep(seconds: float) -> None:
        monkeypatch.setattr(health, "KEPT_SECONDS", seconds)
        monkeypatch.setattr(health, "readiness", Readiness())

    return keep


def test_an_answer_is_kept(db: None, keep: Callable[[float], None]) -> None:
    keep(60)
    with CaptureQueriesContext(connection) as first:
        assert Api().get("/readyz").status_code == 200
    with CaptureQueriesContext(connection) as others:
        assert [Api().get("/readyz").status_code for _ in range(20)] == [200] * 20
    assert len(first) > len(others) == 0


def test_a_refusal_is_kept_too(db: None, keep: Callable[[float], None]) -> None:
    keep(60)
    MigrationRecorder(connection).record_unapplied("tasks", "0001_initial")
    first = problem_of(Api().get("/readyz"), 503)
    with CaptureQueriesContext(connection) as others:
        again = problem_of(Api().get("/readyz"), 503)
    assert (len(others), again["code"], again["detail"]) == (0, "migrations_missing", first["detail"])


def test_it_tells_the_version_and_whether_deferred_work_is_done(db: None) -> None:
    assert Api().get("/readyz").json() == {"status": "ok", "version": VERSION, "worker": "missing"}
    now = timezone.now()
    for seconds, told in ((50, "missing"), (40, "running")):
        Worker.objects.beat("host:1", now, now - dt.timedelta(seconds=seconds))
        assert Api().get("/readyz").json()["worker"] == told


def test_what_is_too_old_is_looked_up_anew(db: None, keep: Callable[[float], None]) -> None:
    keep(0)
    assert Api().get("/readyz").status_code == 200
    MigrationRecorder(connection).record_unapplied("tasks", "0001_initial")
    assert Api().get("/readyz").status_code == 503


def test_who_comes_at_once_shares_one_look(
    transactional_db: None, keep: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(60)
    looks = []
    examine = health._examine

    def counted() -> object:
        looks.append(1)
        return examine()

    monkeypatch.setattr(health, "_examine", counted)
    statuses = at_once([lambda: Api().get("/readyz").status_code] * 12)
    assert (statuses, len(looks)) == ([200] * 12, 1)


def test_being_alive_asks_nothing(db: None) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert Api().get("/healthz").status_code == 200
    assert len(queries) == 0
