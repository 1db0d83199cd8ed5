"""`python -m tests.chaos.replicas.device FILE BASE READER WRITER SEED`: one device, until it is killed.

It writes whether it is online or not, sends what waits when it is, and reads what is new. All that it knows is in its
file. When `settling` is kept there, it writes nothing new, and stays online.
"""

import os
import random
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from tests.chaos.replicas.line import Line, Weather
from tests.chaos.replicas.readers import Asking, ByTime, Reader, Streaming
from tests.chaos.replicas.rxdb import Client
from tests.chaos.replicas.store import Store
from tests.chaos.replicas.writers import Batches, Singles, Writer

REST = 0.1  # seconds, of a reader that has nothing to do
PACE = 0.1  # seconds between two writes, on average
MOST_WAITING = 20


READERS: dict[str, Callable[[Store, Line, random.Random], Reader | Client]] = {
    "asking": Asking,
    "streaming": Streaming,
    "by-time": ByTime,
    "rxdb": Client,
}
WRITERS: dict[str, type[Writer]] = {"singles": Singles, "batches": Batches}


def read(store: Store, line: Line, reader: str, chance: random.Random) -> None:
    reading = READERS[reader](store, line, chance)
    while True:
        line.weather.is_fair = store.kept("settling") is not None
        if reading.read():
            time.sleep(chance.uniform(0, 2 * REST))


def write(store: Store, line: Line, writer: str, chance: random.Random) -> None:
    """Write something, then send what waits."""
    client = Client(store, line, chance)
    while True:
        if not store.kept("settling") and store.waiting() < MOST_WAITING:
            client.write() if writer == "rxdb" else store.add(WRITERS[writer](store, chance).request())
        client.push() if writer == "rxdb" else send(store, line)
        time.sleep(chance.expovariate(1 / PACE))


def send(store: Store, line: Line) -> None:
    """The oldest first."""
    while not line.weather.is_offline() and (attempt := store.next_attempt()) is not None:
        number, request, attempts = attempt
        if (answer := line.ask(request, attempts)) is None:
            break
        store.answered(number, answer)


def main(path: str, base: str, reader: str, writer: str, seed: str) -> None:
    chance = random.Random(int(seed))
    weather = Weather(int(seed))

    def start(act: Callable[[Store, Line, str, random.Random], None], kind: str) -> None:
        own = random.Random(chance.random())
        threading.Thread(target=lambda: act(Store(Path(path)), Line(base, weather), kind, own)).start()

    threading.excepthook = stop
    start(read, reader)
    if writer != "none":
        start(write, writer)


def stop(error: threading.ExceptHookArgs) -> None:
    """Half a device is none."""
    traceback.print_exception(error.exc_type, error.exc_value, error.exc_traceback)
    sys.stderr.flush()
    os._exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
