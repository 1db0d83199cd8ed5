"""What a device keeps on its disk: its copy, what waits to be sent, and every answer that it ever got."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

SCHEMA = """
    CREATE TABLE IF NOT EXISTS object (type TEXT, id INTEGER, uid TEXT, body TEXT, PRIMARY KEY (type, id));
    CREATE TABLE IF NOT EXISTS tombstone (type TEXT, id INTEGER, uid TEXT, PRIMARY KEY (type, id));
    CREATE TABLE IF NOT EXISTS document (
        type TEXT, uid TEXT, own TEXT, assumed TEXT, attempts INTEGER DEFAULT 0, PRIMARY KEY (type, uid)
    );
    CREATE TABLE IF NOT EXISTS waiting (number INTEGER PRIMARY KEY, request TEXT, attempts INTEGER DEFAULT 0);
    CREATE TABLE IF NOT EXISTS answer (number INTEGER PRIMARY KEY AUTOINCREMENT, told TEXT);
    CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, value TEXT);
"""

Objects = dict[tuple[str, int], dict[str, Any]]  # by type and id, as the API shows them


class Request(NamedTuple):
    method: str
    path: str  # below /api/me
    body: Any = None
    headers: dict[str, str] = {}  # noqa: RUF012 (never changed)


class Answer(NamedTuple):
    """What a device was told, and what it had asked."""

    request: Request
    attempts: int  # with this one; 0 for a read
    began_at: float  # in time.monotonic(), which all processes share
    ended_at: float
    status: int
    headers: dict[str, str]  # in small letters
    body: Any

    @property
    def number(self) -> int | None:
        """That of the ETag: the version of an object, or the head."""
        tag = self.headers.get("etag")
        return int(tag.strip('"')) if tag else None

    @property
    def operation(self) -> int | None:
        """Of a write that had an effect, now or when it was first sent."""
        operation = self.headers.get("tickbase-operation")
        return int(operation) if operation else None

    @property
    def is_replay(self) -> bool:
        return "idempotency-replayed" in self.headers


class Document(NamedTuple):
    """An RxDB client's: as it is here, and as the server's was when it was read or written last."""

    type: str
    own: dict[str, Any]
    assumed: dict[str, Any] | None
    attempts: int = 0  # since that was known

    @property
    def is_pending(self) -> bool:
        return self.own != self.assumed


class Store:
    """A connection to the file, for one thread. What is committed outlives `kill -9`."""

    def __init__(self, path: Path) -> None:
        self._file = sqlite3.connect(path, timeout=60, isolation_level=None)
        self._file.execute("PRAGMA journal_mode = WAL")
        self._file.execute("PRAGMA synchronous = OFF")  # the machine does not crash
        self._file.executescript(SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Without an end, if the process is killed within it: then nothing of it is there."""
        self._file.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._file.execute("ROLLBACK")
            raise
        self._file.execute("COMMIT")

    # --- The copy -----------------------------------------------------------------------------------

    def put(self, type_: str, shown: dict[str, Any]) -> None:
        row = (type_, shown["id"], shown["uid"], json.dumps(shown))
        self._file.execute("INSERT OR REPLACE INTO object VALUES (?, ?, ?, ?)", row)
        self._file.execute("DELETE FROM tombstone WHERE type = ? AND id = ?", row[:2])

    def remove(self, type_: str, id_: int, uid: str) -> None:
        self._file.execute("DELETE FROM object WHERE type = ? AND id = ?", [type_, id_])
        self._file.execute("INSERT OR REPLACE INTO tombstone VALUES (?, ?, ?)", [type_, id_, uid])

    def drop_copy(self) -> None:
        """Also the head: after a restore, the server's may come to the same number while the copy is still empty."""
        for table in ("object", "tombstone", "kept WHERE name IN ('cursor', 'head')"):
            self._file.execute(f"DELETE FROM {table}")  # noqa: S608

    def objects(self) -> Objects:
        rows = self._file.execute("SELECT type, id, body FROM object")
        return {(type_, id_): json.loads(body) for type_, id_, body in rows}

    def count(self, type_: str) -> int:
        return int(self._file.execute("SELECT count(*) FROM object WHERE type = ?", [type_]).fetchone()[0])

    def some_object(self, type_: str) -> dict[str, Any] | None:
        sql = "SELECT body FROM object WHERE type = ? ORDER BY random() LIMIT 1"
        row = self._file.execute(sql, [type_]).fetchone()
        return json.loads(row[0]) if row else None

    def some_tombstone(self, type_: str) -> tuple[int, str] | None:
        """Its id and uid."""
        sql = "SELECT id, uid FROM tombstone WHERE type = ? ORDER BY random() LIMIT 1"
        found: tuple[int, str] | None = self._file.execute(sql, [type_]).fetchone()
        return found

    # --- The copy of an RxDB client -------------------------------------------------------------------

    def documents(self, type_: str) -> list[Document]:
        sql = "SELECT own, assumed, attempts FROM document WHERE type = ?"
        rows = self._file.execute(sql, [type_])
        return [Document(type_, json.loads(own), json.loads(assumed or "null"), sent) for own, assumed, sent in rows]

    def put_document(self, document: Document) -> None:
        own, assumed = (json.dumps(each, sort_keys=True) for each in (document.own, document.assumed))
        row = (document.type, document.own["uid"], own, assumed, document.attempts)
        self._file.execute("INSERT OR REPLACE INTO document VALUES (?, ?, ?, ?, ?)", row)

    def drop_known_documents(self, type_: str) -> None:
        """All but those that wait to be pushed."""
        self._file.execute("DELETE FROM document WHERE type = ? AND own = assumed", [type_])

    # --- What waits ---------------------------------------------------------------------------------

    def add(self, request: Request) -> None:
        self._file.execute("INSERT INTO waiting (request) VALUES (?)", [json.dumps(request)])

    def waiting(self) -> int:
        """How many requests, and how many documents that are not as the server's."""
        sql = "SELECT (SELECT count(*) FROM waiting) + (SELECT count(*) FROM document WHERE own IS NOT assumed)"
        return int(self._file.execute(sql).fetchone()[0])

    def next_attempt(self) -> tuple[int, Request, int] | None:
        """The oldest that waits: its number, and how often it is sent with this time."""
        sql = """
            UPDATE waiting SET attempts = attempts + 1 WHERE number = (SELECT min(number) FROM waiting)
            RETURNING number, request, attempts
        """
        row = self._file.execute(sql).fetchone()
        return (row[0], Request(*json.loads(row[1])), row[2]) if row else None

    def answered(self, number: int, answer: Answer) -> None:
        with self.transaction():
            self.note(answer)
            self._file.execute("DELETE FROM waiting WHERE number = ?", [number])

    # --- What was told, and what else there is ----------------------------------------------------------

    def note(self, answer: Answer) -> None:
        self._file.execute("INSERT INTO answer (told) VALUES (?)", [json.dumps(answer)])

    def answers(self) -> Iterator[Answer]:
        """In the order in which they came."""
        for (told,) in self._file.execute("SELECT told FROM answer ORDER BY number"):
            request, *others = json.loads(told)
            yield Answer(Request(*request), *others)

    def keep(self, name: str, value: str) -> None:
        self._file.execute("INSERT OR REPLACE INTO kept VALUES (?, ?)", [name, value])

    def kept(self, name: str) -> str | None:
        row = self._file.execute("SELECT value FROM kept WHERE name = ?", [name]).fetchone()
        return str(row[0]) if row else None
