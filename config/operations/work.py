"""The worker's loop: asks once a second which rows are due, claims them, and lets threads do what they ask for.

It knows no kind of work: each is registered by its app in `ready()`. Rows, not messages, are the queue, so a worker
that is killed loses nothing; see `config.database.leases`.
"""

import datetime as dt
import logging
import os
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db import DatabaseError, InterfaceError, OperationalError
from django.db.models import Count, Min, QuerySet, Value
from django.utils import timezone

from config.database import leases
from config.database.isolation import all_users
from config.database.leases import LeasedModel, LeasedQuerySet
from config.environment import memory
from config.models import Chore, Worker

logger = logging.getLogger(__name__)

MOST = 50  # rows of a claim
POLL_SECONDS = 1.0
OUTAGE_SECONDS = 10.0  # between two polls, at most, while the database is away
HEARTBEAT = dt.timedelta(seconds=10)
DEAD_AFTER = dt.timedelta(seconds=45)  # without a heartbeat
RENEWAL_SECONDS = leases.LEASE.total_seconds() / 3
STOP_SECONDS = 30.0  # that running work has, when the worker is told to stop
RETRY = dt.timedelta(minutes=1)  # of a row whose work fails in a way that its kind does not expect, and of a chore
RETRY_MOST = dt.timedelta(hours=1)


@dataclass(frozen=True)
class Kind:
    """Rows of deferred work, and what is done with them.

    `run` takes up to `batch` claimed rows in a thread, with all users' rows visible and outside of a transaction. It
    settles each (`LeasedModel.settle`); a row that it leaves is tried again when its lease ends, and all of them later
    if it raises. `due` is for rows that are not due by their time alone, and `due_since` then the column or annotation
    that tells since when one has been. `owner` names the column of whose rows no more than two are claimed at once;
    `threads` are the worker's for this kind, or for all kinds of the same `lane`; all together they are eight. `feeds`
    names kinds for which it may make rows. `failed` finds rows that were given up since an instant.
    """

    name: str
    model: type[LeasedModel]
    run: Callable[[list[Any]], None]
    owner: str | None = "user_id"
    batch: int = 1
    threads: int = 1
    lane: str = ""  # the name, if there is none
    feeds: Sequence[str] = ()
    due: Callable[[dt.datetime], LeasedQuerySet[Any]] | None = None
    due_since: str = "due_at"
    failed: Callable[[dt.datetime], QuerySet[Any]] | None = None

    def due_rows(self, now: dt.datetime) -> LeasedQuerySet[Any]:
        return self.due(now) if self.due else LeasedQuerySet(self.model).due(now)


_kinds: dict[str, Kind] = {}
_chores: dict[str, tuple[Callable[[], object], Callable[[dt.datetime], dt.datetime]]] = {}


def register(kind: Kind) -> None:
    """To be called in the `ready()` of its app."""
    _kinds[kind.name] = kind


def kinds() -> tuple[Kind, ...]:
    return tuple(_kinds.values())


def lane_of(kind: Kind) -> str:
    return kind.lane or kind.name


def threads() -> int:
    """Of a worker."""
    return sum({lane_of(kind): kind.threads for kind in kinds()}.values())


def register_chore(name: str, run: Callable[[], object], next_after: Callable[[dt.datetime], dt.datetime]) -> None:
    """Something to be done by one worker at set times: `next_after` tells the first one after an instant."""
    _chores[name] = run, next_after


def every_day(hour: int) -> Callable[[dt.datetime], dt.datetime]:
    """Once a day, within the hour of UTC that begins then; not all installations at once."""

    def next_after(now: dt.datetime) -> dt.datetime:
        midnight = now.astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        at = midnight + dt.timedelta(hours=hour, minutes=random.uniform(0, 60))  # nosec B311: no secret
        return at if at > now else at + dt.timedelta(days=1)

    return next_after


def backoff(attempts: int) -> dt.timedelta:
    """1, 2, 4 … minutes up to an hour, ± 20 %."""
    pause = min(RETRY * 2 ** max(0, min(attempts - 1, 10)), RETRY_MOST)
    return dt.timedelta(seconds=pause.total_seconds() * random.uniform(0.8, 1.2))  # nosec B311: no secret


def _run_chores(chores: list[Chore]) -> None:
    for chore in chores:
        if chore.name not in _chores:  # of an older or newer version
            chore.settle(None)
            continue
        run, next_after = _chores[chore.name]
        try:
            run()
        except Exception as error:
            logger.exception("the chore %s has failed", chore.name)
            now = timezone.now()
            chore.settle(now + backoff(1), failed_at=now, last_error=type(error).__name__)
        else:
            now = timezone.now()
            chore.settle(next_after(now), ran_at=now, failed_at=None, last_error="")


def _failed_chores(since: dt.datetime) -> QuerySet[Any]:
    return Chore.objects.filter(failed_at__gt=since)


register(Kind("chores", Chore, _run_chores, owner=None, failed=_failed_chores))


def drain(*names: str) -> int:
    """Do what is due now, of these kinds or of all, in this thread; returns how many rows were claimed."""
    done, before = 0, -1
    chosen = [kind for kind in kinds() if not names or kind.name in names]
    with all_users():
        while done > before:  # what is done of one kind may be work of another
            before = done
            for kind in chosen:
                while rows := leases.claim(kind.due_rows(timezone.now()), kind.batch, timezone.now(), kind.owner):
                    done += len(rows)
                    _run(kind, rows)
    return done


def _run(kind: Kind, rows: list[Any]) -> None:
    try:
        with all_users():
            kind.run(rows)
    except Exception as error:  # whatever a kind has not foreseen must not end the worker
        is_away = isinstance(error, OperationalError | InterfaceError)
        logger.log(logging.WARNING if is_away else logging.ERROR, "%s: %s", kind.name, error, exc_info=not is_away)
        _postpone(rows)


def _postpone(rows: list[Any]) -> None:
    now = timezone.now()
    try:
        with all_users():
            for row in rows:
                row.settle(now + backoff(row.attempts))
    except (DatabaseError, InterfaceError):
        pass  # it is away: the leases end by themselves


class Loop:
    """One worker. `stop` may be called by a signal handler; `run` returns once the work that runs then has ended."""

    def __init__(self) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(threads(), thread_name_prefix="work")
        self.running: dict[Future[None], tuple[Kind, list[Any]]] = {}
        self._due: set[str] = set()  # kinds that are to be looked at before the next poll
        self._polled_at: dt.datetime | None = None
        self._renewed_at = time.monotonic()
        self._started_at = timezone.now()
        self._seen_at: dt.datetime | None = None
        self._held = memory.resident()

    def stop(self) -> None:
        self._stopped.set()

    def run(self) -> None:
        memory.return_large_blocks()
        outage = 0.0
        while not self._stopped.is_set():
            try:
                with all_users():
                    started = self.step(timezone.now())
                outage = 0.0
                if not started:
                    self._rest()
            except (DatabaseError, InterfaceError) as error:
                if not outage:
                    logger.warning("the worker cannot reach the database: %s", str(error).partition("\n")[0])
                outage = min(outage * 2 or POLL_SECONDS, OUTAGE_SECONDS)
                self._stopped.wait(outage)
        self._finish()

    def _rest(self) -> None:
        """Until the next poll, or until a thread is free for more."""
        if self.running:
            wait(self.running, POLL_SECONDS, return_when="FIRST_COMPLETED")
        else:
            self._stopped.wait(POLL_SECONDS)

    def step(self, now: dt.datetime) -> bool:
        """Start what is due; returns whether there was anything."""
        done = {future: work for future, work in self.running.items() if future.done()}
        self.running = {future: work for future, work in self.running.items() if future not in done}
        for kind, _ in done.values():
            self._due |= {*kind.feeds, kind.name} if kind.owner else {*kind.feeds}  # its owner's others have waited
        self._renew(now)
        self._beat(now)
        if _has_passed(self._polled_at, dt.timedelta(seconds=POLL_SECONDS), now):
            self._due |= {*due_names(kinds(), now)}
            self._polled_at = now
        busy = Counter(lane_of(kind) for kind, _ in self.running.values())
        started = False
        for kind in kinds():
            most = min(MOST, (kind.threads - busy[lane_of(kind)]) * kind.batch)
            if kind.name not in self._due or most <= 0:
                continue
            rows = leases.claim(kind.due_rows(now), most, now, kind.owner)
            if not rows or len(rows) < most and not kind.owner:  # those that come due go together, at the next poll
                self._due.remove(kind.name)
            for start in range(0, len(rows), kind.batch):
                some = rows[start : start + kind.batch]
                self.running[self._pool.submit(_run, kind, some)] = kind, some
                busy[lane_of(kind)] += 1
                started = True
        return started

    def _renew(self, now: dt.datetime) -> None:
        if time.monotonic() - self._renewed_at > RENEWAL_SECONDS:
            leases.renew([row for _, rows in self.running.values() for row in rows], now)
            self._renewed_at = time.monotonic()

    def _beat(self, now: dt.datetime) -> None:
        if self._seen_at is None:
            plan_chores(now)
        if _has_passed(self._seen_at, HEARTBEAT, now):
            Worker.objects.beat(self.name, self._started_at, now)
            self._seen_at = now
            self._held = memory.give_back(self._held)

    def _finish(self) -> None:
        """Wait for what runs. What takes longer is tried again by another worker, after its lease."""
        self._pool.shutdown(wait=False)
        _, late = wait(self.running, STOP_SECONDS)
        if late:
            logger.warning("%s pieces of work were left when the worker stopped; they are tried again", len(late))
        with suppress(DatabaseError, InterfaceError), all_users():
            Worker.objects.leave(self.name)


def _has_passed(since: dt.datetime | None, pause: dt.timedelta, now: dt.datetime) -> bool:
    """Also if the clock was set back."""
    return since is None or not now - pause < since <= now


def due_names(asked: Sequence[Kind], now: dt.datetime) -> list[str]:
    """Of these kinds, those with due rows: one statement, since an idle worker asks once a second."""
    found = [kind.due_rows(now).order_by().values_list(Value(kind.name))[:1] for kind in asked]
    return [name for (name,) in found[0].union(*found[1:], all=True)] if found else []


def plan_chores(now: dt.datetime) -> None:
    """Those that are new. One that is due runs at once, also if all workers were off at its hour."""
    Chore.objects.plan({name: next_after(now) for name, (_, next_after) in _chores.items()})


class Backlog(NamedTuple):
    """What waits of a kind, for metrics, the doctor and the admin."""

    kind: str
    oldest_seconds: float  # for which the row that is longest due has been; 0 without one
    due: int
    leased: int
    failed: int  # within a day


def backlog(now: dt.datetime) -> list[Backlog]:
    """Of each kind, in three statements."""
    yesterday = now - dt.timedelta(days=1)
    due = _of_each([(kind, kind.due_rows(now), kind.due_since) for kind in kinds()])
    leased = _of_each([(kind, LeasedQuerySet(kind.model).leased(now), "leased_until") for kind in kinds()])
    failed = _of_each([(kind, kind.failed(yesterday), "due_at") for kind in kinds() if kind.failed])
    found = []
    for name in _kinds:
        oldest, count = due.get(name, (now, 0))
        others = (rows.get(name, (None, 0))[1] for rows in (leased, failed))
        found.append(Backlog(name, (now - oldest).total_seconds(), count, *others))
    return found


def _of_each(counted: list[tuple[Kind, QuerySet[Any], str]]) -> dict[str, tuple[Any, int]]:
    """By kind, the least value of a column of instants, and the number of rows; of kinds without rows, nothing."""
    rows = [
        some.order_by().values(work=Value(kind.name)).annotate(least=Min(column), count=Count("pk"))
        for kind, some, column in counted
    ]
    found = rows[0].union(*rows[1:], all=True) if rows else []
    return {row["work"]: (row["least"], row["count"]) for row in found if row["count"]}


def is_alive(now: dt.datetime, seen: dt.datetime | None) -> bool:
    """Whether the last heartbeat of any worker is a late one."""
    return seen is not None and now - seen < DEAD_AFTER


def last_seen() -> dt.datetime | None:
    """The last heartbeat of any worker."""
    return Worker.objects.order_by("-seen_at").values_list("seen_at", flat=True).first()
