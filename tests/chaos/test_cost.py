"""A short form of what `python -m tests.chaos cost` measures: what the attacker and the other user are answered."""

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.chaos import attacks
from tests.chaos.attacks import Attack
from tests.chaos.cluster import folder
from tests.chaos.cost import EVE, ROWS, account, attacked, fill, times, victim
from tests.server import Server

pytestmark = pytest.mark.process

SHORT = ("headers", "refusals", "searches", "exports", "sign-ins", "readers")
REQUESTS = 20


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with folder() as path, Server(path) as server:
        fill(server, account(server, EVE), 50)
        yield server


@pytest.mark.parametrize("name", SHORT)
def test_an_attacker_is_refused_and_another_user_is_served(server: Server, name: str) -> None:
    row = ROWS[name]
    assert_served(server, row.attack, row.answers)


def test_the_network_of_unfinished_bodies_is_refused_and_others_are_served(server: Server) -> None:
    seen = assert_served(server, lambda target: attacks.bodies(target, 400), {"429", "held"})
    assert seen["held"] == 256


def assert_served(server: Server, attack: Attack, answers: set[str]) -> Counter[str]:
    seen = Counter[str]()
    token = account(server, EVE)
    with victim(server) as client, attacked(server, attack, token, seen):
        _, failed = times(client, REQUESTS)
    assert failed == 0
    assert seen and seen.keys() <= answers
    return seen
