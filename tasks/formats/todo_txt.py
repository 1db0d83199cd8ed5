"""todo.txt: a task a line, `(A) 2026-11-28 Call Ann +P @c due:2026-12-01 rec:+1w`. https://github.com/todotxt/todo.txt

Words beginning with + and @ are tags: a project of todo.txt is any number of words of a task. What else the model has
is written as `key:value`, so that lines that Tickbase wrote are read as the same tasks: `uid`, `at` (time of day of
`due`), `p` (uid of the parent), `status`, `project` (uid of the project, which the first + word names) and `rrule`
(recurrence that `rec` cannot say). A line cannot say descriptions, completions, times of day of creation and
completion, positions, what projects have beside a name, titles with several spaces or with words that are `+tag`,
`@tag` or `key:value`, and spaces in tags.
"""

import datetime as dt
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, unquote
from zoneinfo import ZoneInfo

from tasks.formats import dates, files, recurrences
from tasks.formats.drafts import MAX_UID, Degraded, Document, ProjectDraft, TaskDraft
from tasks.formats.entries import Uids, settled

NAME = "todotxt"
LABEL = "todo.txt"
MEDIA_TYPE = "text/plain; charset=utf-8"
EXTENSION = "txt"

_OPEN, _CLOSED = ("pending", "in_progress"), ("completed", "cancelled")
_LETTER = re.compile(r"\(([A-Z])\)")
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
# No address (`https://…`, `mailto:…`), no Windows path, no time of day.
_PAIR = re.compile(r"(?!mailto:)([A-Za-z][\w-]*):([^\s/\\]\S*)", re.ASCII)
_REC = re.compile(r"(\+?)([1-9]\d{0,2})?([dbwmy])", re.ASCII)
_SPACES = re.compile(r"[ \t\r\n]+")
_SIGNATURE = re.compile(rb"^(x \d{4}-\d\d-\d\d |\([A-Z]\) |.* ((due|rec|t):[+\d]|uid:))", re.MULTILINE)
_FREQUENCIES = {"d": "DAILY", "w": "WEEKLY", "m": "MONTHLY", "y": "YEARLY"}
_LETTERS = {frequency: letter for letter, frequency in _FREQUENCIES.items()}
_WORKDAYS = "BYDAY=MO,TU,WE,TH,FR"
_PLAIN = re.compile(rf"FREQ=({'|'.join(_LETTERS)})(?:;INTERVAL=([1-9]\d{{0,2}}))?", re.ASCII)


def matches(start: bytes, name: str) -> bool:
    if start[:1] in (b"[", b"{") or b"BEGIN:VCALENDAR" in start[:20]:
        return False
    return name.lower().endswith(".txt") or (not name and _SIGNATURE.search(start) is not None)


# --- In ---------------------------------------------------------------------------------------------


def read(data: bytes, zone: ZoneInfo) -> Document:
    document = Document()
    reader = _Reader(document, zone)
    for row, line in enumerate(files.decode_lines(data, document).split("\n"), 1):
        if words := [word for word in _SPACES.split(line) if word]:
            document.tasks.append(reader.task(row, words))
            files.check_count(len(document.tasks), "line")
    reader.name_parents()
    return settled(document)


class _Reader:
    def __init__(self, document: Document, zone: ZoneInfo) -> None:
        self.document, self.zone = document, zone
        self.made = Uids(NAME)
        self.uids: set[str] = set()
        self.ids: dict[str, str] = {}  # `id:` to uid
        self.projects: set[str] = set()

    def task(self, row: int, words: list[str]) -> TaskDraft:
        done = words[0] == "x" and len(words) > 1
        start = int(done)
        letter = _LETTER.fullmatch(words[start])
        start += bool(letter)
        days: list[dt.date] = []
        while start < len(words) and len(days) < 1 + done and (day := _day(words[start])):
            days.append(day)
            start += 1
        body = words[start:] or words
        task = TaskDraft(row, "", status="completed" if done else "pending")
        pairs = self._sort(task, body)
        closed = days.pop(0) if done and days else None
        if days:
            task.created_at = self._midnight(task, "created", days[0])
        if letter:
            pairs["pri"] = letter[1]
        self._take_pairs(task, pairs)
        if closed and task.status == "completed":
            task.completed_at = self._midnight(task, "completed", closed)
        elif closed and closed not in days:  # of a cancelled task
            task.extra["(x)"] = closed.isoformat()
        task.uid = self._uid(task, body, pairs.pop("uid", None))
        if "id" in pairs:
            self.ids.setdefault(pairs["id"], task.uid)
        task.extra |= pairs
        return task

    def _sort(self, task: TaskDraft, body: list[str]) -> dict[str, str]:
        """Words into title and tags; answers the pairs. Of equal keys the last is meant, as Tickbase writes its own."""
        found = [_PAIR.fullmatch(word) for word in body]
        pairs = {pair[1]: pair[2] for pair in found if pair}
        tags: dict[str, None] = {}
        plus: dict[str, None] = {}
        title = []
        for word, pair in zip(body, found, strict=True):
            if word[0] in "+@" and len(word) > 1:
                tags[word[1:]] = None
                if word[0] == "+":
                    plus[word[1:]] = None
            elif not pair or pairs[pair[1]] != pair[2]:
                title.append(word)
        if "project" in pairs and plus:
            name = next(iter(plus))
            del plus[name]
            if f"@{name}" not in body:
                del tags[name]
            self._project(task, pairs.pop("project"), name)
        without_uid = dict.fromkeys(word for word in body if not word.startswith("uid:"))
        task.title = " ".join(title or without_uid or body)
        task.tags = list(tags)
        if plus:
            task.extra["+"] = list(plus)
        return pairs

    def _project(self, task: TaskDraft, uid: str, name: str) -> None:
        task.project = _unquoted(uid)
        if task.project not in self.projects:
            self.projects.add(task.project)
            self.document.projects.append(ProjectDraft(task.row, task.project, name=name.replace("_", " ")))

    def _take_pairs(self, task: TaskDraft, pairs: dict[str, str]) -> None:
        """Those that the model has a member for; the others, and those that make no sense, stay."""
        letter = pairs.pop("pri", None)
        if letter and len(letter) == 1 and "A" <= letter <= "Z":
            task.priority = _priority(letter)
            task.extra["()"] = letter
        elif letter:
            self._keep(task, "pri", letter)
        if (status := pairs.get("status")) in (_CLOSED if task.status == "completed" else _OPEN):
            task.status = pairs.pop("status", "") and str(status)
        self._take_due(task, pairs)
        self._take_recurrence(task, pairs)
        if "p" in pairs:
            task.parent = _unquoted(pairs.pop("p"))

    def _take_due(self, task: TaskDraft, pairs: dict[str, str]) -> None:
        if "due" not in pairs:
            return
        text = pairs.pop("due")
        try:
            due = dates.moment(f"{text}T{pairs['at']}" if "at" in pairs else text, self.zone)
        except ValueError:
            self._keep(task, "due", text)
        else:
            pairs.pop("at", None)
            task.due_date, task.due_at = dates.split_due(due)

    def _take_recurrence(self, task: TaskDraft, pairs: dict[str, str]) -> None:
        text, rrule = pairs.pop("rec", None), pairs.pop("rrule", None)
        found = recurrences.parsed(rrule) if rrule else _of_rec(text) if text else None
        if not (text or rrule):
            return
        if found is None or (task.due_date is None and task.due_at is None):
            self._keep(task, "rrule" if rrule else "rec", rrule or text)
            return
        task.recurrence = found
        if text and text.endswith("b"):
            self._keep(task, "rec", text, found["rule"])

    def _keep(self, task: TaskDraft, name: str, value: Any, to: Any = None) -> None:
        task.extra[name] = value
        self.document.degraded.append(Degraded(task.row, name, value, to))

    def _midnight(self, task: TaskDraft, name: str, day: dt.date) -> dt.datetime | None:
        try:
            return dates.midnight(day, self.zone)
        except ValueError:
            self._keep(task, name, day.isoformat())
            return None

    def _uid(self, task: TaskDraft, body: list[str], said: str | None) -> str:
        """As the line says, or of its content without what completing it changes, and its count among equal lines."""
        uid = _unquoted(said) if said else ""
        if said and (uid in self.uids or len(uid) > MAX_UID):
            self._keep(task, "uid", said)
        if not said or uid in self.uids or len(uid) > MAX_UID:
            content = " ".join(word for word in body if not word.startswith("pri:"))
            uid = self.made.of(content)
        self.uids.add(uid)
        return uid

    def name_parents(self) -> None:
        for task in self.document.tasks:
            if task.parent not in self.uids:
                task.parent = self.ids.get(task.parent or "", task.parent)


def _day(word: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(word) if _DAY.fullmatch(word) else None
    except ValueError:
        return None


def _priority(letter: str) -> str:
    return {"A": "high", "B": "medium"}.get(letter, "low")


def _unquoted(value: str) -> str:
    """A uid; one that Tickbase cannot store stays as it was written."""
    plain = unquote(value, errors="strict") if re.fullmatch(r"([^%]|%[0-9A-F]{2})*", value) else value
    return value if "\0" in plain else plain


def _of_rec(text: str) -> dict[str, str] | None:
    """A business day is any from Monday to Friday, which counts days between them only in whole weeks."""
    found = _REC.fullmatch(text)
    if not found:
        return None
    strict, interval, unit = found[1], int(found[2] or 1), found[3]
    rule = f"FREQ={_FREQUENCIES.get(unit, 'DAILY')}"
    if unit == "b" and interval % 5 == 0:
        rule, interval = "FREQ=WEEKLY", interval // 5
    elif unit == "b":
        rule, interval = f"FREQ=DAILY;{_WORKDAYS}", interval
    if interval > 1:
        rule += f";INTERVAL={interval}"
    return {"rule": rule, "from": "due" if strict else "completion"}


# --- Out --------------------------------------------------------------------------------------------


def write(projects: Iterable[ProjectDraft], tasks: Iterable[TaskDraft], zone: ZoneInfo) -> Iterator[bytes]:
    names = {project.uid: project.name for project in projects}
    for task in tasks:
        words = [*_head(task, zone), _word(task.title, " "), *_tags(task, names), *_pairs(task, zone)]
        yield f"{' '.join(words)}\n".encode()


def _head(task: TaskDraft, zone: ZoneInfo) -> Iterator[str]:
    letter = _letter(task)
    created = dates.local(task.created_at, zone).date().isoformat() if task.created_at else None
    if task.status in _CLOSED:
        yield "x"
        said = task.extra.get("(x)")
        closed = said if isinstance(said, str) and _day(said) else created
        if task.completed_at:
            closed = dates.local(task.completed_at, zone).date().isoformat()
        elif task.status == "completed":
            return  # the first date would be that of completion
        yield from filter(None, [closed])
    elif letter:
        yield f"({letter})"
    yield from filter(None, [created])


def _letter(task: TaskDraft) -> str | None:
    said = task.extra.get("()")
    if isinstance(said, str) and _LETTER.fullmatch(f"({said})") and _priority(said) == task.priority:
        return said
    return {"high": "A", "low": "C"}.get(task.priority)


def _tags(task: TaskDraft, names: dict[str, str]) -> Iterator[str]:
    if task.project in names:
        yield f"+{_word(names[task.project], '_')}"
    plus = task.extra.get("+")
    plus = plus if isinstance(plus, list) else []
    for tag in task.tags:
        yield f"{'+' if tag in plus else '@'}{_word(tag, '_')}"


def _pairs(task: TaskDraft, zone: ZoneInfo) -> Iterable[str]:
    pairs = dict(_due(task, zone))
    if (letter := _letter(task)) and task.status in _CLOSED:
        pairs["pri"] = letter
    if task.status in ("in_progress", "cancelled"):
        pairs["status"] = task.status
    if task.recurrence:
        pairs |= dict([_recurrence(task.recurrence, task.extra.get("rec"), zone)])
    for name, uid in (("project", task.project), ("p", task.parent), ("uid", task.uid)):
        if uid:
            pairs[name] = _quoted(uid)
    for name, value in task.extra.items():
        if isinstance(value, str) and _PAIR.fullmatch(f"{name}:{value}") and not (name == "rec" and task.recurrence):
            pairs.setdefault(name, value)
    return (f"{name}:{value}" for name, value in pairs.items())


def _due(task: TaskDraft, zone: ZoneInfo) -> Iterator[tuple[str, str]]:
    """The time of day apart, since other programs know dates only."""
    if task.due_at:
        day, _, time = dates.local(task.due_at, zone).isoformat().partition("T")
        yield from (("due", day), ("at", time))
    elif task.due_date:
        yield "due", task.due_date.isoformat()


def _recurrence(recurrence: dict[str, str], said: Any, zone: ZoneInfo) -> tuple[str, str]:
    recurrence = recurrences.from_now(recurrence, zone)
    if isinstance(said, str) and _of_rec(said) == recurrence:
        return "rec", said
    origin, plain = recurrence["from"], _PLAIN.fullmatch(recurrence["rule"])
    if plain and "zone" not in recurrence:
        return "rec", f"{'+' if origin == 'due' else ''}{plain[2] or 1}{_LETTERS[plain[1]]}"
    return "rrule", recurrences.text_of(recurrence)


def _word(text: str, space: str) -> str:
    return _SPACES.sub(space, text.strip(" \t\r\n"))


def _quoted(uid: str) -> str:
    """Without white space; as it is if it can be."""
    return uid if re.fullmatch(r"[^\s%/\\]+", uid) else quote(uid, safe="")
