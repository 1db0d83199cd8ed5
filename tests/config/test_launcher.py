"""What the launcher and its workers do beside requests."""

import asyncio
import subprocess
import sys
import textwrap

import pytest

from config.server import launcher
from tests.server import ROOT


def test_memory_is_given_back_once_the_process_has_grown(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = iter([100, 100, 130, 90, 90, 100, 100])  # before each trim, after it, and for the next time
    trimmed: list[int] = []
    loop = asyncio.new_event_loop()

    def resident() -> int:
        size = next(sizes, None)
        if size is None:
            loop.stop()
        return size or 0

    def trim(pad: int) -> int:
        trimmed.append(pad)
        return 1

    monkeypatch.setattr(launcher, "resident", resident)
    monkeypatch.setattr(launcher, "TRIM_SECONDS", 0.0)
    monkeypatch.setattr(launcher, "TRIM_BYTES", 20)
    launcher._give_memory_back(loop, trim, 100)
    loop.run_forever()
    loop.close()
    assert trimmed == [0]


def test_a_process_has_memory() -> None:
    before = launcher.resident()
    assert before > 10_000_000
    held = b"x" * 50_000_000
    assert launcher.resident() - before > 40_000_000
    del held


@pytest.mark.process
def test_a_program_starts_while_another_thread_forks() -> None:
    """As when a worker of requests is started again: without the lock, it would hold up the start for as long as it
    lives, and nothing would start the worker of deferred work again."""
    program = """
        import os, threading, time
        from config.server import launcher

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
