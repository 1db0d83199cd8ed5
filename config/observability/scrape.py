"""`/metrics` for Prometheus: what the workers count, and what is measured at each scrape."""

import math
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from ipaddress import ip_address
from typing import Any, cast

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, ProgrammingError, connections
from django.db.models import Model
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from config.database.base import DatabaseWrapper
from config.database.isolation import all_users
from config.errors import InvalidToken, NotFound
from config.http.request import admitted_address
from config.http.views import APIView
from config.operations import work

Families = Iterable[Any]
_counted: dict[type[Model], tuple[str, str]] = {}  # by model, the name and the help of its counter


def count_writes(model: type[Model], name: str, description: str) -> None:
    """Add a counter of the rows that were inserted into the model's table, or updated, to call in `ready()`.

    PostgreSQL's own statistics cost the same for a million rows, and do not fall when rows are deleted.
    """
    _counted[model] = name, description


class MayScrape(BasePermission):
    """The scrape comes from an allowed network, and with the token, whichever of the two is configured."""

    def has_permission(self, request: Request, view: object) -> bool:
        address = admitted_address(request)
        allowed = settings.METRICS_ALLOWED
        if allowed and not (address and any(ip_address(address) in network for network in allowed)):
            raise NotFound("Nothing is here; /api/docs lists every address.")
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        sent, expected = token.strip().encode("utf-8", "surrogatepass"), settings.METRICS_TOKEN.encode()
        if expected and not (scheme.lower() == "bearer" and secrets.compare_digest(sent, expected)):
            raise InvalidToken("Send the METRICS_TOKEN as a bearer token.")
        return True


class MetricsView(APIView):
    authentication_classes = ()
    permission_classes = (MayScrape,)
    throttle_classes = ()

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return HttpResponse(generate_latest(_Scrape()), content_type=CONTENT_TYPE_LATEST)


class _Scrape:
    """The collector that prometheus_client renders."""

    def collect(self) -> Iterator[Any]:
        from config.observability import metrics

        metrics.sample()
        families = list(metrics.counted().collect())
        yield from families
        yield from _of_requests(families)
        yield from _of_processes()
        yield from _of_database()
        with suppress(OperationalError, InterfaceError, ProgrammingError):  # away, or not migrated yet
            yield from list(_of_work())


def _of_requests(families: Families) -> Families:
    """Refusals and sign-ins, derived from the counts of routes and statuses: no request counts them."""
    from prometheus_client.core import CounterMetricFamily

    throttled = 0.0
    api, admin = "/api/auth/login", f"/{settings.ADMIN_PATH}login/"
    outcomes = {
        (api, "200"): ("api", "ok"),
        (api, "401"): ("api", "failed"),
        (admin, "302"): ("admin", "ok"),
        (admin, "200"): ("admin", "failed"),  # the form again
    }
    sign_ins = dict.fromkeys(outcomes.values(), 0.0)
    samples = (sample for family in families for sample in family.samples)
    for sample in (sample for sample in samples if sample.name == "tickbase_http_requests_total"):
        throttled += sample.value if sample.labels["status"] == "429" else 0
        outcome = outcomes.get((sample.labels["route"], sample.labels["status"]))
        if outcome and sample.labels["method"] == "POST":
            sign_ins[outcome] += sample.value
    yield CounterMetricFamily("tickbase_throttled", "Requests refused for a rate limit.", throttled)
    counts = CounterMetricFamily("tickbase_sign_ins", "Sign-ins with a password.", labels=["surface", "outcome"])
    for outcome, value in sign_ins.items():
        counts.add_metric(outcome, value)
    yield counts


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

    writes = "(SELECT n_tup_ins + n_tup_upd FROM pg_stat_user_tables WHERE relid = to_regclass('{}'))"
    columns = ["pg_database_size(current_database())", *(writes.format(model._meta.db_table) for model in _counted)]
    statement = f"SELECT {', '.join(columns)}"  # nosec B608: names of tables
    try:
        [[(size, *counts)]] = cast(DatabaseWrapper, connections[DEFAULT_DB_ALIAS]).run((statement, []))
    except (OperationalError, InterfaceError):
        yield GaugeMetricFamily("tickbase_database_up", "Whether the database answers.", 0)
        return
    yield GaugeMetricFamily("tickbase_database_up", "Whether the database answers.", 1)
    yield GaugeMetricFamily("tickbase_database_size_bytes", "Size of the database, as PostgreSQL tells it.", size)
    for (name, description), count in zip(_counted.values(), counts, strict=True):
        if count is not None:  # else the database is not migrated yet
            yield CounterMetricFamily(name, description, count)


def _of_work() -> Families:
    from prometheus_client.core import GaugeMetricFamily

    now = timezone.now()
    oldest = GaugeMetricFamily("tickbase_work_oldest_seconds", "For how long a row has been due.", labels=["kind"])
    leased = GaugeMetricFamily("tickbase_work_leased", "Rows that workers are busy with.", labels=["kind"])
    failed = GaugeMetricFamily("tickbase_work_failed", "Rows given up within a day, up to 1000.", labels=["kind"])
    with all_users():
        for each in work.backlog(now):
            oldest.add_metric([each.kind], each.oldest_seconds)
            leased.add_metric([each.kind], each.leased)
            failed.add_metric([each.kind], each.failed)
        seen = work.last_seen()
    yield from (oldest, leased, failed)
    age = math.inf if seen is None else (now - seen).total_seconds()
    yield GaugeMetricFamily("tickbase_worker_seen_seconds", "Since a worker of deferred work was seen.", age)
