"""Clients that keep a copy of what a user has by reading its changes, beside what is stored."""

from collections.abc import Sequence
from typing import Any

from tests.replica import as_json
from users.models import User
from users.resources.log import CursorExpired
from users.resources.resource import registered
from users.sync import changes
from users.sync.cursors import Cursor

Objects = dict[tuple[str, int], dict[str, Any]]  # by type and id, as the API shows them


def live(user: User) -> Objects:
    """All that is not in the trash, read row by row and not by the log."""
    return {
        (resource.name, row.pk): as_json(resource.serializer.represent_row(row, user.public_id))
        for resource in registered()
        for row in resource.model.objects.for_user(user).visible()
    }


class Copy:
    """Reads page by page, and begins anew when it is told to."""

    def __init__(self, user: User, names: Sequence[str] | None = None) -> None:
        self.user, self.names = user, names
        self.objects: Objects = {}
        self.cursor: Cursor | None = None
        self.versions: list[int] = []  # as they came
        self.restarts = 0

    def read(self, limit: int) -> bool:
        """One page; returns whether there is more."""
        try:
            page = changes.page(self.user, limit, self.cursor, self.names)
        except CursorExpired:
            self.cursor, self.objects, self.restarts = None, {}, self.restarts + 1
            return True
        for change in page.changes:
            self.apply(as_json(change))
        self.cursor = page.cursor
        return page.more

    def apply(self, change: dict[str, Any]) -> None:
        self.versions.append(change["version"])
        if "deleted" in change:
            assert change.keys() == {"type", "version", "deleted", "id", "uid"}
            self.objects.pop((change["type"], change["id"]), None)
        else:
            assert change.keys() == {"type", "version", "object"}
            assert change["object"]["version"] == change["version"]
            self.objects[change["type"], change["object"]["id"]] = change["object"]

    def follow(self, limit: int = 500) -> "Copy":
        while self.read(limit):
            pass
        return self
