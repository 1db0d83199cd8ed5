"""A device's connection to the service, which is down now and then."""

import random
import time

import httpx

from tests.chaos.load import ACCOUNT
from tests.chaos.replicas.store import Answer, Request

TOLD = ("etag", "tickbase-operation", "idempotency-replayed")  # headers that an answer is held to
UP, DOWN = (3.0, 10.0), (0.5, 4.0)  # seconds
LOST = 0.05  # the share of writes whose answer does not arrive


class Weather:
    """When the device is offline: the same for all of its threads. `is_fair` is never."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._is_up, self._until = True, 0.0
        self.is_fair = False

    def is_offline(self) -> bool:
        now = time.monotonic()
        if now > self._until:
            self._is_up = not self._is_up
            self._until = now + self._random.uniform(*(UP if self._is_up else DOWN))
        return not (self._is_up or self.is_fair)

    def loses_answer(self) -> bool:
        return not self.is_fair and self._random.random() < LOST


class Line:
    """Asks as one session, and signs in anew when that is gone. For one thread."""

    def __init__(self, base: str, weather: Weather) -> None:
        self.weather = weather
        # Reading the certificates of the world takes longer than the device's start.
        self.http = httpx.Client(base_url=base, timeout=30, verify=False)

    def ask(self, request: Request, attempts: int = 0) -> Answer | None:
        """None without an answer, and after one that says nothing but that the service is not there."""
        if self.weather.is_offline() or not self.is_signed_in():
            return None
        method, path, body, headers = request
        began_at = time.monotonic()
        try:
            answer = self.http.request(method, f"/api/me{path}", json=body, headers=headers)
        except httpx.TransportError:
            return None
        if answer.status_code == 401:
            del self.http.headers["Authorization"]
        is_lost = attempts > 0 and self.weather.loses_answer()
        if is_lost or answer.status_code in (401, 429, 503) or is_in_flight(answer):
            return None
        told = {name: answer.headers[name] for name in TOLD if name in answer.headers}
        ended_at = time.monotonic()
        found = answer.json() if answer.content else None
        return Answer(request, attempts, began_at, ended_at, answer.status_code, told, found)

    def is_signed_in(self) -> bool:
        if "Authorization" in self.http.headers:
            return True
        try:
            answer = self.http.post("/api/auth/login", json=ACCOUNT)
        except httpx.TransportError:
            return False
        if answer.status_code == 200:
            self.http.headers["Authorization"] = f"Bearer {answer.json()['access']}"
        return answer.status_code == 200


def is_in_flight(answer: httpx.Response) -> bool:
    """The same request is being answered already, to a device that did not wait for it."""
    return answer.status_code == 409 and answer.json()["code"] == "idempotency_key_in_flight"
