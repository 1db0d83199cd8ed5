"""`manage.py prune`: what has expired goes, what may still be of use stays, and the service goes on meanwhile."""

import datetime as dt
import threading
from io import StringIO

import pytest
import time_machine
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session as AdminSession
from django.core.management import CommandError, call_command
from django.db import connections, transaction
from django.utils import timezone
from pytest_django import Settings

from config.database.isolation import all_users
from config.environment.rates import Rate
from config.http.limits import counters
from config.models import RateLimit
from tasks import services
from tasks.models import Task
from tests.client import Api
from tests.factories import head_of, make_session, make_task, make_user
from users.models import Change, ChangeQuerySet, EmailChange, Feed, IdempotencyKey, Kind, Session, SpentInvitation, User
from users.resources import feed, log, pruning, tombstones, undo
from users.services import pruning as accounts

LONG_AGO = dt.timedelta(days=40)  # longer than the trash is kept
AGES_AGO = dt.timedelta(days=100)  # longer than the log is kept
SOON = dt.timedelta(seconds=1)


def prune(*arguments: str) -> dict[str, str]:
    """What became of each kind of rows, in the order of the command."""
    out = StringIO()
    call_command("prune", *arguments, stdout=out)
    return dict(line.split(": ") for line in out.getvalue().splitlines())


def ago(age: dt.timedelta) -> time_machine.travel:
    return time_machine.travel(timezone.now() - age)


def deleted_task(user: User, age: dt.timedelta = LONG_AGO) -> Task:
    with ago(age):
        task = make_task(user, title="Secret", description="Text", tags=["a"])
        services.delete_task(user, task.pk)
    return Task.objects.get(pk=task.pk)


def floor_of(user: User) -> int:
    return Feed.objects.get(user=user).floor


def entries_of(task: Task) -> list[tuple[str, object]]:
    return list(Change.objects.filter(object_id=task.pk).order_by("version").values_list("kind", "diff"))


# --- The trash --------------------------------------------------------------------------------------


def test_the_text_of_what_was_deleted_long_ago_goes_also_from_the_log(alice: User, bob: User) -> None:
    old, other = deleted_task(alice), deleted_task(bob)
    assert "Secret" in str(entries_of(old))
    assert prune()["tasks deleted more than 30 days ago"] == "2 removed"
    old.refresh_from_db()
    assert (old.title, old.description, old.tags, old.search_text) == ("", "", [], "")
    assert entries_of(old) == [(Kind.CREATED, {}), (Kind.DELETED, {}), (Kind.ERASED, {})]
    assert (old.version, floor_of(alice), Task.objects.get(pk=other.pk).title) == (3, 0, "")


def test_what_was_deleted_later_and_what_lives_stays(alice: User) -> None:
    young, live = deleted_task(alice, dt.timedelta(days=29)), make_task(alice)
    deleted_task(alice)
    prune()
    assert {Task.objects.get(pk=task.pk).title for task in (young, live)} == {"Secret", live.title}
    assert services.restore_task(alice, young.pk).title == "Secret"


def test_an_erased_task_cannot_come_back(alice: User) -> None:
    old = deleted_task(alice)
    prune()
    with pytest.raises(services.TaskNotFound):
        services.restore_task(alice, old.pk)
    with pytest.raises(undo.ChangedSince):
        undo.undo(alice, 2)


def test_the_days_are_those_of_the_setting_or_the_option(alice: User, settings: Settings) -> None:
    deleted_task(alice)
    assert prune("--trash-days=41")["tasks deleted more than 41 days ago"] == "0 removed"
    settings.TRASH_DAYS = 39
    assert prune()["tasks deleted more than 39 days ago"] == "1 removed"


@pytest.mark.parametrize("option", ["--trash-days", "--history-days", "--days"])
@pytest.mark.parametrize("days", ["0", "-1", "soon", "36501"])
def test_wrong_days_are_refused(option: str, days: str) -> None:
    with pytest.raises(CommandError, match="is not a whole number from 1 to 36500"):
        prune(f"{option}={days}")


def test_the_trash_is_emptied_in_operations_of_a_batch(alice: User, bob: User) -> None:
    for user in (alice, bob):
        for _ in range(5):
            deleted_task(user)
        make_task(user)
    assert list(pruning.empty_trash(Task, timezone.now(), batch=2)) == [2, 2, 1, 2, 2, 1]
    erased = Change.objects.filter(user=alice, kind=Kind.ERASED).order_by("version")
    assert list(erased.values_list("operation", flat=True)) == [13, 13, 15, 15, 16]
    assert set(erased.values_list("actor", flat=True)) == {log.COMMAND}
    assert Task.objects.visible().count() == 2


def test_what_is_restored_meanwhile_stays_also_if_it_was_deleted_again(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between finding the tasks and locking the feed."""
    restored, again, old = (deleted_task(alice) for _ in range(3))
    lock = feed.lock

    def restore_first(user: User) -> Feed:
        monkeypatch.undo()
        services.restore_tasks(alice, [restored.pk, again.pk])
        services.delete_task(alice, again.pk)
        return lock(user)

    monkeypatch.setattr(feed, "lock", restore_first)
    assert list(pruning.empty_trash(Task, timezone.now() - dt.timedelta(days=30))) == [3]
    titles = dict(Task.objects.values_list("pk", "title"))
    assert titles == {restored.pk: "Secret", again.pk: "Secret", old.pk: ""}


def test_an_account_that_is_deleted_meanwhile_stops_nothing(
    alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted_task(alice)
    kept = deleted_task(bob)
    lock = feed.lock

    def delete_first(user: User) -> Feed:
        User.objects.filter(pk=alice.pk).delete()
        return lock(user)

    monkeypatch.setattr(feed, "lock", delete_first)
    assert list(pruning.empty_trash(Task, timezone.now())) == [1]
    assert Task.objects.get(pk=kept.pk).title == ""


# --- The log ----------------------------------------------------------------------------------------


def test_old_changes_go_and_the_floor_is_the_last_of_them(alice: User, bob: User) -> None:
    with ago(AGES_AGO):
        old = make_task(alice)
        services.complete_task(alice, old.pk)
    kept, other = make_task(alice), make_task(bob)
    assert prune()["changes older than 90 days"] == "2 removed"
    assert (floor_of(alice), floor_of(bob)) == (2, 0)
    assert list(Change.objects.values_list("object_id", flat=True).order_by("object_id")) == [kept.pk, other.pk]
    assert (Task.objects.count(), head_of(alice)) == (3, 3)


def test_the_days_of_the_log_are_those_of_the_setting_or_the_option(alice: User, settings: Settings) -> None:
    with ago(LONG_AGO):
        make_task(alice)
    assert prune("--days=41")["changes older than 41 days"] == "0 removed"
    settings.HISTORY_DAYS = 39
    assert prune()["changes older than 39 days"] == "1 removed"


def test_a_client_behind_the_floor_is_told_and_others_are_not(alice: User) -> None:
    with ago(AGES_AGO):
        make_task(alice)
        make_task(alice)
    late = make_task(alice)
    prune()
    with pytest.raises(log.CursorExpired):
        log.entries(alice, 1, 10)
    assert [entry.object_id for entry in log.entries(alice, 2, 10)] == [late.pk]


def test_the_floor_is_read_after_the_changes(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is pruned between the two reads must not go unnoticed."""
    with ago(AGES_AGO):
        make_task(alice)
        make_task(alice)
    read = Change.objects.for_user

    def prune_first(user: User) -> ChangeQuerySet:
        monkeypatch.undo()
        prune()
        return read(user)

    monkeypatch.setattr(Change.objects, "for_user", prune_first)
    with pytest.raises(log.CursorExpired):
        log.entries(alice, 1, 10)


def test_operations_are_cut_whole_also_those_larger_than_a_batch(alice: User) -> None:
    with ago(AGES_AGO):
        tasks = [make_task(alice) for _ in range(5)]
        services.complete_tasks(alice, [task.pk for task in tasks], completed=True)
        services.complete_task(alice, tasks[0].pk)
    floors = [(removed, floor_of(alice)) for removed in pruning.cut_log(timezone.now() - SOON, batch=3)]
    assert floors == [(3, 3), (7, 10), (1, 11)]


def test_an_operation_after_the_cut_can_be_undone_and_one_before_it_cannot(alice: User) -> None:
    with ago(AGES_AGO):
        task = make_task(alice)
        services.complete_task(alice, task.pk)
    services.update_task(alice, task.pk, {"title": "New"})
    prune()
    assert undo.undo(alice, 3) == [Task.objects.get(title=task.title)]
    with pytest.raises(undo.TooOldToUndo):
        undo.undo(alice, 2)


def test_a_clock_that_is_behind_takes_no_young_changes_along(alice: User) -> None:
    with ago(AGES_AGO):
        make_task(alice)
    make_task(alice)
    with ago(AGES_AGO):
        make_task(alice)
    prune()
    assert floor_of(alice) == 1
    prune()
    assert (floor_of(alice), Change.objects.count()) == (1, 2)


def test_a_batch_that_fails_leaves_changes_and_floor(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    with ago(AGES_AGO):
        make_task(alice)
    monkeypatch.setattr(ChangeQuerySet, "delete", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        list(pruning.cut_log(timezone.now()))
    assert (floor_of(alice), Change.objects.count()) == (0, 1)


# --- Tombstones -------------------------------------------------------------------------------------


def test_a_tombstone_goes_when_its_last_entry_has(alice: User) -> None:
    """In the end nothing is left of a deleted task: its text goes after 30 days, the rest 90 days later."""
    old = deleted_task(alice, dt.timedelta())
    for days, removed, left in ((31, "0 removed", 1), (120, "0 removed", 1), (122, "1 removed", 0)):
        with ago(dt.timedelta(days=-days)):
            assert prune()["tombstones of erased tasks"] == removed
        assert Task.objects.filter(pk=old.pk).count() == left
    assert (floor_of(alice), head_of(alice), Change.objects.count()) == (3, 3, 0)
    assert Feed.objects.get().stored == 0


def test_what_can_be_restored_stays_below_the_floor(alice: User) -> None:
    """The log may be kept for less time than the trash."""
    task = deleted_task(alice, dt.timedelta(days=20))
    assert prune("--history-days=10")["changes older than 10 days"] == "2 removed"
    assert floor_of(alice) == task.version
    assert services.restore_task(alice, task.pk).title == "Secret"


def test_tombstones_go_in_batches_and_none_is_left_out(alice: User, bob: User) -> None:
    for user in (alice, bob):
        for _ in range(5):
            deleted_task(user)
        make_task(user)
    list(pruning.empty_trash(Task, timezone.now()))
    list(pruning.cut_log(timezone.now() + SOON))
    assert list(pruning.prune_tombstones(Task, batch=2)) == [2, 2, 1, 2, 2, 1]
    assert Task.objects.count() == 2


def test_a_floor_never_sinks(alice: User) -> None:
    """A tombstone that makes room may be far below it."""
    gone = deleted_task(alice)
    with ago(LONG_AGO):
        make_task(alice)
    prune("--history-days=10", "--trash-days=50")
    assert floor_of(alice) == 3 > gone.version
    tombstones.make_room(alice, Task, 1)
    assert (floor_of(alice), Task.objects.deleted().count()) == (3, 0)


def test_a_dry_run_counts_and_removes_nothing(alice: User) -> None:
    deleted_task(alice)
    with ago(AGES_AGO):
        make_task(alice)
        make_session(alice)
    found = prune("--dry-run")
    assert {name: count for name, count in found.items() if not count.startswith("0 ")} == {
        "expired sessions": "1 would be removed",
        "tasks deleted more than 30 days ago": "1 would be removed",
    }
    assert (Task.objects.count(), Session.objects.count(), Change.objects.count(), floor_of(alice)) == (2, 1, 3, 0)


# --- Accounts ---------------------------------------------------------------------------------------


def test_expired_sessions_go_and_live_ones_stay(alice: User, bob: User) -> None:
    with ago(LONG_AGO):
        make_session(bob)
    live = make_session(alice)
    assert prune()["expired sessions"] == "1 removed"
    assert Session.objects.get() == live


@pytest.mark.usefixtures("transactional_db")
def test_sessions_of_somebody_whose_account_is_locked_wait_for_the_next_run() -> None:
    alice, bob = make_user("alice"), make_user("bob")
    with ago(LONG_AGO):
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
    with ago(LONG_AGO):
        Api(as_alice.user).post("/api/me/tasks", {"title": "B"}, idempotency_key="old")
    now = timezone.now()
    SpentInvitation.objects.create(digest="old", expires_at=now - dt.timedelta(seconds=1))
    SpentInvitation.objects.create(digest="new", expires_at=now + dt.timedelta(days=1))
    found = prune()
    assert (found["expired idempotency keys"], found["used invitations"]) == ("1 removed", "1 removed")
    assert IdempotencyKey.objects.get().expires_at > now
    assert SpentInvitation.objects.get().digest == "new"


def test_requests_to_change_an_address_go_after_a_week(alice: User, bob: User) -> None:
    now = timezone.now()
    for user, days in ((alice, 6), (bob, 8)):
        moment = now - dt.timedelta(days=days)
        EmailChange.objects.create(user=user, email="new@example.com", previous=user.email, requested_at=moment)
    assert prune()["old requests to change the address"] == "1 removed"
    assert EmailChange.objects.get().user == alice


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
    found = prune()
    assert found["rate-limit windows that have ended"] == "1 removed"
    assert found["expired sessions of the admin"] == "1 removed"
    assert [window.key.int for window in RateLimit.objects.all()] == [0]
    assert AdminSession.objects.get().expire_date > timezone.now()
