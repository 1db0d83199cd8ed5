"""Zip archives, unpacked in memory within bounds, whatever their directory says about sizes."""

import io
import zipfile
import zlib
from collections.abc import Callable, Iterator

from tasks.formats.drafts import UnreadableFile

MAX_ENTRIES = 10_000
MAX_UNPACKED = 100 * 1024 * 1024
MAX_PARTS = 250_000  # lines, or objects of JSON, that come out; short ones take many times their size in memory
MAX_RATIO = 100  # of what comes out to what lies in the archive
FREE = 64 * 1024  # bytes that may come out of an entry whatever their ratio
_PIECE = 64 * 1024


def is_zip(data: bytes) -> bool:
    return data.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def unpack(data: bytes, wanted: Callable[[str], bool]) -> tuple[dict[str, bytes], list[str]]:
    """The entries that are wanted, and the names of the others. Raises UnreadableFile."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if len(entries) > MAX_ENTRIES:
                raise UnreadableFile(f"The archive has more than {MAX_ENTRIES} entries.")
            left, parts, found = MAX_UNPACKED, MAX_PARTS, {}
            for entry in entries:
                _check_name(entry.filename)
                if not wanted(entry.filename):
                    continue
                if entry.filename in found:
                    raise UnreadableFile("The archive has two entries of this name.", entry.filename[:100])
                found[entry.filename] = b"".join(_pieces(archive, entry, left))
                left -= len(found[entry.filename])
                parts -= max(found[entry.filename].count(b"\n"), found[entry.filename].count(b"{"))
                if parts < 0:
                    raise UnreadableFile(f"It has more than {MAX_PARTS:,} lines, or objects of JSON; split it.")
            return found, [entry.filename for entry in entries if entry.filename not in found]
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        # RuntimeError is a password, NotImplementedError a method or version; the rest is damaged.
        raise UnreadableFile(f"The archive cannot be read: {error}.") from None


def _check_name(name: str) -> None:
    if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or name[1:2] == ":":
        raise UnreadableFile("The archive names a path outside of itself.", name[:100])


def _pieces(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, left: int) -> Iterator[bytes]:
    """Counts what really comes out; sizes in a directory may lie."""
    unpacked, allowed = 0, max(FREE, entry.compress_size * MAX_RATIO)
    with archive.open(entry) as stream:
        while piece := stream.read(_PIECE):
            unpacked += len(piece)
            if unpacked > left:
                raise UnreadableFile(f"More than {MAX_UNPACKED // 1024**2} MiB come out of it.", entry.filename[:100])
            if unpacked > allowed:
                raise UnreadableFile(f"More than {MAX_RATIO} times its size comes out of it.", entry.filename[:100])
            yield piece
