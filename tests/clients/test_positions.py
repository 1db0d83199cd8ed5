"""The order of npm's `fractional-indexing`, unmodified: the same keys as ours, and replicas that agree on them."""

import datetime as dt
import json
import random
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tasks import positions
from tasks.positions import DIGITS, between, is_valid, spread
from tests.clients.npm import install
from tests.server import Server

pytestmark = pytest.mark.node

CASES = 10_000
MOVES = 2_000
# Before this one npm makes a key that it then refuses.
SECOND = "A" + "0" * 25 + "1"

Case = tuple[str | None, str | None]


@pytest.fixture(scope="module")
def project() -> Path:
    return install("positions")


def node(project: Path, *arguments: str, sent: str = "", seconds: float = 60) -> Any:
    done = subprocess.run(
        ["node", *arguments], cwd=project, input=sent, capture_output=True, text=True, timeout=seconds
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def made_up(chance: random.Random, prefix: str = "") -> str:
    """A key that begins like another one, with many digits at the ends of their range."""
    while True:
        tail = "".join(
            chance.choice([chance.choice(DIGITS), chance.choice("01yz")]) for _ in range(chance.randrange(40))
        )
        key = prefix[: chance.randrange(len(prefix) + 1)] + tail
        for found in (key, key.rstrip("0")):
            if is_valid(found):
                return found


def cases() -> list[Case]:
    """Ends, strangers, relatives, and neighbours that came of inserts."""
    chance = random.Random(16)
    line = spread(None, None, 5)
    found: list[Case] = [(None, None)]
    while len(found) < CASES:
        one = made_up(chance)
        relatives = sorted({one, made_up(chance, one)})
        place = chance.randrange(len(line) - 1)
        line.insert(place + 1, between(line[place], line[place + 1]))
        found += [(None, one), (one, None), (line[place], line[place + 1])]
        found += [(low, high) for low, high in pairwise([*sorted({one, made_up(chance)})])]
        found += pairwise(relatives)
    return [case for case in found if case != (None, SECOND)]


def test_a_key_between_two_is_the_one_of_the_package(project: Path) -> None:
    asked = cases()
    assert node(project, "keys.mjs", sent=json.dumps(asked)) == [between(*case) for case in asked]


def test_several_keys_of_the_package_and_of_ours_are_valid_and_in_order(project: Path) -> None:
    chance = random.Random(17)
    asked = [(*case, chance.randrange(30)) for case in cases()[::4]]
    for (low, high, count), theirs in zip(asked, node(project, "keys.mjs", sent=json.dumps(asked)), strict=True):
        for made in (theirs, spread(low, high, count)):
            line = [key for key in (low, *made, high) if key is not None]
            assert len(made) == count
            assert all(map(is_valid, made)) and all(one < other for one, other in pairwise(line))


def test_the_package_takes_the_positions_of_new_tasks(project: Path) -> None:
    start = dt.datetime(2026, 11, 28, tzinfo=dt.UTC)
    made = [positions.newest(start + dt.timedelta(milliseconds=each)) for each in range(500)]
    asked = [(None, made[0]), *pairwise(made), (made[-1], None)]
    assert node(project, "keys.mjs", sent=json.dumps(asked)) == [between(*case) for case in asked]


def test_three_replicas_that_move_tasks_agree_with_the_server(project: Path, server: Server) -> None:
    """Offline and in turns; no task is lost, none is within itself."""
    arguments = [server.base, "replicas@example.com", "16", str(MOVES)]
    outcome = node(project, "replicas.mjs", *arguments, seconds=240)
    assert outcome["moves"] >= MOVES
    assert outcome["stored"] > MOVES / 2, outcome
    assert {"stale_version", "cycle"} <= outcome["refused"].keys(), outcome
