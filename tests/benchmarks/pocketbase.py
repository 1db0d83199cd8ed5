"""PocketBase as a peer: the real program, with its own SQLite, its own rules and its own defaults."""

import hashlib
import sqlite3
import subprocess
from pathlib import Path
from typing import Self

import psycopg

from tests.benchmarks.callers import DESCRIPTION, SECRET, TITLE, Caller, role, signed, task_numbers
from tests.benchmarks.data import Size
from tests.benchmarks.servers import BIN, FOLDER, Peer, Refusals

PROGRAM = BIN / "pocketbase"
TASKS = "/api/collections/tasks/records"
PAGE = f"{TASKS}?perPage=50&skipTotal=1&sort=-created&filter=status%3D%22todo%22"
# As PocketBase stores instants.
_TASKS = """
    SELECT id, user_id, title, description, status, to_char(created_at, 'YYYY-MM-DD HH24:MI:SS.MS"Z"'),
        to_char(updated_at, 'YYYY-MM-DD HH24:MI:SS.MS"Z"')
    FROM tasks_task ORDER BY id
"""


class PocketBase(Peer):
    owner, times = "owner", ("created", "updated")
    created = 200
    # Its rules are filters: who may not see a task does not find it.
    refusals = Refusals(page=200, task=404, creation=400)
    lacks = frozenset({"list_304"})

    def __init__(self, folder: Path, database: str, workers: int) -> None:
        """`database` is the URL of the other peers', from which its tasks are copied."""
        self.data, self.database = folder / "pocketbase", database
        self.options = ["--dir", str(self.data), "--migrationsDir", str(FOLDER / "pocketbase"), "--automigrate=false"]
        command = [str(PROGRAM), "serve", "--http", "127.0.0.1:PORT", *self.options]
        super().__init__("PocketBase", command, folder / "pocketbase.log", GOMAXPROCS=str(workers))

    def callers(self, size: Size) -> dict[int, Caller]:
        return {
            user: Caller(
                role=role(user, size),
                user=_record_id("user", user),
                token=_token(user),
                tasks=TASKS,
                page=PAGE,
                etag="none",
                ids=[_record_id("task", number) for number in task_numbers(user, size)],
                new={"owner": _record_id("user", user), "title": TITLE, "description": DESCRIPTION, "status": "todo"},
            )
            for user in range(1, size.users + 1)
        }

    def __enter__(self) -> Self:
        subprocess.run(
            [PROGRAM, "migrate", "up", *self.options], env=self.environment, check=True, stdout=subprocess.DEVNULL
        )
        self._copy_tasks()
        return super().__enter__()

    def _copy_tasks(self) -> None:
        """And their users, by SQL on both sides: through its API, 600 passwords alone take a minute to hash."""
        with psycopg.connect(self.database, options="-c timezone=UTC") as peers:
            tasks = peers.execute(_TASKS).fetchall()
        users = sorted({task[1] for task in tasks})
        own = sqlite3.connect(self.data / "data.db")
        with own:
            own.executemany(
                "INSERT INTO users (id, email, tokenKey, verified) VALUES (?, ?, ?, true)",
                ((_record_id("user", user), f"user{user}@example.com", _token_key(user)) for user in users),
            )
            own.executemany(
                "INSERT INTO tasks (id, owner, title, description, status, created, updated)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                ((_record_id("task", id), _record_id("user", user), *others) for id, user, *others in tasks),
            )
        own.execute("ANALYZE")
        own.close()


def _record_id(kind: str, number: int) -> str:
    """As scattered as those that PocketBase makes."""
    return hashlib.md5(f"{kind}{number}".encode(), usedforsecurity=False).hexdigest()[:15]


def _token_key(user: int) -> str:
    return _record_id("key", user) * 2


def _token(user: int) -> str:
    """PocketBase signs with the user's key and the secret of their collection."""
    claims = {"id": _record_id("user", user), "type": "auth", "collectionId": "_pb_users_auth_", "refreshable": True}
    return signed(claims, secret=_token_key(user) + SECRET)
