"""The keys of the external issuer: cached, fetched again, bounded; and what happens when the issuer is in trouble."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.issuer import ALGORITHMS, Handler, Issuer, make_key
from tests.problems import cases
from users.tokens import keysets
from users.tokens.keysets import KeyCache

FIRST, SECOND = make_key("first"), make_key("second")
STUCK_SECONDS = 10  # far from it, with the short times of these tests, also on a busy machine


class Clock:
    """The clock of the cache, which can be moved forward."""

    shift = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.shift


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(keysets, "monotonic", clock)
    return clock


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Called when all that follows is meant to fail; a busy machine would not make it in time, either."""

    def set_times(wait: float = 0.3, operation: float = 0.3, fetch: float = 0.6) -> None:
        monkeypatch.setattr(keysets, "WAIT_SECONDS", wait)
        monkeypatch.setattr(keysets, "OPERATION_SECONDS", operation)
        monkeypatch.setattr(keysets, "FETCH_SECONDS", fetch)

    return set_times


@pytest.fixture
def cache(issuer: Issuer) -> KeyCache:
    return KeyCache(issuer.url)


def kids(cache: KeyCache) -> set[str]:
    """What is known now, without asking."""
    return set(cache._keys)


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    return holds()


def idle(cache: KeyCache) -> bool:
    return eventually(lambda: not any(fetch.is_alive() for fetch in cache._fetches))


def in_threads(work: Callable[[int], None], threads: int) -> None:
    workers = [threading.Thread(target=work, args=[number]) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(20)
    assert not any(worker.is_alive() for worker in workers)


# --- The issuer is well -----------------------------------------------------------------------------


def test_a_known_key_is_fetched_once(cache: KeyCache, issuer: Issuer) -> None:
    found = [cache.get("first") for _ in range(20)]
    assert idle(cache)
    assert all(key is not None and key.algorithm_name == "EdDSA" for key in found)
    assert issuer.paths == ["/jwks"]


def test_a_new_key_is_seen_right_after_a_fetch(cache: KeyCache, issuer: Issuer) -> None:
    assert cache.get("second") is None
    issuer.keys.append(SECOND)
    assert cache.get("second") is not None
    assert len(issuer.paths) == 2


def test_many_that_ask_at_once_are_one_fetch(cache: KeyCache, issuer: Issuer) -> None:
    issuer.answer = Handler.answer_later
    threading.Timer(0.3, issuer.go_on.set).start()
    found: list[Any] = []
    in_threads(lambda number: found.append(cache.get("first")), 12)
    assert len(found) == 12
    assert None not in found
    assert len(issuer.paths) == 1


def test_a_fetch_from_before_the_rotation_does_not_have_the_last_word(cache: KeyCache, issuer: Issuer) -> None:
    issuer.answer = Handler.answer_later
    found: dict[int, Any] = {}

    def ask(number: int) -> None:
        if number == 1:
            eventually(lambda: bool(issuer.paths))
            issuer.keys.append(SECOND)  # while the answer that has it not is under way
            threading.Timer(0.2, issuer.go_on.set).start()
        found[number] = cache.get(["first", "second"][number])

    in_threads(ask, 2)
    assert None not in found.values()
    assert len(issuer.paths) == 2


def test_old_keys_are_fetched_again_in_the_background(cache: KeyCache, issuer: Issuer, clock: Clock) -> None:
    cache.get("first")
    issuer.keys = [SECOND]
    clock.shift = keysets.FRESH_SECONDS - 10
    assert cache.get("first") is not None
    assert idle(cache)
    assert len(issuer.paths) == 1
    clock.shift = keysets.FRESH_SECONDS + 1
    assert cache.get("first") is not None  # answered at once, from what was known
    assert eventually(lambda: kids(cache) == {"second"})
    assert cache.get("first") is None  # the issuer took it back


def test_strangers_cannot_make_us_hammer_the_issuer(cache: KeyCache, issuer: Issuer, clock: Clock) -> None:
    assert all(cache.get(f"random-{number}") is None for number in range(50))
    assert len(issuer.paths) == keysets.FETCHES_PER_WINDOW
    assert cache.get("first") is not None
    clock.shift = keysets.WINDOW_SECONDS + 1
    issuer.keys.append(SECOND)
    assert cache.get("second") is not None
    assert len(issuer.paths) == keysets.FETCHES_PER_WINDOW + 1


# --- The issuer is in trouble -----------------------------------------------------------------------


def test_known_keys_survive_an_issuer_that_is_down(cache: KeyCache, issuer: Issuer, clock: Clock) -> None:
    cache.get("first")
    issuer.stop()
    clock.shift = keysets.FRESH_SECONDS + 1
    assert cache.get("second") is None
    assert cache.get("first") is not None
    issuer.keys.append(SECOND)
    issuer.start()
    assert cache.get("second") is not None


def test_an_issuer_that_was_never_there_is_no_error(cache: KeyCache, issuer: Issuer) -> None:
    issuer.stop()
    assert cache.get("first") is None
    issuer.start()
    assert cache.get("first") is not None


def padded(issuer: Issuer, size: int) -> bytes:
    return json.dumps(issuer.key_set).encode().ljust(size)


BAD_ANSWERS: dict[str, Callable[[Handler], None]] = {
    "no JSON": lambda to: to.send(200, b"<html>Welcome to the hotel's network</html>"),
    "nothing": lambda to: to.send(200, b""),
    "a list": lambda to: to.send(200, json.dumps(to.issuer.key_set["keys"]).encode()),
    "keys that are no list": lambda to: to.send(200, b'{"keys": {"kid": "second"}}'),
    "no keys": lambda to: to.send(200, b'{"error": "unavailable"}'),
    "no text": lambda to: to.send(200, b"\xff\xfe\xff"),
    "deep JSON": lambda to: to.send(200, b"[" * 500_000),
    "a huge number": lambda to: to.send(200, b'{"keys": [%s]}' % (b"9" * 100_000)),
    "cut short": lambda to: to.send(200, json.dumps(to.issuer.key_set).encode()[:-9], length=1000),
    "too large": lambda to: to.send(200, padded(to.issuer, keysets.MAX_BYTES + 1)),
    "an error": lambda to: to.send(500, json.dumps(to.issuer.key_set).encode()),
    "not found": lambda to: to.send(404, json.dumps(to.issuer.key_set).encode()),
    "no HTTP": Handler.speak_ssh,
    "nothing at all": lambda to: None,
    "hangs": Handler.answer_later,
    "drips": Handler.drip,
    "drips headers": Handler.drip_headers,
}


@pytest.mark.thorough
@pytest.mark.parametrize("answer", cases(BAD_ANSWERS))
def test_a_bad_answer_changes_nothing_and_holds_nobody_up(
    cache: KeyCache, issuer: Issuer, clock: Clock, hurry: Callable[..., None], answer: Callable[[Handler], None]
) -> None:
    cache.get("first")
    hurry()
    issuer.keys.append(SECOND)
    issuer.answer = answer
    began = time.monotonic()
    assert cache.get("second") is None
    clock.shift = keysets.FRESH_SECONDS + 1
    assert cache.get("first") is not None
    assert cache.get("second") is None
    assert time.monotonic() - began < STUCK_SECONDS
    issuer.go_on.set()
    assert idle(cache)
    assert cache.get("first") is not None


def test_a_large_set_is_taken_as_long_as_it_is_not_too_large(cache: KeyCache, issuer: Issuer) -> None:
    issuer.answer = lambda to: to.send(200, padded(issuer, keysets.MAX_BYTES))
    assert cache.get("first") is not None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(cache: KeyCache, issuer: Issuer, status: int) -> None:
    def answer(to: Handler) -> None:
        if to.path == "/jwks":
            return to.send(status, b"", Location="/elsewhere")
        to.answer_keys()

    issuer.answer = answer
    assert cache.get("first") is None
    assert issuer.paths == ["/jwks"]


def test_only_http_is_spoken(tmp_path: Path) -> None:
    document = json.dumps({"keys": [OKP]})
    (tmp_path / "jwks").write_text(document)
    for url in (f"file://{tmp_path}/jwks", f"data:application/json,{quote(document)}", "ftp://127.0.0.1/jwks", "jwks"):
        assert KeyCache(url).get("first") is None


@pytest.mark.parametrize("answer", [Handler.answer_later, Handler.drip])
def test_a_fetch_ends_by_itself(
    cache: KeyCache, issuer: Issuer, hurry: Callable[..., None], answer: Callable[[Handler], None]
) -> None:
    hurry()
    issuer.answer = answer
    assert cache.get("first") is None
    assert idle(cache)


def test_behind_a_fetch_that_hangs_nobody_waits_twice(
    cache: KeyCache, issuer: Issuer, hurry: Callable[..., None]
) -> None:
    hurry(wait=1, operation=60, fetch=60)
    issuer.answer = Handler.answer_later
    began = time.monotonic()
    assert [cache.get(f"random-{number}") for number in range(20)] == [None] * 20
    assert time.monotonic() - began < STUCK_SECONDS


@pytest.mark.parametrize("answer", [Handler.answer_later, Handler.end_later])
def test_a_fetch_that_hangs_is_given_up(
    cache: KeyCache, issuer: Issuer, clock: Clock, hurry: Callable[..., None], answer: Callable[[Handler], None]
) -> None:
    hurry(wait=0.3, operation=60, fetch=60)
    issuer.answer = answer
    assert cache.get("first") is None
    issuer.keys, issuer.answer = [SECOND], Handler.answer_keys
    assert cache.get("second") is None  # the other is still under way
    hurry(wait=10, operation=10, fetch=60)
    clock.shift = 61
    assert cache.get("second") is not None
    issuer.go_on.set()
    assert idle(cache)
    assert kids(cache) == {"second"}  # what came late was from before


def test_fetches_that_hang_are_bounded_however_long_they_do(
    cache: KeyCache, issuer: Issuer, clock: Clock, hurry: Callable[..., None]
) -> None:
    hurry(wait=0.1, operation=60, fetch=60)
    issuer.answer = Handler.answer_later
    for _ in range(keysets.FETCHES_PER_WINDOW + 3):
        assert cache.get("first") is None
        clock.shift += keysets.WINDOW_SECONDS + 1
    assert len(cache._fetches) == keysets.FETCHES_PER_WINDOW
    issuer.go_on.set()
    assert idle(cache)
    hurry(wait=10, operation=10, fetch=60)
    assert cache.get("first") is not None


# --- Which keys are trusted -------------------------------------------------------------------------

RSA, EC = make_key("rsa", "RS256"), make_key("ec", "ES256")
OKP = FIRST.jwk
X25519 = "hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo"

USELESS: dict[str, Any] = {
    "not an object": "key",
    "null": None,
    "without an id": {**OKP, "kid": None},
    "with an empty id": {**OKP, "kid": ""},
    "whose id is a number": {**OKP, "kid": 1},
    "without a type": {**OKP, "kty": None},
    "whose type is a list": {**OKP, "kty": ["OKP"]},
    "whose curve is an object": {**OKP, "crv": {}},
    "symmetric": {"kty": "oct", "kid": "a", "k": "c2VjcmV0IHRoYXQgZXZlcnlib2R5IGNhbiByZWFkIGhlcmU", "alg": "HS256"},
    "symmetric, of no stated algorithm": {"kty": "oct", "kid": "a", "k": "c2VjcmV0IHRoYXQgZXZlcnlib2R5IGNhbiByZWFk"},
    "for encryption": {**RSA.jwk, "use": "enc"},
    "for signing only": {**OKP, "key_ops": ["sign"]},
    "for operations that are no list": {**OKP, "key_ops": "verify"},
    "with its private half": {**OKP, **ALGORITHMS["EdDSA"].to_jwk(FIRST.private, as_dict=True)},
    "with its private half, of RSA": {**RSA.jwk, **ALGORITHMS["RS256"].to_jwk(RSA.private, as_dict=True)},
    "for another algorithm": {**RSA.jwk, "alg": "RS512"},
    "for PSS": {**RSA.jwk, "alg": "PS256"},
    "for no algorithm": {**OKP, "alg": "none"},
    "for HMAC": {**RSA.jwk, "alg": "HS256"},
    "whose algorithm is a list": {**OKP, "alg": ["EdDSA"]},
    "on a curve for agreement": {**OKP, "crv": "X25519", "x": X25519},
    "on Ed448": {**OKP, "crv": "Ed448"},
    "on another curve": {**EC.jwk, "crv": "P-384", "alg": "ES384"},
    "on Bitcoin's curve": {**EC.jwk, "crv": "secp256k1", "alg": "ES256K"},
    "beside its curve": {**EC.jwk, "x": EC.jwk["y"], "y": EC.jwk["x"]},
    "too short": {**OKP, "x": "AAAA"},
    "no base64": {**OKP, "x": "\ud800"},
    "not a string": {**OKP, "x": 7},
    "incomplete": {"kty": "RSA", "kid": "a", "n": RSA.jwk["n"]},
    "RSA of 1024 bits": make_key("a", "RS256", 1024).jwk,
    "RSA of nothing": {**RSA.jwk, "n": "AA"},
}


@pytest.mark.parametrize("jwk", cases(USELESS))
def test_a_key_that_is_not_trusted(cache: KeyCache, issuer: Issuer, jwk: Any) -> None:
    issuer.answer = lambda to: to.send(200, json.dumps({"keys": [jwk, SECOND.jwk]}).encode())
    assert cache.get("second") is not None
    assert kids(cache) == {"second"}  # the others of the set are


@pytest.mark.parametrize(
    ("jwk", "algorithm"),
    [
        ({**OKP, "alg": None, "use": None, "key_ops": None}, "EdDSA"),
        ({name: OKP[name] for name in ("kty", "crv", "x", "kid")}, "EdDSA"),
        ({**EC.jwk, "key_ops": ["verify"], "ext": True}, "ES256"),
        ({**RSA.jwk, "crv": None, "x5t": "abc", "x5c": ["abc"]}, "RS256"),
    ],
)
def test_a_key_that_is_trusted_has_one_algorithm(
    cache: KeyCache, issuer: Issuer, jwk: dict[str, Any], algorithm: str
) -> None:
    issuer.answer = lambda to: to.send(200, json.dumps({"keys": [jwk]}).encode())
    key = cache.get(jwk["kid"])
    assert key is not None
    assert key.algorithm_name == algorithm


def test_the_first_key_of_an_id_counts(cache: KeyCache, issuer: Issuer) -> None:
    issuer.keys = [FIRST, make_key("first", "ES256")]
    key = cache.get("first")
    assert key is not None
    assert key.algorithm_name == "EdDSA"


@pytest.mark.parametrize(
    "keys", [[], [USELESS["with an empty id"]], [USELESS["for encryption"]], [USELESS["RSA of 1024 bits"]]]
)
def test_a_set_without_a_usable_key_takes_all_trust_back(
    cache: KeyCache, issuer: Issuer, clock: Clock, keys: list[Any]
) -> None:
    cache.get("first")
    issuer.answer = lambda to: to.send(200, json.dumps({"keys": keys}).encode())
    clock.shift = keysets.FRESH_SECONDS + 1
    cache.get("first")
    assert eventually(lambda: not kids(cache))
    assert cache.get("first") is None
