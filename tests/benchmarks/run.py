"""`python -m tests.benchmarks.run --help`: Tickbase, its peers and the limits.

What is measured and how is in README.md beside this file.
"""

import argparse
import atexit
import logging
import os
import shutil
import sys
import tempfile
from pathlib import Path

import django

from tests.benchmarks.cores import UNPINNED, available, pinned
from tests.server import ROOT

NAMES = ("tickbase", "a", "a2", "naive-drf", "pocketbase")


def main() -> None:
    options = _options()
    if shutil.which("wrk") is None:
        sys.exit("The benchmark needs wrk: apt install wrk (Debian, Ubuntu), brew install wrk (macOS).")
    cores = available() if options.workers == 1 else UNPINNED
    if cores.server is None:
        sys.stderr.write("Nothing is pinned: that needs Linux, two cores and one worker.\n")
    folder = data_dir()
    with pinned(cores.load):
        # Loading the settings starts PostgreSQL, which shall stay on this core.
        os.environ |= {"DATA_DIR": str(folder), "DJANGO_SETTINGS_MODULE": "config.settings"}
        os.environ["DATABASE_URL"] = ""  # whatever .env says
        django.setup()
        logging.getLogger("httpx").setLevel(logging.WARNING)  # or it tells of each request
        from tests.benchmarks.comparison import compare

        compare(options, folder, cores)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.run")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--only", action="append", choices=NAMES, help="measure this server; may be repeated")
    parser.add_argument("--workers", type=int, default=1, help="processes of each server; several are not pinned")
    parser.add_argument("--pgbouncer", action="store_true", help="also Tickbase behind PgBouncer, as 'pooled'")
    parser.add_argument("--output", type=Path, help="directory for benchmarks.json and .svg; of all of it, docs")
    options = parser.parse_args()
    is_all = not (options.quick or options.only or options.pgbouncer) and options.workers == 1
    if is_all and options.output is None:
        options.output = ROOT / "docs"
    return options


def data_dir() -> Path:
    """A new one, on the disk where Tickbase keeps its data, too: /tmp may be in memory, where syncing is free."""
    parent = ROOT / ".bench"
    parent.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=parent, prefix=""))
    # Before the settings register how PostgreSQL is stopped: what is registered first runs last.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


if __name__ == "__main__":
    main()
