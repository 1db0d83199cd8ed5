"""What a GET of a task takes with a personal token and with a JWT, in turn, so that both meet the same machine.

python -m tests.benchmarks.tokens [REQUESTS]
"""

import http.client
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import httpx

from tests.server import Server

PASSWORD = "correct horse battery"
REQUESTS = 20_000  # with each
WARM_UP = 500


def main(requests: int) -> None:
    with TemporaryDirectory(prefix="tickbase-") as folder, Server(Path(folder)) as server:
        with httpx.Client(base_url=server.base) as client:
            account = {"email": "ada@example.com", "password": PASSWORD}
            access = client.post("/api/auth/register", json=account).raise_for_status().json()["access"]
            client.headers["Authorization"] = f"Bearer {access}"
            task = client.post("/api/me/tasks", json={"title": "One"}).raise_for_status().json()["id"]
            body = {"name": "Benchmark", "scopes": ["tasks:read"]}
            token = client.post("/api/users/me/tokens", json=body).raise_for_status().json()["token"]
        times: dict[str, list[float]] = {access: [], token: []}
        connection = http.client.HTTPConnection(urlsplit(server.base).netloc)
        for number in range(WARM_UP + requests):
            for bearer, taken in times.items():
                began = time.perf_counter()
                connection.request("GET", f"/api/me/tasks/{task}", headers={"Authorization": f"Bearer {bearer}"})
                answer = connection.getresponse()
                answer.read()
                if number >= WARM_UP:
                    taken.append(time.perf_counter() - began)
                assert answer.status == 200
    by_jwt, by_token = (median(taken) * 1e6 for taken in times.values())
    sys.stdout.write(
        f"JWT {by_jwt:.0f} µs, personal token {by_token:.0f} µs (medians of {requests}): {by_token / by_jwt:.3f}\n"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else REQUESTS)
