"""The public keys of an issuer (JWKS, RFC 7517): cached, and fetched in the background; no request waits long."""

import json
import logging
import threading
from http.client import HTTPException
from time import monotonic
from typing import Any
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request

from jwt import PyJWK, PyJWKClient
from jwt.exceptions import PyJWKClientConnectionError, PyJWKClientError, PyJWKSetError

FRESH_SECONDS = 300  # older keys are still good, but fetched again
WAIT_SECONDS = 3  # how long a request waits for a fetch, at most
FETCH_SECONDS = 10  # a fetch that takes longer is given up
OPERATION_SECONDS = 3  # to connect, and for each piece of the answer
WINDOW_SECONDS = 60
FETCHES_PER_WINDOW = 5  # whatever key ids strangers think of
MAX_BYTES = 1024 * 1024

# The kty, crv and alg of keys that are trusted. All others are not, symmetric ones above all.
KINDS = [
    (kty, crv, alg)
    for kty, crv, only in (("OKP", "Ed25519", "EdDSA"), ("EC", "P-256", "ES256"), ("RSA", None, "RS256"))
    for alg in (only, None)
]
# Some firewalls refuse the name that Python gives itself.
HEADERS = {"Accept": "application/json", "User-Agent": "Tickbase"}

Keys = dict[str, PyJWK]  # by kid
logger = logging.getLogger(__name__)


class BoundedClient(PyJWKClient):
    """PyJWT's client with a bound for the size and the duration of the answer, which trusts fewer keys."""

    def __init__(self, url: str) -> None:
        super().__init__(url, cache_jwk_set=False, headers=HEADERS, timeout=OPERATION_SECONDS)

    def fetch_data(self) -> dict[str, list[dict[str, Any]]]:
        try:
            document = json.loads(self._download())
        except (OSError, HTTPException, ValueError, RecursionError) as error:
            raise PyJWKClientConnectionError(str(error)) from error
        if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
            raise PyJWKClientError("it answers no set of keys")
        return {"keys": [jwk for jwk in document["keys"] if is_for_verifying(jwk)]}

    def _download(self) -> bytes:
        deadline = monotonic() + FETCH_SECONDS
        opener = OpenerDirector()
        for handler in (ProxyHandler(), HTTPHandler(), HTTPSHandler()):  # no other: it would follow redirects
            opener.add_handler(handler)
        body = bytearray()
        with opener.open(Request(self.uri, headers=self.headers), timeout=self.timeout) as response:
            if response.status != 200:
                raise PyJWKClientError(f"it answers {response.status}")
            while piece := response.read1(65_536):
                body += piece
                if len(body) > MAX_BYTES:
                    raise PyJWKClientError(f"it answers more than {MAX_BYTES} bytes")
                if monotonic() > deadline:
                    raise PyJWKClientError(f"it answers for more than {FETCH_SECONDS} seconds")
        return bytes(body)


def is_for_verifying(jwk: Any) -> bool:
    """Whether a JWK has an id and a trusted kind, and verifies signatures."""
    if not isinstance(jwk, dict) or not isinstance(jwk.get("kid"), str) or not jwk["kid"]:
        return False
    if "d" in jwk or (jwk.get("kty"), jwk.get("crv"), jwk.get("alg")) not in KINDS:
        return False  # its private half is public: any attacker can sign
    operations = ["verify"] if jwk.get("key_ops") is None else jwk["key_ops"]
    return jwk.get("use") in (None, "sig") and isinstance(operations, list) and "verify" in operations


def fetch_keys(url: str) -> Keys:
    """The keys behind a URL that can be trusted; the others are skipped. Raises PyJWKClientError."""
    try:
        keys = BoundedClient(url).get_signing_keys()
    except PyJWKSetError:  # none of the set can be used
        return {}
    # RSA needs 2048 bits. The first key of an id counts.
    return {str(key.key_id): key for key in reversed(keys) if not key.Algorithm.check_key_length(key.key)}


class Fetch(threading.Thread):
    """One attempt to get the keys, in a thread of its own, which an issuer may occupy for as long as it likes."""

    def __init__(self, cache: "KeyCache") -> None:
        super().__init__(name="external-issuer-keys", daemon=True)
        self.cache = cache
        self.began_at = monotonic()

    def run(self) -> None:
        try:
            self.cache.replace(fetch_keys(self.cache.url), self.began_at)
        except PyJWKClientError as error:
            logger.warning("The keys of the external issuer cannot be fetched: %s", error)


class KeyCache:
    """The keys behind one URL, for any number of threads.

    PyJWT's client has a cache, too; but it fetches in the thread of a request, under a lock that all other requests
    need, also those whose keys are known. While the issuer hangs, so would all requests.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._lock = threading.Lock()
        self._keys: Keys = {}
        self._keys_since = float("-inf")  # when the fetch began that brought them
        self._fetches: list[Fetch] = []  # those that count for the bound, the latest last

    def get(self, kid: str) -> PyJWK | None:
        """The key of this id; a known one at once, an unknown one after asking the issuer anew."""
        asked_at = monotonic()
        if key := self._keys.get(kid):
            if asked_at - self._keys_since > FRESH_SECONDS:
                self._fetch()
            return key
        # A fetch that was under way may have been answered before the key was there: then one more.
        for _ in range(2):
            if not (fetch := self._fetch()):
                break
            # Not longer than the fetch may take: behind one that hangs, one request waits and not each.
            fetch.join(max(0, min(asked_at, fetch.began_at) + WAIT_SECONDS - monotonic()))
            if kid in self._keys or fetch.began_at >= asked_at:
                break
        return self._keys.get(kid)

    def _fetch(self) -> Fetch | None:
        """The fetch that is under way, or else a new one; none if there were too many of late."""
        with self._lock:
            now = monotonic()
            if self._fetches and (last := self._fetches[-1]).is_alive() and now - last.began_at < FETCH_SECONDS:
                return last
            # One that was given up counts for as long as its thread lives, so that threads are bounded, too.
            self._fetches = [
                fetch for fetch in self._fetches if now - fetch.began_at < WINDOW_SECONDS or fetch.is_alive()
            ]
            if len(self._fetches) >= FETCHES_PER_WINDOW:
                return None
            fetch = Fetch(self)
            fetch.start()
            self._fetches.append(fetch)
            return fetch

    def replace(self, keys: Keys, fetched_at: float) -> None:
        """All of them: what is no longer in the set is no longer trusted. What comes late is from before."""
        with self._lock:
            if fetched_at >= self._keys_since:
                self._keys, self._keys_since = keys, fetched_at
