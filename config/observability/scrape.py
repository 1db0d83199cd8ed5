"""`/metrics`, for Prometheus: the counts of the workers, and what is measured at each scrape."""

import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from ipaddress import ip_address
from typing import Any, cast

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connections
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from config.database.base import DatabaseWrapper
from config.errors import InvalidToken, NotFound
from config.http.request import admitted_address

# Each change of a task inserts or updates a row of feeds. PostgreSQL's statistics count these: at the same cost for a
# million users, and without falling when one of them is deleted.
DATABASE = """
    SELECT pg_database_size(current_database()),
           (SELECT n_tup_ins + n_tup_upd FROM pg_stat_user_tables WHERE relid = to_regclass('tasks_feed'))
"""
Families = Iterable[Any]


class MayScrape(BasePermission):
    """Requires both METRICS_ALLOWED and METRICS_TOKEN, as far as they are set; without either there is no route."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if settings.METRICS_ALLOWED and not _is_allowed(admitted_address(request)):
            raise NotFound("Nothing is here; /api/docs lists every address.")
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        is_known = scheme.lower() == "bearer" and _is_same(token.strip(), settings.METRICS_TOKEN)
        if settings.METRICS_TOKEN and not is_known:
            raise InvalidToken("Send the METRICS_TOKEN as a bearer token.")
        return True


def _is_allowed(address: str) -> bool:
    return bool(address) and any(ip_address(address) in network for network in settings.METRICS_ALLOWED)


def _is_same(token: str, expected: str) -> bool:
    return secrets.compare_digest(token.encode("utf-8", "surrogatepass"), expected.encode())


class MetricsView(APIView):
    authentication_classes = ()
    permission_classes = (MayScrape,)
    throttle_classes = ()

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return HttpResponse(generate_latest(_Scrape()), content_type=CONTENT_TYPE_LATEST)


class _Scrape:
    """A collector, in prometheus_client's sense, of all metrics."""

    def collect(self) -> Iterator[Any]:
        from config.observability import metrics

        metrics.sample_pool()
        families = list(metrics.counted().collect())
        yield from families
        yield from _of_requests(families)
        yield from _of_processes()
        yield from _of_database()


def _of_requests(families: Families) -> Families:
    """Metrics that follow from routes and statuses, so that requests need not count them."""
    from prometheus_client.core import CounterMetricFamily

    throttled = 0.0
    sign_ins = dict.fromkeys([("api", "ok"), ("api", "failed"), ("admin", "ok"), ("admin", "failed")], 0.0)
    for labels, value in _answered(families):
        throttled += value if labels["status"] == "429" else 0
        if outcome := _sign_in(labels):
            sign_ins[outcome] += value
    yield CounterMetricFamily("tickbase_throttled", "Requests refused for a rate limit.", throttled)
    counts = CounterMetricFamily("tickbase_sign_ins", "Sign-ins with a password.", labels=["surface", "outcome"])
    for outcome, value in sign_ins.items():
        counts.add_metric(outcome, value)
    yield counts


def _answered(families: Families) -> Iterator[tuple[dict[str, str], float]]:
    for family in families:
        for sample in family.samples:
            if sample.name == "tickbase_http_requests_total":
                yield sample.labels, sample.value


def _sign_in(labels: dict[str, str]) -> tuple[str, str] | None:
    """The surface and the outcome. After a failure, the admin answers 200 with the form."""
    surfaces = {
        ("POST", "/api/auth/login"): ("api", {"200": "ok", "401": "failed"}),
        ("POST", f"/{settings.ADMIN_PATH}login/"): ("admin", {"302": "ok", "200": "failed"}),
    }
    surface, outcomes = surfaces.get((labels["method"], labels["route"]), ("", {}))
    outcome = outcomes.get(labels["status"])
    return (surface, outcome) if outcome else None


def _of_processes() -> Families:
    import psutil
    from prometheus_client.core import GaugeMetricFamily

    from config.observability import metrics

    workers = metrics.workers()
    yield GaugeMetricFamily("tickbase_workers", "Processes that run requests.", len(workers))
    memory = GaugeMetricFamily("tickbase_worker_resident_bytes", "Memory of each worker.", labels=["worker"])
    for number, process in workers.items():
        with suppress(psutil.NoSuchProcess):  # it has just ended
            memory.add_metric([str(number)], process.memory_info().rss)
    yield memory


def _of_database() -> Families:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    try:
        [[(size, changes)]] = cast(DatabaseWrapper, connections[DEFAULT_DB_ALIAS]).run((DATABASE, []))
    except (OperationalError, InterfaceError):
        yield GaugeMetricFamily("tickbase_database_up", "Whether the database answers.", 0)
        return
    yield GaugeMetricFamily("tickbase_database_up", "Whether the database answers.", 1)
    yield GaugeMetricFamily("tickbase_database_size_bytes", "Size of the database, as PostgreSQL tells it.", size)
    if changes is not None:  # else the database is not migrated yet
        yield CounterMetricFamily("tickbase_feed_changes", "Numbers that users' feeds gave to changes.", changes)
