"""Zip archives are unpacked within bounds, whatever they say about themselves."""

import io
import struct
import time
import tracemalloc
import zipfile
from random import Random

import pytest

from tasks.formats import archives, google_tasks, todoist_csv, vikunja
from tasks.formats.archives import unpack
from tasks.formats.drafts import Degraded, UnreadableFile
from tests.formats.samples import BERLIN, named, zipped


def refusal(data: bytes) -> str:
    with pytest.raises(UnreadableFile) as caught:
        unpack(data, lambda name: True)
    return str(caught.value)


def test_entries_and_the_names_of_others() -> None:
    data = zipped({"data.json": b"[]", "9": b"x" * 10, "folder/": b""})
    assert unpack(data, lambda name: name == "data.json") == ({"data.json": b"[]"}, ["9"])


@pytest.mark.parametrize("content", [b" " * 120 * 1024**2, b"0" * 20_000_000], ids=["120 MiB", "20 MB"])
def test_bomb_is_not_unpacked(content: bytes) -> None:
    data = zipped({"data.json": content})
    tracemalloc.start()
    started = time.perf_counter()
    assert "times its size" in refusal(data)
    assert time.perf_counter() - started < 2
    assert tracemalloc.get_traced_memory()[1] < 40_000_000
    tracemalloc.stop()


def test_more_than_the_limit_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound is over all entries; here it is small."""
    monkeypatch.setattr(archives, "MAX_UNPACKED", 100_000)
    data = zipped({str(number): bytes(range(256)) * 200 for number in range(2)})
    assert "come out of it" in refusal(data)


def test_too_many_entries() -> None:
    assert "10000 entries" in refusal(zipped({str(number): b"" for number in range(10_001)}))


@pytest.mark.parametrize("name", ["/etc/passwd", "../data.json", "a/../../b", "..\\b", "C:\\b", "\\\\host\\b"])
def test_path_out_of_the_archive(name: str) -> None:
    assert "outside of itself" in refusal(zipped({name: b"x"}))


def test_more_short_lines_than_fit_into_memory() -> None:
    data = zipped({str(number): Random(1).randbytes(3000) + b"\n" * 130_000 for number in range(2)})
    assert "250,000 lines" in refusal(data)


def test_two_entries_of_one_name() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("data.json", b"[]")
        archive.writestr("data.json", b"[1]")
    assert "two entries" in refusal(buffer.getvalue())


def patched(data: bytes, signature: bytes, offset: int, value: int) -> bytes:
    """With another number in the first header of a kind."""
    at = data.index(signature) + offset
    return data[:at] + struct.pack("<I", value) + data[at + 4 :]


def test_claim_of_a_gigabyte_is_not_believed() -> None:
    """Neither in the directory nor before the entry: what comes out counts, and does not fit the claim."""
    data = zipped({"data.json": b"[]" * 1000})
    for signature, offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22), (b"PK\x01\x02", 20)):
        lying = patched(data, signature, offset, 10**9)
        tracemalloc.start()
        try:
            unpack(lying, lambda name: True)
        except UnreadableFile as error:
            assert error.message
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
        tracemalloc.stop()


def test_claim_of_less_than_comes_out() -> None:
    lying = patched(zipped({"data.json": b"[]" * 1000}), b"PK\x01\x02", 24, 4)
    assert "cannot be read" in refusal(lying)


def test_damaged_content_and_a_password() -> None:
    data = zipped({"data.json": bytes(range(256)) * 10})
    assert "cannot be read" in refusal(data[:60] + b"\x00\xff" * 10 + data[80:])
    assert "cannot be read" in refusal(patched(patched(data, b"PK\x01\x02", 8, 1), b"PK\x03\x04", 6, 1))


@pytest.mark.parametrize("quarter", [1, 2, 3])
def test_truncated(quarter: int) -> None:
    data = named("vikunja").data
    assert "cannot be read" in refusal(data[: len(data) * quarter // 4])


def test_vikunja_without_its_data() -> None:
    with pytest.raises(UnreadableFile, match=r"no data\.json"):
        vikunja.read(zipped({"other.json": b"[]"}), BERLIN)


def test_todoist_backup_is_a_project_a_file() -> None:
    table = named("todoist.csv").data
    data = zipped({"Inbox [123].csv": table, "Garden.csv": table, "readme.txt": b"x"})
    document = todoist_csv.read(data, BERLIN)
    assert [project.name for project in document.projects] == ["Inbox", "Garden"]
    assert len(document.tasks) == 2 * len(todoist_csv.read(table, BERLIN).tasks)
    assert len({task.uid for task in document.tasks}) == len(document.tasks)
    assert Degraded(0, "file", "readme.txt", None) in document.degraded
    assert todoist_csv.matches(data, "")


def test_error_within_an_archive_names_the_file_and_the_line() -> None:
    with pytest.raises(UnreadableFile) as caught:
        todoist_csv.read(zipped({"Garden.csv": b'TYPE,CONTENT\ntask,"x'}), BERLIN)
    assert caught.value.place == "Garden.csv, line 2"


def test_takeout_archive() -> None:
    data = zipped({"Takeout/Tasks/Tasks.json": named("google-tasks.json").data, "Takeout/archive_browser.html": b"x"})
    assert google_tasks.matches(data, "takeout.zip")
    document = google_tasks.read(data, BERLIN)
    assert [note.value for note in document.degraded] == ["Takeout/archive_browser.html"]
    assert document.tasks == named("google-tasks.json").read().tasks
