"""What the launcher and its workers do beside requests."""

import errno
import subprocess
import sys
import textwrap
import threading

import pytest

from config.server import launcher
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


@pytest.mark.process
def test_a_worker_for_which_no_memory_is_left_is_started_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As the fork fails just after the kernel has killed one for its memory."""
    failures, is_started = [OSError(errno.ENOMEM, "Cannot allocate memory")], threading.Event()

    def start(command: list[str]) -> subprocess.Popen[bytes]:
        if failures:
            raise failures.pop()
        is_started.set()
        return subprocess.Popen(["sleep", "60"])

    monkeypatch.setattr(launcher, "start", start)
    monkeypatch.setattr(launcher, "MOST_PAUSE", 0.01)
    with launcher._deferred_work():
        assert is_started.wait(10)
    assert "the worker does not start ([Errno 12] Cannot allocate memory); starting it again" in caplog.text
