"""Damaged and hostile files of the text formats: refused by their place, or noted; in bounded time and memory."""

import datetime as dt
import gc
import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.formats import files, ical, ics, taskwarrior, todo_txt
from tasks.formats.drafts import Document, TaskDraft, UnreadableFile, WritableFormat
from tests.formats.text_files import BERLIN, SAMPLES, read, sample

pytestmark = pytest.mark.thorough

MODULES: dict[str, WritableFormat] = {".txt": todo_txt, ".json": taskwarrior, ".ics": ics}
FILES = sorted(path.name for path in SAMPLES.iterdir() if path.suffix in MODULES)
each_format = pytest.mark.parametrize("module", MODULES.values(), ids=lambda module: module.NAME)


def read_or_refuse(module: WritableFormat, data: bytes) -> Document | None:
    try:
        document = module.read(data, BERLIN)
    except UnreadableFile as refusal:
        assert refusal.message and refusal.place
        return None
    text = json.dumps(asdict(document), default=str, ensure_ascii=False)
    assert "\0" not in text and "\\u0000" not in text
    assert text.encode()
    uids = [draft.uid for draft in [*document.projects, *document.tasks]]
    assert all(uids) and len({task.uid for task in document.tasks}) == len(document.tasks)
    return document


def todos(*properties: str, count: int = 1) -> bytes:
    body = "\n".join(["BEGIN:VTODO", *properties, "END:VTODO", ""])
    return f"BEGIN:VCALENDAR\n{body * count}END:VCALENDAR\n".encode()


def calendars(line: str, count: int) -> bytes:
    return "".join(f"BEGIN:VCALENDAR\n{line.format(number)}\nEND:VCALENDAR\n" for number in range(count)).encode()


def entry(**members: object) -> bytes:
    return json.dumps([{"description": "a", "status": "pending", "uuid": "u"} | members]).encode()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("quarter", [0, 1, 2, 3])
def test_truncated_files(name: str, quarter: int) -> None:
    module, data = MODULES[name[name.index(".") :]], sample(name)
    document = read_or_refuse(module, data[: len(data) * quarter // 4])

    assert document is None or module is todo_txt or name == "taskwarrior-lines.json"


@pytest.mark.parametrize("name", FILES)
@given(st.data())
def test_damaged_files(name: str, data: st.DataObject) -> None:
    raw = bytearray(sample(name))
    for _ in range(data.draw(st.integers(1, 5))):
        start = data.draw(st.integers(0, len(raw) - 1))
        junk = st.sampled_from(
            [b"\0", b"\xff", b"\n", b"\r", b'"', b"\\", b":", b";", b"99999999", b"0000", b"[", b"{"]
        )
        raw[start : start + data.draw(st.integers(0, 4))] = data.draw(junk)

    read_or_refuse(MODULES[name[name.index(".") :]], bytes(raw))


@each_format
@given(data=st.binary(max_size=200) | st.text().map(str.encode))
def test_any_bytes(module: WritableFormat, data: bytes) -> None:
    read_or_refuse(module, data)


@each_format
@pytest.mark.parametrize(
    "data",
    ["(A) Grüße".encode("latin-1"), b"a\xed\xa0\x80", b"\xff\xfea", b"PK\x03\x04\xff"],
)
def test_wrong_encodings_are_unreadable(module: WritableFormat, data: bytes) -> None:
    with pytest.raises(UnreadableFile) as refusal:
        module.read(data, BERLIN)

    assert refusal.value.place == "line 1"


@pytest.mark.parametrize(
    ("module", "data"),
    [
        (todo_txt, b"Call\0 Ann"),
        (taskwarrior, b'[{"description":"a\\u0000b","uuid":"u"}]'),
        (taskwarrior, b'[{"description":"a\0b","uuid":"u"}]'.replace(b"\0", b"\\\\\\u0000")),
        (taskwarrior, b'[{"description":"a\\ud800b","uuid":"u"}]'),
        (ics, todos("SUMMARY:a\0b")),
    ],
)
def test_nul_and_surrogates_are_replaced_and_told(module: WritableFormat, data: bytes) -> None:
    document = module.read(data, BERLIN)

    assert "\ufffd" in document.tasks[0].title
    assert "cannot be stored" in document.warnings[0]


DUES: list[object] = ["99991231T235959Z", "00010101T000000Z", "0", 1, {}, "99999999"]


@pytest.mark.parametrize(
    ("module", "data"),
    [
        *((todo_txt, f"a due:{day}".encode()) for day in ("9999-12-31", "0001-01-01", "0000-01-01", "2026-02-30")),
        (todo_txt, b"x 0001-01-01 0001-01-01 a due:0001-01-01 at:00:00+14:00"),
        *((taskwarrior, entry(due=due)) for due in DUES),
        (
            taskwarrior,
            entry(due="00010101", entry="00010101", modified="99991231T235959-1400", end="x", status="completed"),
        ),
        *((ics, todos(f"DUE:{due}")) for due in ("99991231T235959Z", "00010101T000000", "00000000", "20260701T250000")),
        (ics, todos("DUE;TZID=Asia/Tokyo:00010101T000000", "DTSTART:99991231T000000Z", "DURATION:P99999W")),
        (ics, todos("DTSTART:99991231T000000Z", "DURATION:P99999W", "CREATED:00010101", "LAST-MODIFIED:x")),
    ],
)
def test_dates_out_of_range_are_dates_or_noted(module: WritableFormat, data: bytes) -> None:
    document = read_or_refuse(module, data)

    assert document is not None
    assert b"".join(module.write(document.projects, document.tasks, BERLIN))


BOMBS = ["FREQ=SECONDLY", "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "FREQ=YEARLY;BYEASTER=0", "A" * 100_000, "FREQ=", ";;="]


@pytest.mark.parametrize("rule", BOMBS)
def test_bombs_of_rules_cost_no_time(rule: str) -> None:
    begun = time.process_time()
    closed = ["RECURRENCE-ID;VALUE=DATE:20260101", "STATUS:COMPLETED"]
    override = "\n".join(["BEGIN:VTODO", "UID:u", *closed, "END:VTODO", "END:VCALENDAR", ""])
    data = todos("UID:u", "DUE;VALUE=DATE:20260101", f"RRULE:{rule}").replace(b"END:VCALENDAR\n", override.encode())

    document = read_or_refuse(ics, data)

    assert document is not None and document.tasks[0].recurrence == {"rule": rule, "from": "due"}
    assert time.process_time() - begun < 1


def test_zones_that_files_define_cost_no_time() -> None:
    begun = time.process_time()
    for rule in ("FREQ=SECONDLY", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "FREQ=YEARLY;BYSECOND=0,1,2"):
        lines = ["DTSTART:00010101T000000", "TZOFFSETFROM:+0100", "TZOFFSETTO:+0200", f"RRULE:{rule}"]
        kinds = ["\n".join([f"BEGIN:{kind}", *lines, f"END:{kind}"]) for kind in ("STANDARD", "DAYLIGHT")]
        zone = "\n".join(["BEGIN:VTIMEZONE", "TZID:z", *kinds, "END:VTIMEZONE", ""])
        data = todos("DUE;TZID=z:99980101T000000").replace(b"BEGIN:VTODO", f"{zone}BEGIN:VTODO".encode())
        assert read_or_refuse(ics, data) is not None

    assert time.process_time() - begun < 1


def test_circles_of_parents_are_cut() -> None:
    size = 10_000
    lines = "\n".join(f"a uid:{number} p:{(number + 1) % size}" for number in range(size))
    document = read(todo_txt, lines)

    assert [task.row for task in document.tasks if task.parent is None] == [1]
    assert len(document.degraded) == 1


@pytest.mark.parametrize(
    ("module", "data"),
    [
        (taskwarrior, b"[" * 100_000),
        (taskwarrior, b'[{"description":"a","uuid":"u","x":' + b"[" * 900 + b"]" * 900 + b"}]"),
        (taskwarrior, b'[{"description":"a","uuid":"u","project":"' + b"a." * 500_000 + b'a"}]'),
        (ics, b"BEGIN:VCALENDAR\n" + b"BEGIN:VTODO\n" * 10_000),
        (todo_txt, "\n".join(f"a uid:{number} p:{number + 1}" for number in range(10_000)).encode()),
    ],
    ids=["arrays", "a nested value", "projects", "components", "parents"],
)
def test_ten_thousand_levels(module: WritableFormat, data: bytes) -> None:
    begun = time.process_time()
    read_or_refuse(module, data)

    assert time.process_time() - begun < 2


GROWING: list[tuple[WritableFormat, Callable[[int], bytes]]] = [
    (todo_txt, lambda size: b"a" * size),
    (todo_txt, lambda size: b"a: " * (size // 3)),
    (todo_txt, lambda size: b"a:b " * (size // 4)),
    (todo_txt, lambda size: b"+a " * (size // 3)),
    (todo_txt, lambda size: b" ".join(b"+%d" % number for number in range(size // 8))),
    (todo_txt, lambda size: b"same\n" * (size // 5)),
    (todo_txt, lambda size: b"%41" * (size // 3) + b" uid:" + b"%41" * (size // 3)),
    (taskwarrior, lambda size: entry(description="a" * size, tags=["a"] * (size // 8))),
    (taskwarrior, lambda size: b'[{"description":"' + b"\\\\" * size + b'\\u0000"}]'),
    (taskwarrior, lambda size: b'{"a":1}\n' * (size // 8)),
    (ics, lambda size: todos("SUMMARY:" + "\n a" * (size // 3))),
    (ics, lambda size: todos("SUMMARY:" + "\\" * size)),
    (ics, lambda size: todos("CATEGORIES:" + "\\," * (size // 2), "CATEGORIES:" + "a,b" * (size // 3))),
    (ics, lambda size: todos('X;A="' + 'a"b' * (size // 3))),
    (ics, lambda size: todos("X" + ";A=b" * (size // 4) + ";TZID=c:d")),
    (ics, lambda size: todos("DUE" + ";A" * (size // 2) + ":20260101")),
    (ics, lambda size: todos(*["X-A:1"] * (size // 6), *["RELATED-TO:a"] * (size // 12))),
    (ics, lambda size: todos("BEGIN:VALARM", "END:VALARM", count=size // 40)),
    (ics, lambda size: todos(*["BEGIN:VALARM", "END:VALARM"] * (size // 24))),
    (ics, lambda size: todos(*["a line"] * (size // 7))),
]


@pytest.mark.parametrize("line", ["X-WR-CALNAME:{}", "X-{}:"])
def test_many_calendars_take_no_time(line: str) -> None:
    data = calendars(line, 25_000)
    begun = time.process_time()
    ics.read(data, BERLIN)
    assert time.process_time() - begun < 4


@pytest.mark.parametrize(("module", "make"), GROWING)
def test_time_grows_with_the_size_alone(module: WritableFormat, make: Callable[[int], bytes]) -> None:
    def cost(size: int) -> float:
        data = make(size)
        gc.disable()  # its cost depends on what other tests left
        begun = time.process_time()
        try:
            with suppress(UnreadableFile):
                module.read(data, BERLIN)
            return time.process_time() - begun
        finally:
            gc.enable()

    cost(1_000)
    assert cost(200_000) < 10 * cost(50_000) + 0.25  # four times, if it is linear


@pytest.mark.parametrize(
    ("module", "data", "place"),
    [
        (todo_txt, b"a\n" * 101, "line 101"),
        (taskwarrior, b"{}\n" * 101, "entry 101"),
        (ics, todos(count=101), "entry 101"),
        (ics, todos(*["X:1"] * 101), "line 103"),
    ],
    ids=["lines", "objects", "to-dos", "properties"],
)
def test_more_than_the_memory_is_meant_for_is_refused(
    module: WritableFormat, data: bytes, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_TASKS", 100)
    monkeypatch.setattr(ical, "MAX_LINES", 100)
    with pytest.raises(UnreadableFile) as refusal:
        module.read(data, BERLIN)

    assert refusal.value.place == place


@each_format
def test_a_series_is_written_as_it_goes_on_from_now(module: WritableFormat) -> None:
    task = TaskDraft(1, "u", title="a", due_date=dt.date(2026, 11, 28))
    task.recurrence = {"rule": "FREQ=DAILY;COUNT=9", "zone": "Europe/Berlin", "left": "4", "anchor": "2026-11-28"}
    found = module.read(b"".join(module.write([], [task], BERLIN)), BERLIN).tasks[0].recurrence

    assert found is not None
    assert (found["rule"], found.get("zone", "Europe/Berlin")) == ("FREQ=DAILY;COUNT=4", "Europe/Berlin")
