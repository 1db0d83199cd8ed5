"""The chart of the README: requests a second of each server, as an SVG that is readable on light and on dark."""

from collections.abc import Iterator
from html import escape
from typing import Any, NamedTuple

CONNECTIONS = 16
LABELS = {
    "list": "list 50 of 1,000",
    "list_304": "list, unchanged",
    "get": "get one",
    "create": "create",
    "update": "change",
    "mixed": "80% reads, 20% writes",
}


class Server(NamedTuple):
    name: str
    label: str
    colour: str


SERVERS = [
    Server("Tickbase", "Tickbase", "#2f81f7"),
    Server("PocketBase", "PocketBase", "#3fb950"),
    Server("A2", "FastAPI, tuned", "#d29922"),
    Server("A", "FastAPI + SQLModel", "#a371f7"),
    Server("naive DRF", "plain Django REST framework", "#768390"),
]
TEXT = "#717b85"  # contrast 4.3 with white and with GitHub's black alike
WIDTH, LEFT, RIGHT = 860, 170, 70
BAR, GAP, TOP = 13, 14, 64


def svg(rates: dict[tuple[str, str], float], conditions: list[str]) -> str:
    """`rates` are requests a second by server and workload; `conditions` are lines below the chart."""
    workloads = [workload for workload in LABELS if any(name == workload for _, name in rates)]
    servers = [server for server in SERVERS if any(name == server.name for name, _ in rates)]
    group = BAR * len(servers) + GAP
    bottom = TOP + group * len(workloads)
    height = bottom + 18 * len(conditions) + 14
    scale = (WIDTH - LEFT - RIGHT) / max(rates.values())
    parts = [
        _text(0, 18, "Requests a second, more is better", 'font-size="16" font-weight="600"'),
        *_legend(servers),
        *(
            part
            for row, each in enumerate(workloads)
            for part in _group(TOP + group * row, each, servers, rates, scale)
        ),
        *(_text(0, bottom + 18 * line + 16, each, 'font-size="12"') for line, each in enumerate(conditions)),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        f' role="img" font-family="-apple-system, Segoe UI, Helvetica, Arial, sans-serif" font-size="13">\n'
        f"<title>Requests a second of {escape(', '.join(server.label for server in servers))}</title>\n"
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _legend(servers: list[Server]) -> Iterator[str]:
    x = 0
    for server in servers:
        yield _bar(x, 34, 12, server.colour)
        yield _text(x + 18, 45, server.label)
        x += 44 + 7 * len(server.label)


def _group(
    y: int, workload: str, servers: list[Server], rates: dict[tuple[str, str], float], scale: float
) -> Iterator[str]:
    yield _text(LEFT - 12, y + BAR * len(servers) // 2 + 4, LABELS[workload], 'text-anchor="end"')
    for row, server in enumerate(servers):
        rate = rates.get((server.name, workload))
        if rate is not None:
            top, width = y + row * BAR, rate * scale
            yield _bar(LEFT, top, width, server.colour)
            yield _text(LEFT + width + 6, top + BAR - 3, f"{rate:,.0f}", 'font-size="11"')


def _bar(x: float, y: float, width: float, colour: str) -> str:
    return f'<rect x="{x:.0f}" y="{y:.0f}" width="{max(width, 1):.1f}" height="{BAR - 2}" rx="2" fill="{colour}"/>'


def _text(x: float, y: float, text: str, attributes: str = "") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" fill="{TEXT}" {attributes}>{escape(text)}</text>'


def rates_of(document: dict[str, Any]) -> dict[tuple[str, str], float]:
    return {
        (cell["server"], cell["workload"]): cell["requests_per_second"]
        for cell in document["measurements"]
        if cell["connections"] == CONNECTIONS
    }


def caption(conditions: dict[str, Any]) -> list[str]:
    is_pinned = conditions["pinned"]["server"] is not None
    return [
        f"{CONNECTIONS} connections; processes of each server: {conditions['workers']}; "
        + ("the server on one core, PostgreSQL and wrk on another; " if is_pinned else "nothing pinned; ")
        + f"medians of {conditions['rounds']} rounds.",
        "Everything in Tickbase is on: accounts and row level security in the database, rate limits, logs.",
        "FastAPI tuned: asyncpg, SQLAlchemy Core and orjson; it knows no ETags, and sends an unchanged list again.",
        "Writes wait for the disk; but PocketBase's, into its own SQLite, do not: a power cut may undo the last ones.",
        f"The pool of FastAPI + SQLModel is raised to {conditions['pool_of_a']} connections;"
        " its tutorial's locks up at 16 requests at once.",
        f"{conditions['cpu']}; PostgreSQL {conditions['postgresql']}; {conditions['date'][:10]}.",
    ]
