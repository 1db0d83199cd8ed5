"""`/metrics`: who gets it, what two workers count together, and what the dashboard and the alerts make of it."""

import asyncio
import json
import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import httpx
import promql_parser
import pytest
import yaml
from django.conf import settings
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from config.server.streams import OF_KEY
from tests.client import Api
from tests.config.test_workers import two_workers, wait_until
from tests.problems import problem_of
from tests.server import Server
from tests.streaming import make_account, opened_many
from tests.tree import PRODUCTION, Tree

TOKEN = "Yq7mZc2XrLw9TbKfP4nVd8HsJg3RuE6A"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
DOCS: Path = settings.BASE_DIR / "docs"
TASKS = "/api/{user_id}/tasks"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(scope="module")
def metered() -> Iterator[Server]:
    with two_workers(METRICS_TOKEN=TOKEN, METRICS_ALLOWED="127.0.0.1, 10.0.0.0/8", TRUSTED_PROXIES="1") as server:
        yield server


@pytest.fixture(scope="module")
def alice_headers(metered: Server) -> dict[str, str]:
    body = {"email": "alice@example.com", "password": "correct horse battery"}
    answer = httpx.post(f"{metered.base}/api/auth/register", json=body).json()
    return {"Authorization": f"Bearer {answer['access']}"}


def scrape(server: Server) -> Samples:
    answer = httpx.get(f"{server.base}/metrics", headers=BEARER, timeout=30)
    samples = [sample for family in parsed(answer) for sample in family.samples]
    return {(each.name, frozenset(each.labels.items())): each.value for each in samples}


def parsed(answer: httpx.Response) -> list[Metric]:
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/plain")
    return list(text_string_to_metric_families(answer.text))


def value(server: Server, name: str, **labels: str) -> float:
    return scrape(server).get((name, frozenset(labels.items())), 0)


def folder(server: Server) -> Path:
    [found] = Path(gettempdir()).glob(f"tickbase-{os.getuid()}-{server.port}.metrics-*")
    return found


# --- What is counted --------------------------------------------------------------------------------


def create(server: Server, headers: dict[str, str], number: int) -> None:
    """Tasks, each over a connection of its own, so that both workers get some."""

    def send(_: int) -> int:
        return httpx.post(f"{server.base}/api/me/tasks", json={"title": "A"}, headers=headers, timeout=30).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(send, range(number))) == {201}


def counted_by_each(server: Server) -> list[float]:
    """What each worker has counted of created tasks, by its files."""
    return [
        sum(
            sample.value
            for family in MultiProcessCollector.merge([str(path)])
            for sample in family.samples
            if sample.labels.get("route") == TASKS and sample.labels.get("status") == "201"
        )
        for path in sorted(folder(server).glob("counter_*.db"))
    ]


@pytest.mark.process
def test_the_counts_of_two_workers_add_up(metered: Server, alice_headers: dict[str, str]) -> None:
    created = {"method": "POST", "route": TASKS, "status": "201"}
    of_route = {"method": "POST", "route": TASKS}
    create(metered, alice_headers, 1)  # the first change of the account makes its counter, which takes more messages
    before, total = scrape(metered), 0
    while total < 40 or 0 in counted_by_each(metered):
        create(metered, alice_headers, 20)
        total += 20
        assert total < 1000
    after = scrape(metered)

    def grown(name: str, **labels: str) -> float:
        key = name, frozenset(labels.items())
        return after[key] - before.get(key, 0)

    assert len(counted_by_each(metered)) == 2
    assert grown("tickbase_http_requests_total", **created) == total
    assert grown("tickbase_http_request_duration_seconds_count", **of_route) == total
    assert grown("tickbase_http_request_duration_seconds_bucket", **of_route, le="+Inf") == total
    assert grown("tickbase_database_queries_total", **of_route) == total
    in_database = grown("tickbase_database_seconds_total", **of_route)
    assert 0 < in_database < grown("tickbase_http_request_duration_seconds_sum", **of_route)


def test_changes_are_counted_whoever_makes_them(metered: Server, alice_headers: dict[str, str]) -> None:
    before = value(metered, "tickbase_feed_changes_total")
    create(metered, alice_headers, 5)
    # PostgreSQL adds up what its processes count within some seconds.
    assert wait_until(lambda: value(metered, "tickbase_feed_changes_total") >= before + 5)


def test_sign_ins_and_refusals_are_told_apart(metered: Server) -> None:
    login = f"{metered.base}/api/auth/login"
    before = scrape(metered)
    httpx.post(login, json={"email": "alice@example.com", "password": "correct horse battery"}, timeout=30)
    for password in ("wrong", "wrong again"):
        httpx.post(login, json={"email": "alice@example.com", "password": password}, timeout=30)
    after = scrape(metered)
    grown = {dict(labels)["outcome"]: after[name, labels] - before[name, labels] for name, labels in after
             if name == "tickbase_sign_ins_total" and ("surface", "api") in labels}  # fmt: skip
    assert grown == {"ok": 1, "failed": 2}


@pytest.mark.process
def test_refusals_for_a_rate_limit_are_counted() -> None:
    with two_workers(METRICS_TOKEN=TOKEN, RATE_LIMIT_ANON="10/min", WORKERS="1") as server:
        found = [httpx.get(f"{server.base}/api/me/tasks").status_code for _ in range(13)]
        assert (found.count(429), value(server, "tickbase_throttled_total")) == (3, 3)


def test_what_clients_make_up_gets_no_label_of_its_own(metered: Server) -> None:
    for number in range(3):
        httpx.request(f"MADEUP{number}", f"{metered.base}/nothing/{number}")
    assert value(metered, "tickbase_http_requests_total", method="other", route="unknown", status="404") >= 3
    labels = {dict(labels).get("route", "") for _, labels in scrape(metered)}
    assert not any("nothing" in route for route in labels)


def test_the_process_and_the_connections_are_told(metered: Server) -> None:
    found = scrape(metered)
    assert found["tickbase_workers", frozenset()] == 2
    memory = {dict(labels)["worker"]: size for (name, labels), size in found.items() if "resident" in name}
    assert memory.keys() == {"0", "1"}
    assert all(size > 20e6 for size in memory.values())
    assert found["tickbase_database_max_connections", frozenset()] == 2 * 6  # THREADS, one that hashes, one for streams
    idle = found["tickbase_database_connections", frozenset({("state", "idle")})]
    in_use = found["tickbase_database_connections", frozenset({("state", "in use")})]
    assert 1 <= idle + in_use <= 12
    assert found["tickbase_database_size_bytes", frozenset()] > 5e6


@pytest.mark.process
def test_streams_are_counted_with_how_long_after_a_write_they_are_woken() -> None:
    """Ten of an account, which the kernel spreads over both workers; the write of another account wakes none."""
    name = "tickbase_stream_wakeup_seconds"

    async def scene(server: Server) -> None:
        account, other = make_account(server), make_account(server)
        async with opened_many(server, [account.token] * OF_KEY) as streams:
            assert await asyncio.to_thread(wait_until, lambda: value(server, "tickbase_streams") == OF_KEY)
            await asyncio.to_thread(other.add)
            for _ in range(3):
                await asyncio.to_thread(account.add)
                await asyncio.gather(*(stream.head(5) for stream in streams))
            found = scrape(server)
            assert found[f"{name}_count", frozenset()] == 3 * OF_KEY
            assert 0 < found[f"{name}_sum", frozenset()] < 3 * OF_KEY * 0.5
        assert await asyncio.to_thread(wait_until, lambda: value(server, "tickbase_streams") == 0)

    with two_workers(METRICS_TOKEN=TOKEN) as server:
        asyncio.run(scene(server))


def test_a_dead_workers_counts_stay_and_its_files_go_to_the_next_one(
    metered: Server, alice_headers: dict[str, str]
) -> None:
    create(metered, alice_headers, 10)
    created = {"method": "POST", "route": TASKS, "status": "201"}
    before, files = value(metered, "tickbase_http_requests_total", **created), sorted(folder(metered).iterdir())
    for worker in metered.workers():
        worker.kill()
        worker.wait(10)
    assert wait_until(lambda: metered._is_ready() and value(metered, "tickbase_workers") == 2)
    assert value(metered, "tickbase_http_requests_total", **created) == before
    create(metered, alice_headers, 10)
    assert value(metered, "tickbase_http_requests_total", **created) == before + 10
    assert sorted(folder(metered).iterdir()) == files


def test_a_database_that_hangs_is_told_of(metered: Server) -> None:
    postgres = [process for process in metered.processes() if process.name() == "postgres"]
    for process in postgres:
        process.send_signal(signal.SIGSTOP)
    try:
        assert value(metered, "tickbase_database_up") == 0
    finally:
        for process in postgres:
            process.send_signal(signal.SIGCONT)
    # Each worker finds out by itself, within a second.
    assert wait_until(lambda: all(value(metered, "tickbase_database_up") == 1 for _ in range(10)))


@pytest.mark.process
def test_the_service_leaves_no_counts_behind() -> None:
    with two_workers(METRICS_TOKEN=TOKEN) as server:
        counts = folder(server)
        assert counts.stat().st_mode & 0o777 == 0o700
        assert server.stop() == 0
        assert not counts.exists()


@pytest.mark.process
def test_a_start_forgets_the_counts_of_a_killed_service() -> None:
    with two_workers(METRICS_TOKEN=TOKEN) as server:
        httpx.get(f"{server.base}/api/nothing")
        server.kill_all()
        left = folder(server)
        server.start()
        assert folder(server) != left
        unknown = {"method": "GET", "route": "unknown", "status": "404"}
        assert value(server, "tickbase_http_requests_total", **unknown) == 0


# --- Who gets it ------------------------------------------------------------------------------------


def test_without_configuration_there_is_no_such_address(db: None) -> None:
    problem, nothing = Api().get("/metrics"), Api().get("/nothing")
    assert problem_of(problem, 404) | {"request_id": ""} == problem_of(nothing, 404) | {"request_id": ""}


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer x"}, {"Authorization": f"Basic {TOKEN}"}, {"Authorization": TOKEN}]
)
def test_a_wrong_token_is_refused(metered: Server, headers: dict[str, str]) -> None:
    answer = httpx.get(f"{metered.base}/metrics", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("10.1.2.3", 200),
        ("192.0.2.1", 404),
        ("::ffff:10.0.0.1", 200),
        # The proxy's own address, which may come in, is not the caller's.
        ("unknown", 404),
        ("10.1.2.3, nobody", 404),
    ],
)
def test_a_strangers_address_finds_nothing_even_with_the_token(metered: Server, address: str, status: int) -> None:
    headers = {**BEARER, "X-Forwarded-For": address}
    assert httpx.get(f"{metered.base}/metrics", headers=headers).status_code == status


def test_prometheus_asks_each_machine_by_whatever_name_it_knows(metered: Server) -> None:
    """With the headers of Prometheus 2.42. Nothing else is served to such a host."""
    sent = {
        **BEARER,
        "Host": "app:8000",
        "User-Agent": "Prometheus/2.42.0",
        "Accept": "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
        "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        "X-Prometheus-Scrape-Timeout-Seconds": "10",
    }
    answer = httpx.get(f"{metered.base}/metrics", headers=sent)
    assert answer.status_code == 200
    assert "tickbase_http_requests_total" in {family.name + "_total" for family in parsed(answer)}
    assert httpx.get(f"{metered.base}/healthz", headers=sent).status_code == 400
    assert httpx.get(f"{metered.base}/metrics", headers=sent | {"X-Forwarded-For": "192.0.2.1"}).status_code == 404


def test_only_get_is_served(metered: Server) -> None:
    answer = httpx.post(f"{metered.base}/metrics", headers=BEARER)
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


def test_a_token_does_not_travel_over_plain_http(settings: Settings, db: None) -> None:
    """Without one, Prometheus asks from the private network as load balancers do."""
    settings.REQUIRE_HTTPS = True
    assert Api().get("/metrics").status_code == 404  # no more than the address is missing
    settings.METRICS_TOKEN = TOKEN
    assert problem_of(Api().get("/metrics"), 403)["code"] == "https_required"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"METRICS_TOKEN": "short"}, "METRICS_TOKEN is too short: it needs at least 32 bytes."),
        ({"METRICS_TOKEN": "changeme" * 4}, "METRICS_TOKEN repeats too few characters, and can be guessed;"),
        ({"METRICS_ALLOWED": "10.0.0.0/8,home"}, "METRICS_ALLOWED names no address or network: 'home' does not"),
        ({"METRICS_ALLOWED": "10.0.0.1/8"}, "METRICS_ALLOWED names no address or network: 10.0.0.1/8 has host bits"),
        ({"ADMIN_PATH": "metrics"}, "ADMIN_PATH='metrics/' is taken;"),
    ],
)
def test_a_guard_that_does_not_guard_is_refused(tree: Tree, wrong: dict[str, str], message: str) -> None:
    assert tree.refusal(**{**PRODUCTION, **wrong}).startswith(message)


# --- The dashboard and the alerts -------------------------------------------------------------------


def expressions() -> list[str]:
    dashboard = json.loads((DOCS / "grafana-dashboard.json").read_text())
    rules = yaml.safe_load((DOCS / "alerts.yaml").read_text())
    shown = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return shown + [rule["expr"] for group in rules["groups"] for rule in group["rules"]]


def names_of(text: str) -> set[str]:
    """Metrics, without those that the rules make."""
    return set(re.findall(r"\btickbase_\w+", text))


def recorded(rules: dict[str, Any]) -> set[str]:
    return {rule["record"] for group in rules["groups"] for rule in group["rules"] if "record" in rule}


def test_every_metric_of_the_dashboard_and_the_alerts_is_there(metered: Server, alice_headers: dict[str, str]) -> None:
    create(metered, alice_headers, 1)
    exposed = {name for name, _ in scrape(metered)}
    named = {name for path in ("grafana-dashboard.json", "alerts.yaml") for name in names_of((DOCS / path).read_text())}
    assert named - exposed == set()
    series = {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name in exposed}
    shown = {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name in named}
    assert series == shown, "what is exposed should be seen somewhere"


@pytest.mark.parametrize("expression", expressions())
def test_every_expression_is_one_that_prometheus_understands(expression: str) -> None:
    promql_parser.parse(expression.replace("$instance", ".*"))


def test_the_alerts_use_only_rules_that_are_there() -> None:
    rules = yaml.safe_load((DOCS / "alerts.yaml").read_text())
    used = set(re.findall(r"tickbase:[\w:]+", " ".join(expressions())))
    assert used == recorded(rules)


def test_every_panel_says_what_it_shows() -> None:
    panels = json.loads((DOCS / "grafana-dashboard.json").read_text())["panels"]
    assert all(panel["title"] and panel["description"] and panel["targets"] for panel in panels)
    places = [tuple(panel["gridPos"].values()) for panel in panels]
    assert len(set(places)) == len(places)
