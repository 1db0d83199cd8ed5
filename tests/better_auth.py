"""A Better Auth server as its users run it, from the npm registry, and somebody who signs up there."""

import subprocess
import threading
from pathlib import Path
from typing import Self

import httpx

from tests.server import free_port

START_SECONDS = 30


class BetterAuth:
    def __init__(self, project: Path) -> None:
        self.project = project
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What Tickbase needs to know of it; without further settings its address is both names."""
        return {
            "JWT_EXTERNAL_ISSUER": self.base,
            "JWT_EXTERNAL_AUDIENCE": self.base,
            "JWT_EXTERNAL_JWKS_URL": f"{self.base}/api/auth/jwks",
        }

    def sign_up(self, email: str, name: str) -> tuple[str, str]:
        """Returns the id of the new user there, and a JWT."""
        with httpx.Client(base_url=f"{self.base}/api/auth", headers={"Origin": self.base}) as browser:
            body = {"email": email, "password": "correct horse battery", "name": name}
            user = browser.post("/sign-up/email", json=body).raise_for_status().json()["user"]
            return user["id"], browser.get("/token").raise_for_status().json()["token"]

    def __enter__(self) -> Self:
        # It ends when its standard input does, even if this process is killed.
        self.process = subprocess.Popen(
            ["node", "serve.mjs", str(self.port)],
            cwd=self.project,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        timer = threading.Timer(START_SECONDS, self.process.kill)
        timer.start()
        printed = ""
        while "listening" not in printed:
            line = self.process.stdout.readline()
            assert line, f"Better Auth did not start:\n{printed}"
            printed += line
        timer.cancel()
        return self

    def __exit__(self, *args: object) -> None:
        self.process.terminate()
        self.process.communicate(timeout=10)
