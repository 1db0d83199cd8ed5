"""Three devices of a user write and read, while devices, workers and PostgreSQL are killed and backups restored."""

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tests.chaos.cluster import Cluster, cluster, folder
from tests.chaos.load import client_of, sign_in
from tests.chaos.outcome import Outcome
from tests.chaos.replicas import history, rxdb
from tests.chaos.replicas.readers import PLURALS
from tests.chaos.replicas.store import Objects, Store
from tests.chaos.replicas.truth import Epoch, Truth, differences
from tests.chaos.worker_killed import workers
from tests.server import ROOT, Server

# By name, how it reads and how it writes.
DEVICES = {"phone": ("asking", "singles"), "laptop": ("streaming", "batches"), "desk": ("rxdb", "rxdb")}
CONTROL = "control"
SETTLE_SECONDS = 60
SECONDS, WRITES = 600.0, 25
GROWN_SECONDS = 6  # a worker that dies younger counts as a crash loop, and ends the service


class Device:
    """A process and its file, which outlives it."""

    def __init__(self, path: Path, base: str, reads: str, writes: str, seeds: random.Random) -> None:
        self.store, self.path, self.log = Store(path), path, path.with_suffix(".log")
        self.arguments, self.seeds = [str(path), base, reads, writes], seeds
        self.start()

    def start(self) -> None:
        arguments = [*self.arguments, str(self.seeds.getrandbits(32))]
        command = [sys.executable, "-m", "tests.chaos.replicas.device", *arguments]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

    def kill(self) -> None:
        assert self.process.poll() is None, f"a device has ended by itself:\n{self.log.read_text()}"
        self.process.kill()
        self.process.wait()

    def copy(self) -> Objects:
        return rxdb.copy_of(self.store) if "rxdb" in self.arguments else self.store.objects()

    def has_settled(self, head: int) -> bool:
        return self.store.waiting() == 0 and self.store.kept("head") == str(head)


class Backup(NamedTuple):
    path: Path
    epoch: int
    began_at: float


@dataclass
class Result:
    complaints: list[str]
    differences: dict[str, list[str]]  # by device, from what the server has
    unsettled: list[str]
    done: Counter[str]  # faults
    answers: Counter[int]  # by status
    acknowledged: Counter[str]  # writes, by device
    taken_back: int  # of these, by a restore


@dataclass
class Storm:
    server: Server
    database: Cluster
    random: random.Random
    devices: dict[str, Device] = field(default_factory=dict)
    epochs: list[Epoch] = field(default_factory=list)  # that are over
    backups: list[Backup] = field(default_factory=list)
    parent: Backup | None = None  # of the epoch that goes on
    base: int = 0
    done: Counter[str] = field(default_factory=Counter)

    def __enter__(self) -> "Storm":
        sign_in(self.server)
        for name, (reads, writes) in {**DEVICES, CONTROL: ("by-time", "none")}.items():
            path = self.server.data_dir / f"{name}.sqlite3"
            self.devices[name] = Device(path, self.server.base, reads, writes, self.random)
        return self

    def __exit__(self, *_: object) -> None:
        for device in self.devices.values():
            device.process.kill()
            device.process.wait()

    # --- Faults ---------------------------------------------------------------------------------------

    def kill_device(self) -> None:
        device = self.devices[self.random.choice(list(DEVICES))]
        device.kill()
        time.sleep(self.random.random())
        device.start()

    def kill_worker(self) -> None:
        oldest = workers(self.server)[0]
        time.sleep(max(0.0, oldest.create_time() + GROWN_SECONDS - time.time()))
        oldest.kill()

    def kill_postgres(self) -> None:
        self.database.kill()
        time.sleep(self.random.random())
        self.database.start()

    def back_up(self) -> None:
        path = self.server.data_dir / f"backup-{len(self.backups)}"
        began_at = time.monotonic()
        self.server.manage("backup", str(path))
        self.backups.append(Backup(path, len(self.epochs), began_at))

    def restore(self) -> None:
        """The last backup, or the one before it."""
        backup = self.random.choice(self.backups[-2:])
        self.server.stop()
        self.end_epoch()
        self.server.manage("restore", "--replace", str(backup.path))
        self.parent, self.base = backup, history.base_of(self.database)
        self.server.start()

    def end_epoch(self) -> None:
        parent = (self.parent.epoch, self.parent.began_at) if self.parent else (0, 0.0)
        self.epochs.append(Epoch(self.base, time.monotonic(), history.read(self.database), *parent))

    def rage(self, seconds: float, writes: int) -> None:
        """At least one round of all faults, with so many writes before each, on average, and after the last."""
        until = time.monotonic() + seconds
        while not self.done or time.monotonic() < until:
            for fault in FAULTS:
                self.wait_for(self.random.randint(1, 2 * writes))
                fault(self)
                self.done[fault.__name__] += 1
        self.wait_for(writes)

    def wait_for(self, writes: int) -> None:
        """Until so many more changes are stored."""
        goal, deadline = history.head_of(self.database) + writes, time.monotonic() + SETTLE_SECONDS
        while history.head_of(self.database) < goal:
            assert time.monotonic() < deadline, "the devices do not come to write"
            time.sleep(0.05)

    # --- The end --------------------------------------------------------------------------------------

    def settle(self) -> list[str]:
        """Let the devices send and read what is left; returns those that do not come to an end."""
        for device in self.devices.values():
            device.store.keep("settling", "yes")
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline:
            head = history.head_of(self.database)
            if unsettled := [name for name in DEVICES if not self.devices[name].has_settled(head)]:
                time.sleep(0.1)
            else:
                break
        return unsettled

    def judge(self, unsettled: list[str]) -> Result:
        for device in self.devices.values():
            device.kill()
        stored = lists_of(self.server)
        self.end_epoch()
        truth, told = Truth(self.epochs), {name: list(self.devices[name].store.answers()) for name in DEVICES}
        truth.judge(list(told.values()))
        truth.examine_server(stored)
        acknowledged = [
            (name, answer.operation)
            for name, answers in told.items()
            for answer in answers
            if answer.operation is not None and answer.status < 300
        ]
        return Result(
            truth.complaints,
            {name: differences(device.copy(), stored) for name, device in self.devices.items()},
            unsettled,
            self.done,
            Counter(answer.status for answers in told.values() for answer in answers),
            Counter(name for name, _ in acknowledged),
            sum(operation not in self.epochs[-1].history.operations for _, operation in acknowledged),
        )


FAULTS: list[Callable[[Storm], None]] = [
    Storm.back_up, Storm.kill_device, Storm.kill_worker, Storm.kill_device, Storm.back_up, Storm.kill_postgres,
    Storm.kill_device, Storm.restore, Storm.kill_device,
]  # fmt: skip


def lists_of(server: Server) -> Objects:
    """What the user has, as the lists show it, and not the changes."""
    found: Objects = {}
    with client_of(server, sign_in(server)) as client:
        for type_, plural in PLURALS.items():
            address: str | None = f"/api/me/{plural}?limit=200" + ("&archived=all" if type_ == "project" else "")
            while address:
                answer = client.get(address).raise_for_status()
                found |= {(type_, shown["id"]): shown for shown in answer.json()}
                link = answer.links.get("next")
                address = str(answer.url.join(link["url"])) if link else None
    return found


def brew(seconds: float, writes: int, seed: int) -> Result:
    with ExitStack() as stack:
        path, database = stack.enter_context(folder()), stack.enter_context(cluster())
        server = stack.enter_context(Server(path, DATABASE_URL=database.url, WORKERS="2"))
        storm = stack.enter_context(Storm(server, database, random.Random(seed)))
        storm.rage(seconds, writes)
        return storm.judge(storm.settle())


def measure() -> Outcome:
    result = brew(SECONDS, WRITES, random.SystemRandom().getrandbits(32))
    sys.stderr.writelines(f"{complaint}\n" for complaint in result.complaints)
    differing = sum(len(result.differences[name]) for name in DEVICES)
    done, gone, writes = result.done, result.answers[410], result.acknowledged.total()
    kills = f"{done['kill_device']} devices, {done['kill_worker']} workers, {done['kill_postgres']} PostgreSQL"
    return Outcome(
        f"kill -9 of {kills}; {done['restore']} backups restored",
        "each answer true, each copy equal",
        f"{len(result.complaints)} of {result.answers.total()} answers untrue; {writes} writes, of which "
        f"restores took back {result.taken_back} and said so {gone} times; {differing} differences, "
        f"{len(result.unsettled)} copies not at the end",
        f"a reader by updated_at: {len(result.differences[CONTROL])} differences",
        not (result.complaints or differing or result.unsettled) and bool(result.differences[CONTROL]),
    )
