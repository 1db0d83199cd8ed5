"""What the launcher and its workers do beside requests."""

import subprocess
import sys
import textwrap

import pytest

from tests.server import ROOT


@pytest.mark.process
def test_a_program_starts_while_another_thread_forks() -> None:
    """As when a worker of requests is started again: without the lock, it would hold up the start for as long as it
    lives, and nothing would start the worker of deferred work again."""
    program = """
        import os, threading, time

        def fork_on():
            while thread.is_alive():
                if os.fork() == 0:
                    time.sleep(60)
                    os._exit(0)
                time.sleep(0.001)

        def start_many():
            for number in range(100):
                launcher.start(["/bin/true"]).wait()

        thread = threading.Thread(target=start_many)
        began = time.monotonic()
        thread.start()
        fork_on()
        os.killpg(0, 9) if time.monotonic() - began > 50 else print("done", flush=True)
        os.killpg(0, 9)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    environment = {"DJANGO_SETTINGS_MODULE": "config.settings", "DATABASE_URL": "postgresql://none@none/none"}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**environment, "PATH": "/bin"},
        capture_output=True,
        process_group=0,
        text=True,
        timeout=100,
    )
    assert done.stdout == "done\n", done.stderr
