"""How long do staff wait for their lists? `python -m tests.benchmarks.growth_admin [--rows 1000000] [--data DIR]`

In process, with all that a request is: sign-in, queries, the audit's event and the page. The first look is left out.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.benchmarks.growth import print_table, set_up

REPEATS = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="at least 10,000")
    parser.add_argument("--data", type=Path, help="keep the database there for another run")
    parser.add_argument("--queries", action="store_true", help="tell each query that takes over 20 ms")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="tickbase-") as folder:
        set_up(options.data or Path(folder))
        measure(options.rows, tell_queries=options.queries)


def measure(rows: int, *, tell_queries: bool) -> None:
    from config.database.isolation import all_users
    from tasks.models import Task
    from tests.benchmarks import growth_data
    from tests.factories import make_user
    from tests.pages import signed_in

    with all_users():
        growth_data.prepare(rows)
        staff = signed_in(make_user(is_staff=True, is_superuser=True))
        largest = growth_data.measured_users(rows)[max(growth_data.sizes(rows))]
        some = Task.objects.order_by("pk")[rows // 2]
    tasks, users = "/admin/tasks/task/", "/admin/users/user/"
    pages = {
        "tasks": tasks,
        "page 100": f"{tasks}?p=100",
        "page 200": f"{tasks}?p=200",
        "sorted by title, which a large list is not": f"{tasks}?o=1",
        "pending": f"{tasks}?status__exact=pending",
        "cancelled (1 in 10,000)": f"{tasks}?status__exact=cancelled",
        "high": f"{tasks}?priority__exact=high",
        "overdue": f"{tasks}?overdue=yes",
        "in the inbox": f"{tasks}?project=none",
        "in a project (none)": f"{tasks}?project=any",
        "tag (1 in 20,000)": f"{tasks}?tag={growth_data.RARE_TAG}",
        "trash": f"{tasks}?deleted=yes",
        "this year": f"{tasks}?created_at__year=2026",
        "search by id": f"{tasks}?q={some.pk}",
        "search by uid": f"{tasks}?q={some.uid}",
        "search by e-mail": f"{tasks}?q={largest.email}",
        "search for a word": f"{tasks}?q=passport",
        "search for a frequent word": f"{tasks}?q=meeting",
        f"of one with {max(growth_data.sizes(rows)):,}": f"{tasks}?user__id__exact={largest.pk}",
        "the same, sorted by title": f"{tasks}?user__id__exact={largest.pk}&o=1",
        "users": users,
        "an account": f"{users}{largest.pk}/change/",
        "audit": "/admin/users/auditevent/",
        "audit of an account": f"/admin/users/auditevent/?account={largest.pk}",
    }
    table = []
    for name, address in pages.items():
        times, busy, queries = zip(
            *(_look(staff, address, tell_queries=tell_queries) for _ in range(REPEATS)), strict=True
        )
        figures = (statistics.median(times), min(times), statistics.median(busy), statistics.median(queries))
        table.append([name, *(f"{each:.0f}" for each in figures)])
    print_table([f"{rows:,} rows", "median ms", "quickest", "of it Python's", "queries'"], table)


def _look(staff: Any, address: str, *, tell_queries: bool) -> tuple[float, float, float]:
    """Milliseconds, those of the process, and those of its queries."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    start, busy = time.perf_counter(), time.process_time()
    with CaptureQueriesContext(connection) as captured:
        answer = staff.get(address, follow=True)
    took, busy = (time.perf_counter() - start) * 1000, (time.process_time() - busy) * 1000
    assert answer.status_code == 200, (address, answer.status_code)
    for query in captured if tell_queries else ():
        if float(query["time"]) > 0.02:
            sys.stderr.write(f"{address} {query['time']} {query['sql'][:1500]}\n")
    return took, busy, sum(float(query["time"]) for query in captured) * 1000


if __name__ == "__main__":
    main()
