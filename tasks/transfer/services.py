"""Import: what a file says becomes rows of one user, in one operation; what is there already is left as it is, or
brought up to date."""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.db import transaction
from django.utils import timezone

from config.database.leases import LeaseLost
from config.database.transactions import retried_transaction
from config.errors import DomainError, Invalid, LimitReached
from tasks.formats.drafts import Document, UnreadableFile
from tasks.formats.registry import FORMATS, detect
from tasks.models import MAX_DEPTH
from tasks.transfer import fitting
from tasks.transfer.models import Import
from tasks.transfer.report import Report
from tasks.transfer.rows import NoRoom, Rows
from users.resources import log, operations, tombstones
from users.tokens.callers import Actor
from users.webhooks import services as webhooks

logger = logging.getLogger(__name__)

AUTO = "auto"
READABLE = {each.NAME: each for each in FORMATS}
# Lines, or objects of JSON, that are read within a request; bytes of each on average, beyond the first thousands.
MAX_PARTS, MIN_PARTS, BYTES_OF_PART = 250_000, 10_000, 16
SLICE = 50_000  # tasks of one operation; a command makes several of a larger file
AT_ONCE = 2_000  # projects, tasks and comments that are stored within a request; a worker stores more, by slices
WORKER_SLICE = 500  # tasks, between which its owner's other writes come through
MAX_PENDING = 3  # imports of an account that wait for a worker
MAX_TRIES = 5  # of an import: what fills the memory of its worker, say, must not end one after the other

Advance = Callable[[int], None]


class Unreadable(Invalid):
    code = "unreadable_file"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, pointer="")  # the whole of the body


class TooLargeAtOnce(DomainError):
    status = 413
    code = "import_too_large"
    title = "The import is too large for one request"


class Outcome(NamedTuple):
    report: Report
    row: Import | None  # None of a dry run


def require_bounded(data: bytes) -> None:
    """Of next to nothing each, a file could have so many rows that they fill the memory. Raises TooLargeAtOnce."""
    if max(data.count(b"\n"), data.count(b"{")) > min(MAX_PARTS, MIN_PARTS + len(data) // BYTES_OF_PART):
        raise TooLargeAtOnce("It has too many lines, or objects of JSON; split the file.")


def read(
    data: bytes, name: str, format_name: str, zone: ZoneInfo, *, seconds: float | None = None
) -> tuple[Document, str]:
    """The drafts in a file, within our limits, and the format's name. Raises Unreadable, and TooLargeAtOnce after so
    many seconds."""
    in_time = _in_time(seconds, lambda more: None)
    try:
        chosen = detect(data, name) if format_name == AUTO else READABLE[format_name]
        document = chosen.read(data, zone)
    except UnreadableFile as error:
        place = f"{error.place}: " if error.place else ""
        raise Unreadable(f"{place}{error.message}") from error
    fitting.fit(document, chosen.NAME, zone, timezone.now(), in_time)
    return document, chosen.NAME


@retried_transaction
def import_document(
    user: Actor,
    document: Document,
    source: str,
    *,
    dry_run: bool = False,
    seconds: float | None = None,
    advance: Advance = lambda more: None,
) -> Outcome:
    """Store what a file says, as one operation; a dry run tells what that would do.

    Raises LimitReached, OperationTooLarge, AccountGone, and TooLargeAtOnce after so many seconds: then nothing is
    stored.
    """
    report, number = _stored(user, document, source, _in_time(seconds, advance))
    total = report.projects + report.tasks
    row = Import(user_id=user.pk, format=source, status=Import.Status.DONE, total=total, done=total, operation=number)
    row.operations = [number] if number is not None else []
    row.report = report.without_text()
    if dry_run:
        transaction.set_rollback(True)
        return Outcome(report, None)
    row.save()
    return Outcome(report, row)


def import_in_slices(user: Actor, document: Document, source: str, advance: Advance = lambda more: None) -> Outcome:
    """The same for a file of any size, as operations of up to 50,000 tasks each. One that was interrupted goes on where
    it was when the file is imported again. Raises what `import_document` raises, for a part of the file."""
    total = len(document.projects) + len(document.tasks)
    row = Import(user_id=user.pk, format=source, status=Import.Status.RUNNING, total=total)
    report = _store_slices(user, document, row, SLICE, Report.of(document, source), advance)
    row.status = Import.Status.DONE
    row.save()
    return Outcome(report, row)


def rows_of(document: Document) -> int:
    return len(document.projects) + len(document.tasks) + sum(len(task.comments) for task in document.tasks)


def queue_import(user: Actor, document: Document, source: str, *, data: bytes, name: str, zone: ZoneInfo) -> Import:
    """Leave a file to a worker, which reads it again. Raises LimitReached and AccountGone."""
    report = Report.of(document, source)
    row = Import(
        user_id=user.pk,
        format=source,
        status=Import.Status.WAITING,
        total=report.projects + report.tasks,
        report=report.without_text(),
        data=data,
        file_name=name,
        zone=zone.key,
        due_at=timezone.now(),
    )
    _store_pending(user, row)
    return row


@retried_transaction
def _store_pending(user: Actor, row: Import) -> None:
    operations.begin(user)  # the lock of the feed: two that are sent at once are counted both
    if Import.objects.for_user(user).pending().count() >= MAX_PENDING:
        raise LimitReached("Other imports of yours wait; try again when one is done.", limit=MAX_PENDING)
    row.save(force_insert=True)


def run_imports(rows: list[Import]) -> None:
    """For the worker: store what the files of claimed imports say, a slice at a time. One that was interrupted begins
    anew: what is there already stays as it is, and is counted once."""
    for row in rows:
        with log.acting_as(f"import:{row.pk}"):
            _run_import(row)


def _run_import(row: Import) -> None:
    if row.attempts > MAX_TRIES:
        _end(row, Import.Status.FAILED, f"It was given up after {MAX_TRIES} tries; split the file.")
        return
    done_before = {name: row.report.get(name, 0) for name in ("created", "updated")}
    row.status, row.done = Import.Status.RUNNING, 0
    try:
        document = _document_of(row)
        report = replace(Report.of(document, row.format), **done_before, unchanged=-sum(done_before.values()))
        _store_slices(row.user, document, row, WORKER_SLICE, report)
    except LeaseLost:
        logger.warning("the import %s is with another worker by now", row.pk)
    except DomainError as error:
        _end(row, Import.Status.FAILED, error.detail)
    else:
        _end(row, Import.Status.DONE)


def _document_of(row: Import) -> Document:
    """The file itself is in memory only until it is read. Raises Unreadable."""
    return read(row.read_file(), row.file_name, row.format, ZoneInfo(row.zone))[0]


@retried_transaction
def _end(row: Import, status: Import.Status, error: str = "") -> None:
    if row.settle(None, status=status, error=error, data=None):
        webhooks.notify(row.user, "import.done", {"import_id": row.pk, "status": status.value})


def _store_slices(
    user: Actor,
    document: Document,
    row: Import,
    size: int,
    report: Report,
    advance: Advance = lambda more: None,
) -> Report:
    done = 0
    for part in _slices(document, size):
        done += len(part.projects) + len(part.tasks)
        report = _store_slice(user, part, row, done, report, row.operations, advance)
    return report


@retried_transaction
def _store_slice(
    user: Actor, part: Document, row: Import, done: int, before: Report, earlier: list[int], advance: Advance
) -> Report:
    """Returns the report with that of this slice. It may run again, so nothing is added to what is given."""
    report, number = _stored(user, part, row.format, advance)
    whole = before.with_part(report)
    row.done, row.operation, row.report = done, number or row.operation, whole.without_text()
    row.operations = [*earlier, number] if number is not None else earlier
    progress = {name: getattr(row, name) for name in ("status", "done", "operation", "operations", "report")}
    if row.leased_until is None:
        stored = Import.objects.filter(pk=row.pk).update(**progress)
    elif not (stored := row.held().update(**progress)):
        raise LeaseLost  # nothing of the slice is stored: the other worker counts it
    if not stored:
        row.save(force_insert=True)
    return whole


def _slices(document: Document, size: int) -> Iterator[Document]:
    """Parents come in the slice of their children, or before."""
    yield Document(projects=document.projects)
    planted = fitting.Planted(document.tasks, {}, MAX_DEPTH, operations.MAX_ROWS, lambda *told: None)
    tasks = [task for level in planted.levels for task in level]
    for start in range(0, len(tasks), size):
        yield Document(tasks=tasks[start : start + size])


def _stored(user: Actor, document: Document, source: str, advance: Advance) -> tuple[Report, int | None]:
    """What became of it, and the number of the operation, if anything has changed."""
    if rows_of(document) > operations.MAX_ROWS:
        raise operations.too_large()
    while True:
        report = Report.of(document, source)
        try:
            with transaction.atomic():
                return report, Rows(user, document, report, advance).store()
        except NoRoom as full:
            tombstones.make_room(user, full.model, operations.limit_of(full.model).most)


def _in_time(seconds: float | None, advance: Advance) -> Advance:
    if seconds is None:
        return advance
    deadline = time.monotonic() + seconds

    def in_time(more: int) -> None:
        if time.monotonic() > deadline:
            raise TooLargeAtOnce(
                f"It takes longer than {seconds:.0f} seconds, and nothing was stored; split the file, or ask the "
                "operator to run the command import_tasks."
            )
        advance(more)

    return in_time
