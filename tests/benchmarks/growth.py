"""Does a list get slower as it grows? `python -m tests.benchmarks.growth [--rows 10000000] [--data DIR]`

Real requests are sent; the statements about tasks that they make are then measured by PostgreSQL itself, as the
service's role and behind row level security. 10 million rows take 16 GB and some twenty minutes.
"""

import argparse
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import django


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000, help="at least 10,000")
    parser.add_argument("--repeats", type=int, default=21, help="of each read, and a tenth of those of each write")
    parser.add_argument("--data", type=Path, help="keep the database there for another run")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="tickbase-") as folder:
        set_up(options.data or Path(folder))
        measure(options.rows, options.repeats)


def set_up(data: Path) -> None:
    os.environ.pop("DATABASE_URL", None)
    limits = {f"RATE_LIMIT_{scope}": "off" for scope in ("ANON", "USER", "LOGIN", "REGISTER", "MAIL")}
    own = {"DJANGO_SETTINGS_MODULE": "config.settings", "DATA_DIR": str(data), "ALLOWED_HOSTS": "testserver"}
    os.environ |= {**limits, **own, "LOG_LEVEL": "WARNING"}
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


def measure(rows: int, repeats: int) -> None:
    from config.database.isolation import all_users
    from tests.benchmarks import growth_costs, growth_data, growth_times

    with all_users():
        growth_data.prepare(rows)
        users = growth_data.measured_users(rows)
        sizes = [f"{size:,}" for size in users]
        print_table(["median ms", *sizes, "last / first"], growth_times.medians(users, repeats))
        print_table(["search, p95 ms", *sizes], growth_times.searches(users))
        print_table(["index", "MB"], growth_costs.sizes())
        costs = growth_costs.writes(10 * repeats)
        print_table(["without", "insert, WAL bytes", "ms", "complete, WAL bytes", "ms"], costs)


def print_table(head: list[str], rows: list[list[str]]) -> None:
    """As Markdown."""
    for cells in [head, ["---"] * len(head), *rows]:
        sys.stdout.write(f"| {' | '.join(cells)} |\n")
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
