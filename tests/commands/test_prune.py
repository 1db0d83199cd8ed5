"""`manage.py prune`: what has expired goes, what may still be of use stays, and the service goes on meanwhile."""

import datetime as dt
import threading
import time
from io import StringIO

import pytest
import time_machine
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session as AdminSession
from django.core.management import CommandError, call_command
from django.db import connections, transaction
from django.utils import timezone

from config.database.isolation import all_users
from config.environment.rates import Rate
from config.http.limits import counters
from config.models import RateLimit
from tasks import services
from tasks.models import Task
from tests.changes import changed_since
from tests.client import Api
from tests.factories import head_of, make_session, make_task, make_user
from users.models import Feed, IdempotencyKey, Session, SpentInvitation, User
from users.resources import feed, pruning
from users.services import pruning as accounts

LONG_AGO = dt.timedelta(days=40)
WRITERS = 4


def prune(*arguments: str) -> list[str]:
    out = StringIO()
    call_command("prune", *arguments, stdout=out)
    return out.getvalue().splitlines()


def deleted_task(user: User, ago: dt.timedelta = LONG_AGO) -> Task:
    task = make_task(user)
    with time_machine.travel(timezone.now() - ago):
        services.delete_task(user, task.pk)
    return Task.objects.get(pk=task.pk)


def floor_of(user: User) -> int:
    return Feed.objects.get(user=user).floor


# --- Tombstones -------------------------------------------------------------------------------------


def test_old_tombstones_go_and_the_floor_is_the_last_of_them(alice: User, bob: User) -> None:
    old, young, live = deleted_task(alice), deleted_task(alice, dt.timedelta(days=29)), make_task(alice)
    other = deleted_task(bob)
    assert prune()[-1] == "tasks deleted more than 30 days ago: 2 removed"
    assert set(Task.objects.all()) == {young, live}
    assert (floor_of(alice), floor_of(bob)) == (old.version, other.version)
    assert head_of(alice) == live.version


def test_days_say_how_old(alice: User) -> None:
    deleted_task(alice)
    assert prune("--days", "41")[-1] == "tasks deleted more than 41 days ago: 0 removed"
    assert floor_of(alice) == 0
    assert prune("--days=39")[-1] == "tasks deleted more than 39 days ago: 1 removed"


@pytest.mark.parametrize("days", ["0", "-1", "soon", "36501"])
def test_wrong_days_are_refused(days: str) -> None:
    with pytest.raises(CommandError, match="is not a whole number from 1 to 36500"):
        prune(f"--days={days}")


def test_a_dry_run_counts_and_removes_nothing(alice: User) -> None:
    deleted_task(alice)
    with time_machine.travel(timezone.now() - LONG_AGO):
        make_session(alice)
    lines = prune("--dry-run")
    assert (lines[0], lines[-1]) == (
        "expired sessions: 1 would be removed",
        "tasks deleted more than 30 days ago: 1 would be removed",
    )
    assert (Task.objects.count(), Session.objects.count(), floor_of(alice)) == (1, 1, 0)


def test_a_client_behind_the_floor_is_told_and_others_are_not(alice: User) -> None:
    kept = make_task(alice)
    gone = deleted_task(alice)
    late = make_task(alice)
    prune()
    with pytest.raises(feed.CursorExpired):
        changed_since(alice, Task, gone.version - 1)
    assert changed_since(alice, Task, gone.version) == [late]
    assert changed_since(alice, Task, 0) == [kept, late]


def test_the_floor_is_read_after_the_changes(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is pruned between the two reads must not go unnoticed."""
    make_task(alice)
    gone = deleted_task(alice)
    read = Task.objects.for_user

    def prune_first(user: User) -> object:
        monkeypatch.undo()
        prune()
        return read(user)

    monkeypatch.setattr(Task.objects, "for_user", prune_first)
    with pytest.raises(feed.CursorExpired):
        changed_since(alice, Task, gone.version - 1)


def test_tombstones_go_in_the_order_of_their_versions(alice: User) -> None:
    """Otherwise the floor would pass some that are still there, and later batches would pass them by."""
    first, second = deleted_task(alice), deleted_task(alice)
    make_task(alice)
    Task.objects.filter(pk=first.pk).update(version=head_of(alice) + 1)
    Feed.objects.filter(user=alice).update(head=head_of(alice) + 1)
    assert list(pruning.prune_tombstones(Task, timezone.now(), batch=1)) == [1, 1, 0]
    assert floor_of(alice) == head_of(alice) > second.version


def test_a_floor_never_sinks(alice: User) -> None:
    """Clocks of two machines may be apart: an earlier tombstone can be the younger one."""
    young, old = deleted_task(alice, dt.timedelta(days=35)), deleted_task(alice, dt.timedelta(days=60))
    prune("--days=50")
    assert floor_of(alice) == old.version
    prune()
    assert (floor_of(alice), Task.objects.count()) == (old.version, 0)
    assert young.version < old.version


def test_batches_are_bounded_and_none_is_left_out(alice: User, bob: User) -> None:
    for user in (alice, bob):
        for _ in range(5):
            deleted_task(user)
        make_task(user)
    assert list(pruning.prune_tombstones(Task, timezone.now(), batch=2)) == [2, 2, 1, 2, 2, 1]
    assert Task.objects.count() == 2


def test_a_batch_that_fails_leaves_tombstones_and_floor(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    deleted_task(alice)
    monkeypatch.setattr(type(Task.objects.all()), "delete", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        list(pruning.prune_tombstones(Task, timezone.now()))
    assert (floor_of(alice), Task.objects.count()) == (0, 1)


def test_what_was_brought_back_meanwhile_stays(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between finding the owners and locking the feed."""
    task = deleted_task(alice)
    pruned = pruning.prune_tombstones(Task, timezone.now())
    lock = Feed.objects.select_for_update

    def restore_first() -> object:
        Task.objects.filter(pk=task.pk).update(deleted_at=None)
        return lock()

    monkeypatch.setattr(Feed.objects, "select_for_update", restore_first)
    assert list(pruned) == [0]
    assert (Task.objects.get(), floor_of(alice)) == (task, 0)


class Client(threading.Thread):
    """Writes through the services for as long as it may, and keeps a replica by reading the feed.

    Either after each write, or `seldom`: when the next change that it should read was pruned.
    """

    def __init__(self, user: User, until: threading.Event, *, seldom: bool) -> None:
        super().__init__()
        self.user, self.until, self.seldom = user, until, seldom
        self.replica: dict[int, int] = {}
        self.cursor = self.restarts = self.writes = 0
        self.failure: BaseException | None = None

    @all_users()
    def run(self) -> None:
        try:
            while not self.until.is_set():
                self.write()
                if not self.seldom or self.cursor == 0 or floor_of(self.user) > self.cursor:
                    self.sync()
        except BaseException as error:  # noqa: BLE001 (told to the test)
            self.failure = error
        finally:
            connections.close_all()

    def write(self) -> None:
        task = services.create_task(self.user, title="Task")
        if self.writes % 2:
            services.delete_task(self.user, task.pk)
        self.writes += 1

    def sync(self) -> None:
        try:
            changes = changed_since(self.user, Task, self.cursor)
        except feed.CursorExpired:
            self.replica, self.cursor = {}, 0
            self.restarts += 1
            changes = changed_since(self.user, Task, 0)
        for task in changes:
            if task.deleted_at:
                self.replica.pop(task.pk, None)
            else:
                self.replica[task.pk] = task.version
            self.cursor = task.version


def each_was_behind(clients: list[Client]) -> bool:
    return all(client.restarts for client in clients if client.seldom)


@pytest.mark.usefixtures("transactional_db")
def test_pruning_beside_writers_loses_nothing() -> None:
    """Everything deleted is pruned at once, so that readers meet the floor all the time."""
    users = [make_user(f"writer{number}") for number in range(WRITERS)]
    is_over = threading.Event()
    # Two devices of the same person: one's tombstones are pruned before the other has seen them.
    clients = [Client(user, is_over, seldom=seldom) for user in users for seldom in (False, True)]
    for client in clients:
        client.start()
    removed, deadline = 0, time.monotonic() + 30
    while (removed < 200 or not each_was_behind(clients)) and time.monotonic() < deadline:
        removed += sum(pruning.prune_tombstones(Task, timezone.now(), batch=5))
    is_over.set()
    for client in clients:
        client.join()
    assert [client.failure for client in clients] == [None] * len(clients)
    assert removed >= 200
    assert each_was_behind(clients), "some reader was never behind the floor"
    for client in clients:
        client.sync()
        live = dict(Task.objects.for_user(client.user).visible().values_list("pk", "version"))
        assert client.replica == live
    for user in users:
        assert head_of(user) >= floor_of(user) > 0


# --- Accounts ---------------------------------------------------------------------------------------


def test_expired_sessions_go_and_live_ones_stay(alice: User, bob: User) -> None:
    with time_machine.travel(timezone.now() - LONG_AGO):
        make_session(bob)
    live = make_session(alice)
    assert prune()[0] == "expired sessions: 1 removed"
    assert Session.objects.get() == live


@pytest.mark.usefixtures("transactional_db")
def test_sessions_of_somebody_whose_account_is_locked_wait_for_the_next_run() -> None:
    alice, bob = make_user("alice"), make_user("bob")
    with time_machine.travel(timezone.now() - LONG_AGO):
        locked, free = make_session(alice), make_session(bob)
    removed: list[int] = []

    @all_users()
    def run() -> None:
        removed.extend(accounts.prune_sessions())
        connections.close_all()

    with transaction.atomic():
        User.objects.select_for_update().get(pk=alice.pk)
        other = threading.Thread(target=run)
        other.start()
        other.join(20)
    assert (removed, Session.objects.get()) == ([1], locked)
    assert free != locked


def test_expired_keys_and_invitations_go(as_alice: Api) -> None:
    as_alice.post("/api/me/tasks", {"title": "A"}, idempotency_key="new")
    with time_machine.travel(timezone.now() - LONG_AGO):
        Api(as_alice.user).post("/api/me/tasks", {"title": "B"}, idempotency_key="old")
    now = timezone.now()
    SpentInvitation.objects.create(digest="old", expires_at=now - dt.timedelta(seconds=1))
    SpentInvitation.objects.create(digest="new", expires_at=now + dt.timedelta(days=1))
    lines = prune()
    assert "expired idempotency keys: 1 removed" in lines
    assert "used invitations: 1 removed" in lines
    assert IdempotencyKey.objects.get().expires_at > now
    assert SpentInvitation.objects.get().digest == "new"


def test_rows_go_in_batches(db: None) -> None:
    now = timezone.now()
    for number in range(5):
        SpentInvitation.objects.create(digest=str(number), expires_at=now)
    assert list(accounts.prune_rows(accounts.expired_invitations(now), batch=2)) == [2, 2, 1]


def test_windows_and_sessions_of_the_admin_go(db: None) -> None:
    counters.take("0" * 32, 1, Rate(5, 3600))
    RateLimit.objects.create(key="1" * 32, used=1, resets_at=timezone.now() - dt.timedelta(hours=1))
    for age in (-1, 1):
        store = SessionStore()
        store.set_expiry(timezone.now() - dt.timedelta(hours=age))
        store.create()
    lines = prune()
    assert "rate-limit windows that have ended: 1 removed" in lines
    assert "expired sessions of the admin: 1 removed" in lines
    assert [window.key.int for window in RateLimit.objects.all()] == [0]
    assert AdminSession.objects.get().expire_date > timezone.now()
