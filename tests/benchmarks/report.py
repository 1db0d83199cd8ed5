"""What was measured, as a table with a verdict for each target."""

from collections.abc import Iterator

from tests.benchmarks.measure import Measurement
from tests.benchmarks.rounds import Results

OURS, BASES = "Tickbase", ("A", "A2")
# How many times A and A2, in CPU a request and in requests a second, at TARGET_CONNECTIONS.
TARGETS = {
    "list": (4.0, 2.0),
    "list_304": (8.0, 4.0),
    "get": (3.5, 1.7),
    "create": (4.0, 1.4),
    "update": (5.0, 1.5),
    "mixed": (4.5, 1.8),
}
TARGET_CONNECTIONS = 16
TAIL_CONNECTIONS = 64
TAIL = 0.25  # of A's p99
COLUMNS = (
    f"{'workload':9}{'c':>3} {'server':10}{'req/s':>8}{'CPU µs':>8}{'DB µs':>7}{'p50 ms':>8}{'p99 ms':>8}{'bad':>5}"
)


def table(results: Results) -> str:
    lines = [f"{COLUMNS}  {'times A: req/s, CPU':>20} {'times A2: req/s, CPU':>21}"]
    for (server, workload, connections), cell in results.cells.items():
        ratios = [_ratios(results, base, server, workload, connections) for base in BASES]
        lines.append(
            f"{workload:9}{connections:3} {server:10}{cell.rate:8.0f}{cell.cpu:8.0f}{cell.database_cpu:7.0f}"
            f"{cell.p50:8.2f}{cell.p99:8.2f}{cell.bad:5}  {ratios[0]:>20} {ratios[1]:>21}"
        )
    lines += [f"memory of {name}: {mebibytes:.0f} MiB" for name, mebibytes in results.memory.items()]
    return "\n".join([*lines, "", *verdicts(results)]) + "\n"


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


def verdicts(results: Results) -> Iterator[str]:
    for workload, targets in TARGETS.items():
        for base, target in zip(BASES, targets, strict=True):
            keys = [(name, workload, TARGET_CONNECTIONS) for name in (OURS, base)]
            if all(key in results.cells for key in keys):
                faster, cheaper = times(*(results.cells[key] for key in keys))
                verdict = "met" if min(faster, cheaper) >= target else "NOT MET"
                yield f"{workload:9} {target:4} times {base:3} {faster:6.2f} req/s {cheaper:6.2f} CPU  {verdict}"
    for workload in TARGETS:
        keys = [(name, workload, TAIL_CONNECTIONS) for name in (OURS, BASES[0])]
        if all(key in results.cells for key in keys):
            share = _ratio(*(results.cells[key].p99 for key in keys))
            verdict = "met" if share <= TAIL else "NOT MET"
            yield f"{workload:9} p99 at {TAIL_CONNECTIONS} connections: {share:.2f} of A's, at most {TAIL}  {verdict}"
