"""Ratios, verdicts, JSON and chart, from a few made-up figures."""

import json
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.benchmarks import chart, report, rounds
from tests.benchmarks.measure import WORKLOADS, Measurement
from tests.benchmarks.pocketbase import PocketBase
from tests.benchmarks.rounds import Results

OURS = Measurement(rate=4000, cpu=250, database_cpu=100, p50=4, p99=10, size=500, bad=0)
A = OURS._replace(rate=1000, cpu=1000, p99=50)
A2 = OURS._replace(rate=2000, cpu=550, database_cpu=50)
POCKETBASE = OURS._replace(rate=3200, database_cpu=0)
RESULTS = Results(
    {
        ("Tickbase", "list", 16): OURS,
        ("A", "list", 16): A,
        ("A2", "list", 16): A2,
        ("PocketBase", "list", 16): POCKETBASE,
        ("Tickbase", "create", 16): OURS,
        ("A2", "create", 16): A2,
        ("Tickbase", "list", 64): OURS,
        ("A2", "list", 64): A2,
    },
    {"Tickbase": 100.4},
)
CONDITIONS: dict[str, Any] = {
    "workers": 1, "rounds": 5, "pinned": {"server": 0, "load": 1}, "pool_of_a": 100, "cpu": "AMD & <Co>",
    "postgresql": "18.4", "date": "2026-11-24T15:00:00+00:00",
}  # fmt: skip
SVG = "{http://www.w3.org/2000/svg}"


def test_times_are_of_the_rate_and_of_the_cpu() -> None:
    assert report.times(OURS, A2) == (2.0, 2.2)


def test_verdicts_compare_with_floors_and_ceilings() -> None:
    found = [(each.workload, each.base, each.measured, each.target, each.is_met) for each in report.verdicts(RESULTS)]
    assert found == [
        ("list", "A2", 2.0, 1.25, True),
        ("list", "PocketBase", 1.25, 1.5, False),
        ("create", "A2", 2.0, 1.0, True),
        ("create", "A2", 2.0, 2.0, True),  # PostgreSQL's CPU
        ("list", "A2", 1.0, 1.0, True),  # the 99th percentile
    ]


@pytest.mark.parametrize(
    ("cell", "worse", "measure"),
    [
        (("Tickbase", "list", 16), OURS._replace(rate=2499), "requests per second"),
        (("Tickbase", "create", 16), OURS._replace(database_cpu=101), "PostgreSQL's CPU per request"),
        (("A2", "list", 64), A2._replace(p99=9.9), "p99 at 64 connections"),
    ],
)
def test_a_target_is_missed_by_a_little(cell: rounds.Key, worse: Measurement, measure: str) -> None:
    found = list(report.verdicts(RESULTS._replace(cells={**RESULTS.cells, cell: worse})))
    assert [each.is_met for each in found if (each.workload, each.measure, each.base) == (cell[1], measure, "A2")] == [
        False
    ]


def test_a_verdict_is_a_line_with_its_ratio() -> None:
    lines = report.table(RESULTS).splitlines()
    assert "list     requests per second           2.00 times A2         target 1.25  met" in lines
    assert "list     requests per second           1.25 times PocketBase target  1.5  MISSED" in lines


def test_floors_are_of_what_is_measured() -> None:
    """A floor whose workload a peer lacks would never be missed."""
    assert {workload for workload, _ in report.FLOORS} | report.DATABASE_CEILINGS.keys() == set(WORKLOADS)
    lacking = {("PocketBase", workload) for workload in PocketBase.lacks}
    assert {(base, workload) for workload, base in report.FLOORS}.isdisjoint(lacking)


def test_a_part_has_no_verdicts_and_still_a_table() -> None:
    part = Results({("Tickbase", "list", 16): OURS}, {})
    assert not list(report.verdicts(part))
    assert "4000" in report.table(part)


def test_medians_are_taken_by_figure_and_refusals_are_added_up() -> None:
    samples = [OURS, OURS._replace(rate=1, cpu=900, bad=2), OURS._replace(rate=9000, cpu=1, bad=1)]
    assert rounds.median(samples) == OURS._replace(bad=3)


def test_the_document_names_its_units() -> None:
    document = json.loads(json.dumps(report.document(RESULTS, None, CONDITIONS)))
    assert document["measurements"][1] == {
        "server": "A", "workload": "list", "connections": 16, "requests_per_second": 1000,
        "cpu_microseconds_per_request": 1000, "database_cpu_microseconds_per_request": 100, "p50_milliseconds": 4,
        "p99_milliseconds": 50, "bytes_per_answer": 500, "bad_answers": 0,
    }  # fmt: skip


def test_the_chart_draws_rates_to_scale_and_escapes_what_it_shows() -> None:
    document = report.document(RESULTS, None, CONDITIONS)
    drawn = chart.svg(chart.rates_of(document), chart.caption(CONDITIONS))
    root = ElementTree.fromstring(drawn)
    widths = [float(bar.attrib["width"]) for bar in root.iter(f"{SVG}rect")][4:]  # after the legend
    assert [round(width / widths[0], 3) for width in widths] == [1, 0.8, 0.5, 0.25, 1, 0.5]
    texts = [text.text or "" for text in root.iter(f"{SVG}text")]
    assert {"4,000", "3,200", "2,000", "1,000"} <= set(texts)
    assert any("AMD & <Co>" in text for text in texts)
