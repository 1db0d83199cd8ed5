"""What the service's database says has happened, read by the operator: the log of an epoch, and each state by it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tests.chaos.cluster import DATABASE, Cluster

LOG = """
    SELECT version, operation, kind, type, object_id, previous, diff FROM users_change ORDER BY version
"""
BLANK: dict[str, dict[str, Any]] = {
    "task": {
        "description": "", "status": "pending", "priority": "medium", "tags": [], "due_date": None, "due_at": None,
        "completed_at": None, "project_id": None, "parent_id": None, "recurrence": None, "completions": 0,
        "last_completed_at": None, "extra": {},
    },
    "project": {"description": "", "color": None, "parent_id": None, "archived_at": None, "extra": {}},
}  # fmt: skip


class Entry(NamedTuple):
    version: int
    operation: int
    kind: str
    type: str
    id: int
    previous: int | None
    diff: dict[str, Any]  # the value of each column before and after


class State(NamedTuple):
    """An object as it was at one version."""

    type: str
    id: int
    members: Mapping[str, Any]  # those that the log tells of
    is_deleted: bool


class History:
    """The log as it was when an epoch ended, or as it is now."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries = {entry.version: entry for entry in entries}
        self.states: dict[int, State] = {}
        self.operations: dict[int, list[Entry]] = defaultdict(list)
        self.erased = {(entry.type, entry.id) for entry in self.entries.values() if entry.kind == "erased"}
        self.current: dict[tuple[str, int], int] = {}  # the last version of each object
        self.born: dict[tuple[str, int], int] = {}  # the first one, as another epoch may give its id to another object
        self.written: Counter[str] = Counter()  # how often each title and name was
        self.lies: list[str] = []  # where an entry contradicts those before
        for entry in self.entries.values():
            self._apply(entry)

    def _apply(self, entry: Entry) -> None:
        key = entry.type, entry.id
        known = self.states[self.current[key]] if key in self.current else None
        if entry.previous != self.current.get(key):
            self.lies.append(f"entry {entry.version} follows {entry.previous} instead of {self.current.get(key)}")
        members = dict(known.members if known else BLANK[entry.type])
        if key not in self.erased:
            for name, (old, new) in entry.diff.items():
                if known and name != "deleted_at" and members.get(name) != old:
                    self.lies.append(f"entry {entry.version} changes {name} from {old}, not from {members.get(name)}")
                members[name] = new
        if entry.kind != "undone":
            self.written.update(entry.diff[name][1] for name in ("title", "name") if name in entry.diff)
        self.operations[entry.operation].append(entry)
        self.current[key] = entry.version
        self.born.setdefault(key, entry.version)
        self.states[entry.version] = State(*key, members, self._is_deleted(entry, known))

    def _is_deleted(self, entry: Entry, known: State | None) -> bool:
        if "deleted_at" in entry.diff:
            return entry.diff["deleted_at"][1] is not None
        # Of what was erased, the entries do not tell any more.
        return entry.kind in ("deleted", "erased") or (
            entry.kind != "restored" and known is not None and known.is_deleted
        )

    def live(self) -> dict[tuple[str, int], int]:
        """The version of each object that is not deleted."""
        return {key: version for key, version in self.current.items() if not self.states[version].is_deleted}


def read(database: Cluster) -> History:
    return History(Entry(*row) for row in database.sql(LOG, database=DATABASE))


def base_of(database: Cluster) -> int:
    """The number from which on the versions of this epoch count."""
    [(base,)] = database.sql("SELECT base FROM users_epoch", database=DATABASE)
    return int(base)


def head_of(database: Cluster) -> int:
    sql = "SELECT coalesce((SELECT max(head) FROM tasks_feed), base) FROM users_epoch"
    [(head,)] = database.sql(sql, database=DATABASE)
    return int(head)
