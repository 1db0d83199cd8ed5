"""What was measured, as a table with a verdict for each target."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.benchmarks.limits.runs import Limits
from tests.benchmarks.measure import WORKLOADS, Measurement
from tests.benchmarks.rounds import Results

OURS, BASES = "Tickbase", ("A", "A2", "PocketBase")
CONNECTIONS = 16
TAIL_CONNECTIONS = 64
# How many times a base's requests a second ours are, at least.
FLOORS = {
    ("list", "A2"): 1.25,
    ("list", "PocketBase"): 1.5,
    ("list_304", "A2"): 2.0,
    ("get", "A2"): 1.5,
    ("get", "PocketBase"): 0.85,
    ("create", "A2"): 1.0,
    ("update", "A2"): 1.0,
    ("mixed", "A2"): 1.3,
    ("mixed", "PocketBase"): 1.2,
}
# How many times A2's ours are, at most: PostgreSQL's CPU a request, and at TAIL_CONNECTIONS the 99th percentile.
DATABASE_CEILINGS = {"create": 2.0, "update": 2.7}
TAIL_CEILING = 1.0
MEMBERS = (
    "requests_per_second", "cpu_microseconds_per_request", "database_cpu_microseconds_per_request",
    "p50_milliseconds", "p99_milliseconds", "bytes_per_answer", "bad_answers",
)  # fmt: skip
COLUMNS = (
    f"{'workload':9}{'c':>3} {'server':10}{'req/s':>8}{'CPU µs':>8}{'DB µs':>7}{'p50 ms':>8}{'p99 ms':>8}{'bad':>5}"
)


def table(results: Results) -> str:
    lines = [COLUMNS + "".join(f"{f'times {base}':>18}" for base in BASES) + "  (req/s, CPU)"]
    for (server, workload, connections), cell in results.cells.items():
        ratios = [_ratios(results, base, server, workload, connections) for base in BASES]
        lines.append(
            f"{workload:9}{connections:3} {server:10}{cell.rate:8.0f}{cell.cpu:8.0f}{cell.database_cpu:7.0f}"
            f"{cell.p50:8.2f}{cell.p99:8.2f}{cell.bad:5}" + "".join(f"{ratio:>18}" for ratio in ratios)
        )
    lines += [f"memory of {name}: {mebibytes:.0f} MiB" for name, mebibytes in results.memory.items()]
    return "\n".join([*lines, "", *map(str, verdicts(results))]) + "\n"


def _ratios(results: Results, base: str, server: str, workload: str, connections: int) -> str:
    key = (base, workload, connections)
    if key not in results.cells or base == server:
        return ""
    faster, cheaper = times(results.cells[server, workload, connections], results.cells[key])
    return f"{faster:.2f} {cheaper:6.2f}"


def times(ours: Measurement, theirs: Measurement) -> tuple[float, float]:
    """How many times better we are: in requests a second, and in CPU a request."""
    return _ratio(ours.rate, theirs.rate), _ratio(theirs.cpu, ours.cpu)


def _ratio(dividend: float, divisor: float) -> float:
    return dividend / divisor if divisor else float("inf")


class Verdict(NamedTuple):
    """How many times a base's figure ours is, and whether that is enough, or little enough."""

    workload: str
    base: str
    measure: str
    target: float
    measured: float
    is_met: bool

    def __str__(self) -> str:
        verdict = "met" if self.is_met else "MISSED"
        ratio = f"{self.measured:6.2f} times {self.base:10} target {self.target:4}"
        return f"{self.workload:9}{self.measure:28}{ratio}  {verdict}"


def verdicts(results: Results) -> Iterator[Verdict]:
    for (workload, base), floor in FLOORS.items():
        if pair := _pair(results, base, workload, CONNECTIONS):
            ratio = _ratio(pair[0].rate, pair[1].rate)
            yield Verdict(workload, base, "requests per second", floor, ratio, ratio >= floor)
    for workload, ceiling in DATABASE_CEILINGS.items():
        if pair := _pair(results, "A2", workload, CONNECTIONS):
            ratio = _ratio(pair[0].database_cpu, pair[1].database_cpu)
            yield Verdict(workload, "A2", "PostgreSQL's CPU per request", ceiling, ratio, ratio <= ceiling)
    for workload in WORKLOADS:
        if pair := _pair(results, "A2", workload, TAIL_CONNECTIONS):
            ratio = _ratio(pair[0].p99, pair[1].p99)
            measure = f"p99 at {TAIL_CONNECTIONS} connections"
            yield Verdict(workload, "A2", measure, TAIL_CEILING, ratio, ratio <= TAIL_CEILING)


def _pair(results: Results, base: str, workload: str, connections: int) -> tuple[Measurement, Measurement] | None:
    ours, theirs = (results.cells.get((name, workload, connections)) for name in (OURS, base))
    return (ours, theirs) if ours and theirs else None


def limits_table(limits: Limits) -> str:
    lines = [f"{'limit':32}{'a second':>10}{'CPU µs':>8}{'DB µs':>7}"]
    for title, rows in (("pgbench", limits.statements), ("pgbench, as Tickbase", limits.isolated)):
        for name, row in rows.items():
            lines.append(f"{f'{title}: {name}':32}{row.rate:10.0f}{'':8}{row.database_cpu:7.0f}")
    for name, cell in limits.bare.items():
        lines.append(f"{f'bare answer: {name}':32}{cell.rate:10.0f}{cell.cpu:8.0f}")
    return "\n".join(lines) + "\n"


def document(results: Results, limits: Limits | None, conditions: dict[str, Any]) -> dict[str, Any]:
    """All of it, for docs/benchmarks.json."""
    return {
        "conditions": conditions,
        "measurements": [
            {"server": server, "workload": workload, "connections": connections, **_named(cell)}
            for (server, workload, connections), cell in results.cells.items()
        ],
        "memory_mib": {name: round(mebibytes) for name, mebibytes in results.memory.items()},
        "targets": [verdict._asdict() for verdict in verdicts(results)],
        "limits": None if limits is None else _limits(limits),
    }


def _limits(limits: Limits) -> dict[str, Any]:
    return {
        "pgbench": {name: _rounded(row._asdict()) for name, row in limits.statements.items()},
        "pgbench_as_tickbase": {name: _rounded(row._asdict()) for name, row in limits.isolated.items()},
        "bare_answer": {name: _named(cell) for name, cell in limits.bare.items()},
    }


def _named(cell: Measurement) -> dict[str, float]:
    """With the units in the names."""
    return _rounded(dict(zip(MEMBERS, cell, strict=True)))


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: round(figure, 2) for name, figure in figures.items()}
