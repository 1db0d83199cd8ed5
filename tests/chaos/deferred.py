"""`kill -9` of what does deferred work, of what asks for it, and of PostgreSQL under load: no mail is lost."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import Message
from functools import partial
from typing import NamedTuple

import httpx
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.chaos import postgres_killed, worker_killed
from tests.chaos.attacks import PASSWORD
from tests.chaos.cluster import folder
from tests.chaos.outcome import Outcome
from tests.mailbox import Mailbox
from tests.server import Server, free_port
from tests.workers import kill_worker, wait_for, worker_of

ACCOUNTS = 20
MAILS_BETWEEN = 10
SETTLE_SECONDS = 300  # longer than a lease, and than the pause after a second failure


class Result(NamedTuple):
    acknowledged: int
    lost: int
    doubled: int


class Forgetful(Mailbox):
    """The control: it forgets each tenth mail that it has taken."""

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 (aiosmtpd's)
        answer = await super().handle_DATA(server, session, envelope)
        if len(self.received) % 10 == 0:
            self.received.pop()
            self.received.append(("", Message()))
        return answer


def kill(what: str, kills: int, *, forgetful: bool = False, waits: bool = True) -> Result:
    """Kill it so often, while resets of passwords are asked for. `waits` for leases to end by time, as they do."""
    box = Forgetful() if forgetful else Mailbox()
    with served(box) as server:
        with resets(server) as asked:
            for kill_number in range(1, kills + 1):
                target = kill_number * MAILS_BETWEEN
                wait_for(partial(_have_been_asked, asked, target), 60)
                _kill(what, server, waits)
        with suppress(AssertionError):  # what is missing by then is lost
            wait_for(lambda: not _missing(box, asked), 60 if forgetful else SETTLE_SECONDS)
        ids = [str(message["Message-ID"]) for _, message in box.received if message["Message-ID"]]
        return Result(sum(asked.values()), sum(_missing(box, asked).values()), len(ids) - len(set(ids)))


def _have_been_asked(asked: Counter[str], count: int) -> bool:
    return sum(asked.values()) >= count


def _kill(what: str, server: Server, waits: bool) -> None:
    match what:
        case "worker":
            kill_worker(server, *([] if waits else ["mail_mail"]))
        case "app":
            deferred = worker_of(server)
            next(each for each in worker_killed.workers(server) if each != deferred).kill()
        case "postgres":
            postgres_killed.kill(server)


@contextmanager
def served(box: Mailbox) -> Iterator[Server]:
    mail_server = Controller(box, hostname="127.0.0.1", port=free_port())
    mail_server.start()
    environment = {"EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": str(mail_server.port), "EMAIL_SECURITY": "none"}
    try:
        with folder() as path, Server(path, WORKERS="2", BACKGROUND="on", **environment) as server:
            yield server
    finally:
        mail_server.stop()


@contextmanager
def resets(server: Server) -> Iterator[Counter[str]]:
    """Resets of passwords are asked for until the block ends; how many of each address were acknowledged."""
    addresses = [f"user{number}@example.com" for number in range(ACCOUNTS)]
    asked: Counter[str] = Counter()
    is_over = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=server.base, timeout=30) as client:
            while not is_over.is_set():
                for address in addresses:
                    with suppress(httpx.TransportError):
                        answer = client.post("/api/auth/forgot-password", json={"email": address})
                        asked[address] += answer.status_code == 202
                    is_over.wait(0.02)

    with httpx.Client(base_url=server.base, timeout=30) as client:
        for address in addresses:
            client.post("/api/auth/register", json={"email": address, "password": PASSWORD}).raise_for_status()
    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield asked
    finally:
        is_over.set()
        asking.join()


def _missing(box: Mailbox, asked: Counter[str]) -> Counter[str]:
    """How many mails of those that were acknowledged have not arrived, by address."""
    arrived = {(str(message["To"]), str(message["Message-ID"])) for _, message in [*box.received]}
    of_resets = Counter(address for address, name in arrived if "password_reset" in name)
    return asked - of_resets


def measure(what: str, name: str) -> Outcome:
    result, control = kill(what, 20), kill(what, 1, forgetful=True)
    return Outcome(
        f"mails, kill -9 of {name}, 20 times",
        "0 lost",
        f"{result.lost} of {result.acknowledged} lost, {result.doubled} sent twice with the same Message-ID",
        f"a mail server that forgets each tenth: {control.lost} of {control.acknowledged} lost",
        result.lost == 0 and control.lost > 0,
    )
