"""The worker as a process: beside the service, killed, and told to stop."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
from aiosmtpd.controller import Controller

from tests.mailbox import Mailbox
from tests.server import Server, free_port
from tests.workers import is_gone, kill_worker, wait_for, worker_of

pytestmark = pytest.mark.process

MAILS = 60  # of an account each


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not pytest's own, which are private: PostgreSQL may run as another user."""
    with TemporaryDirectory(prefix="tickbase-") as name:
        yield Path(name)


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, int]]:
    box, port = Mailbox(), free_port()
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    yield box, port
    server.stop()


def working(folder: Path, mailbox: tuple[Mailbox, int]) -> Server:
    return Server(folder, BACKGROUND="on", EMAIL_HOST="127.0.0.1", EMAIL_PORT=str(mailbox[1]), EMAIL_SECURITY="none")


def is_told(server: Server) -> str:
    return str(httpx.get(f"{server.base}/readyz").json()["worker"])


def register(server: Server, email: str) -> None:
    answer = httpx.post(f"{server.base}/api/auth/register", json={"email": email, "password": "correct horse battery"})
    assert answer.status_code == 201


def test_a_mail_leaves_within_seconds_and_the_worker_with_the_service(
    folder: Path, mailbox: tuple[Mailbox, int]
) -> None:
    with working(folder, mailbox) as server:
        register(server, "ada@example.com")
        wait_for(lambda: mailbox[0].recipients() == ["ada@example.com"], 10)
        wait_for(lambda: is_told(server) == "running", 10)
        worker = worker_of(server)
        assert server.stop() == 0
        assert not worker.is_running()
    assert "Traceback" not in server.log.read_text()


def test_a_worker_whose_server_is_killed_ends(folder: Path, mailbox: tuple[Mailbox, int]) -> None:
    with working(folder, mailbox) as server:
        wait_for(lambda: is_told(server) == "running")
        worker = worker_of(server)
        server.process.kill()
        wait_for(lambda: is_gone(worker))
        server.kill_all()


def test_no_mail_is_lost_when_the_worker_is_killed_again_and_again(folder: Path, mailbox: tuple[Mailbox, int]) -> None:
    """Each account's mail arrives; one that was on its way at a kill may come twice, with the same Message-ID."""
    box = mailbox[0]
    with working(folder, mailbox) as server:
        names = [f"user{number}@example.com" for number in range(MAILS)]
        kills = 0
        for number, name in enumerate(names):
            register(server, name)
            if number % 20 == 10:
                kill_worker(server, "mail_mail")
                kills += 1
        assert kills == 3
        wait_for(lambda: set(box.recipients()) == set(names), 120)
        seen = [str(message["Message-ID"]) for _, message in box.received]
        assert len(seen) - len(set(seen)) <= kills * 2  # one of each thread for mails
        assert len(set(seen)) == MAILS


def test_work_once_does_what_is_due_and_ends(folder: Path, mailbox: tuple[Mailbox, int]) -> None:
    server = working(folder, mailbox)
    server.environment["BACKGROUND"] = "off"
    with server:
        register(server, "ada@example.com")
        assert is_told(server) == "missing"
        assert re.fullmatch(r"[1-9]\d* rows done\n", server.manage("work", "--once"))
        assert mailbox[0].recipients() == ["ada@example.com"]


def test_a_worker_that_is_told_to_stop_is_gone_from_the_doctors_sight(
    folder: Path, mailbox: tuple[Mailbox, int]
) -> None:
    server = working(folder, mailbox)
    with server:
        wait_for(lambda: is_told(server) == "running")
        assert "A worker does what is due." in server.manage("doctor")
        worker = worker_of(server)
        worker.send_signal(signal.SIGTERM)
        wait_for(lambda: is_gone(worker))
        wait_for(lambda: is_told(server) == "running")  # another one was started
