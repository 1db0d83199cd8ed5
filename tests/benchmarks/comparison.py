"""Prepares the data, starts the servers, measures them and reports. Needs loaded settings."""

import argparse
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from django.core.management import call_command

from tests.benchmarks import data, report, rounds
from tests.benchmarks.cores import Cores, pinned
from tests.benchmarks.servers import Contestant, Tickbase, peers

SIZE = data.Size()


def compare(options: argparse.Namespace, data_dir: Path, cores: Cores) -> None:
    began = time.monotonic()
    call_command("migrate", interactive=False, verbosity=0)
    peers_url = data.prepare(SIZE)
    sys.stderr.write(f"prepared both databases in {time.monotonic() - began:.0f} s\n")
    postgres = int((data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    candidates: list[Contestant] = [
        Tickbase(data_dir, WORKERS=str(options.workers)),
        *peers(data_dir, peers_url, options.workers),
    ]
    chosen = [each for each in candidates if not options.only or each.name.lower().replace(" ", "-") in options.only]
    with ExitStack() as running:
        with pinned(cores.server):
            for server in chosen:
                running.enter_context(server)
        results = rounds.run(chosen, rounds.QUICK if options.quick else rounds.FULL, SIZE, data_dir, postgres)
    sys.stdout.write(report.table(results))
