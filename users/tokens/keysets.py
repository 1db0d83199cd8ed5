"""The public keys of an issuer (JWKS, RFC 7517): cached, and fetched aside, so that no request has to wait long.

PyJWT brings a client for this, which does not serve here: it fetches in the thread of a request, under a lock
that all other requests need, also those whose keys are known. While the issuer hangs, so would everybody.
"""

import json
import logging
import threading
from collections.abc import Callable
from http.client import HTTPException
from time import monotonic
from typing import Any
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request

from jwt import PyJWK
from jwt.exceptions import PyJWTError

FRESH_SECONDS = 300  # older keys are still good, but fetched again
WAIT_SECONDS = 3  # how long a request waits for a fetch, at most
FETCH_SECONDS = 10  # a fetch that takes longer is given up
OPERATION_SECONDS = 3  # to connect, and for each piece of the answer
WINDOW_SECONDS = 60
FETCHES_PER_WINDOW = 5  # whatever key ids strangers think of
MAX_BYTES = 1024 * 1024

# What a key is for, by its kty and crv. All others, symmetric ones above all, are never trusted.
ALGORITHMS = {("OKP", "Ed25519"): "EdDSA", ("EC", "P-256"): "ES256", ("RSA", None): "RS256"}
# Some firewalls refuse the name that Python gives itself.
HEADERS = {"Accept": "application/json", "User-Agent": "Tickbase"}

Keys = dict[str, PyJWK]  # by kid
logger = logging.getLogger(__name__)


class BadKeySet(Exception):
    """The issuer answers, but not with a JWKS."""


class Fetch:
    """One attempt to get the keys, in a thread of its own, which an issuer may occupy for as long as it likes."""

    def __init__(self, url: str, take: Callable[["Fetch", Keys], None]) -> None:
        self.url = url
        self.take = take
        self.began_at = monotonic()
        self.done = threading.Event()
        threading.Thread(target=self._run, name="external-issuer-keys", daemon=True).start()

    def _run(self) -> None:
        try:
            self.take(self, read_key_set(download(self.url)))
        except (OSError, HTTPException, BadKeySet, ValueError, RecursionError) as error:
            logger.warning("The keys of the external issuer cannot be fetched: %s", error)
        finally:
            self.done.set()

    def is_under_way(self, now: float) -> bool:
        return not self.done.is_set() and now - self.began_at < FETCH_SECONDS

    def wait(self, asked_at: float) -> None:
        """Not longer than the fetch may take: behind one that hangs, one request waits and not each."""
        self.done.wait(max(0, min(asked_at, self.began_at) + WAIT_SECONDS - monotonic()))


class KeyCache:
    """The keys behind one URL, for any number of threads."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._keys: Keys = {}
        self._keys_since = float("-inf")  # when the fetch began that brought them
        self._fetches: list[Fetch] = []  # those that count for the bound, the latest last

    def get(self, kid: str) -> PyJWK | None:
        """The key of this id; a known one at once, an unknown one after asking the issuer anew."""
        asked_at = monotonic()
        key = self._keys.get(kid)
        if key is None:
            return self._get_anew(kid, asked_at)
        if asked_at - self._keys_since > FRESH_SECONDS:
            self._fetch()
        return key

    def _get_anew(self, kid: str, asked_at: float) -> PyJWK | None:
        # A fetch that was under way may have been answered before the key was there: then one more.
        for _ in range(2):
            fetch = self._fetch()
            if fetch is None:
                break
            fetch.wait(asked_at)
            if kid in self._keys or fetch.began_at >= asked_at:
                break
        return self._keys.get(kid)

    def _fetch(self) -> Fetch | None:
        """The fetch that is under way, or else a new one; none if there were too many of late."""
        with self._lock:
            now = monotonic()
            if self._fetches and self._fetches[-1].is_under_way(now):
                return self._fetches[-1]
            # One that was given up counts for as long as its thread lives, so that threads are bounded, too.
            self._fetches = [
                fetch for fetch in self._fetches if now - fetch.began_at < WINDOW_SECONDS or not fetch.done.is_set()
            ]
            if len(self._fetches) >= FETCHES_PER_WINDOW:
                return None
            self._fetches.append(Fetch(self._url, self._take))
            return self._fetches[-1]

    def _take(self, fetch: Fetch, keys: Keys) -> None:
        """Replace all keys: what is no longer in the set is no longer trusted."""
        with self._lock:
            self._keys, self._keys_since = keys, fetch.began_at


def download(url: str) -> bytes:
    """The body behind an http or https URL, if it is answered with 200, in time and not too large.

    No other handlers: they would follow redirects, and open files.
    """
    deadline = monotonic() + FETCH_SECONDS
    opener = OpenerDirector()
    for handler in (ProxyHandler(), HTTPHandler(), HTTPSHandler()):
        opener.add_handler(handler)
    # None for other schemes, which the stubs do not know.
    response: Any = opener.open(Request(url, headers=HEADERS), timeout=OPERATION_SECONDS)
    if response is None:
        raise BadKeySet("the URL is neither http nor https")
    with response:
        if response.status != 200:
            raise BadKeySet(f"it answers {response.status}")
        return _body(response, deadline)


def _body(response: Any, deadline: float) -> bytes:
    body = bytearray()
    while piece := response.read1(65_536):
        body += piece
        if len(body) > MAX_BYTES:
            raise BadKeySet(f"it answers more than {MAX_BYTES} bytes")
        if monotonic() > deadline:
            raise BadKeySet(f"it answers for more than {FETCH_SECONDS} seconds")
    return bytes(body)


def read_key_set(body: bytes) -> Keys:
    """The keys of a JWKS that can be trusted; others are skipped. Raises BadKeySet, ValueError, RecursionError."""
    document = json.loads(body)
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise BadKeySet("it answers no set of keys")
    found = [key for key in map(usable_key, document["keys"]) if key is not None]
    return {str(key.key_id): key for key in reversed(found)}  # the first of an id counts


def usable_key(jwk: Any) -> PyJWK | None:
    """The key, bound to its one algorithm, if it has an id, verifies signatures and is strong enough."""
    if not isinstance(jwk, dict) or not isinstance(jwk.get("kid"), str) or not jwk["kid"]:
        return None
    algorithm = _algorithm(jwk)
    if algorithm is None or not _is_for_verifying(jwk):
        return None
    try:
        key = PyJWK(jwk, algorithm)
    except (PyJWTError, ValueError, TypeError):
        return None
    return None if key.Algorithm.check_key_length(key.key) else key  # RSA needs 2048 bits


def _algorithm(jwk: dict[str, Any]) -> str | None:
    kty, crv = jwk.get("kty"), jwk.get("crv")
    if not isinstance(kty, str) or not isinstance(crv, str | None):
        return None
    algorithm = ALGORITHMS.get((kty, crv))
    return algorithm if jwk.get("alg") in (None, algorithm) else None


def _is_for_verifying(jwk: dict[str, Any]) -> bool:
    if "d" in jwk:
        return False  # with a private half that everybody can read, anybody can sign
    operations = ["verify"] if jwk.get("key_ops") is None else jwk["key_ops"]
    return jwk.get("use") in (None, "sig") and isinstance(operations, list) and "verify" in operations
