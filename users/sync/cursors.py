"""The cursor of sync: how far a client has read what a user has."""

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import NamedTuple, Self
from zlib import crc32

from users.resources.feed import Bounds
from users.resources.log import CursorExpired
from users.tokens.callers import Actor

_PACKED = struct.Struct(">qqqqI")  # before the type, in UTF-8


class Cursor(NamedTuple):
    """A position in a user's log, and during the first sync also in their objects: the last one that was read.

    All that changes from `version` on comes later. The user and a checksum are in it, so that what another user got,
    or what was cut off on its way, is refused: it would skip changes in silence. Whoever forges one harms only their
    own copy.
    """

    user_id: int
    epoch: int
    version: int
    type: str = ""  # of the last object; none once all were read
    id: int = 0

    def encode(self) -> str:
        """As opaque text."""
        packed = self._pack(crc32(self._pack(0)))
        return urlsafe_b64encode(packed).rstrip(b"=").decode()

    def _pack(self, checksum: int) -> bytes:
        return _PACKED.pack(self.user_id, self.epoch, self.version, self.id, checksum) + self.type.encode()

    @classmethod
    def decode(cls, text: str) -> Self:
        """Raises ValueError for any text that `encode` does not make."""
        packed = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        if len(packed) < _PACKED.size:
            raise ValueError("not a cursor")
        user_id, epoch, version, id_, _ = _PACKED.unpack_from(packed)
        cursor = cls(user_id, epoch, version, packed[_PACKED.size :].decode(), id_)
        if cursor.encode() != text or min(user_id, epoch, version, id_) < 0:
            raise ValueError("not a cursor")
        return cursor

    @classmethod
    def at_head(cls, user: Actor, bounds: Bounds) -> Self:
        """Of a client that knows all that there is."""
        return cls(user.pk, bounds.epoch, bounds.head)

    def require_kept(self, bounds: Bounds) -> None:
        """Raises CursorExpired for a cursor of another history, and for one below the floor, up to which entries may be
        gone. To be called with bounds that were read after the entries and their rows, as pruning raises the floor in
        the transaction that deletes them.

        A version that was not given out yet is of another history, too: a failover has lost writes.
        """
        if self.epoch != bounds.epoch or not bounds.floor <= self.version <= bounds.head:
            raise CursorExpired("Too much has changed since then; fetch everything anew.")
