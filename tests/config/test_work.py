"""The worker's loop and leases, with chores of the tests."""

import datetime as dt
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import wait

import pytest
import time_machine
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from config.database import leases
from config.database.isolation import all_users
from config.models import Chore, Worker
from config.operations import work
from tests.factories import make_user
from users.mail.models import Mail

NOW = dt.datetime(2026, 11, 29, 2, 30, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


@pytest.fixture
def chore(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[], object]], None]]:
    """Registers the only chore, which is due at 03:00."""
    monkeypatch.setattr(work, "_chores", {})

    def register(run: Callable[[], object]) -> None:
        work.register_chore("sweep", run, lambda now: now.replace(hour=3, minute=0) + dt.timedelta(days=now.hour >= 3))
        work.plan_chores(timezone.now())

    with time_machine.travel(NOW, tick=False):
        yield register


def make_mail(user_number: int | None = None, **fields: object) -> Mail:
    user = None if user_number is None else make_user(f"owner{user_number}")
    return Mail.objects.create(user=user, kind="none", expires_at=NOW + dt.timedelta(days=1), due_at=NOW, **fields)


# --- Chores -----------------------------------------------------------------------------------------


def test_a_chore_is_done_at_its_time_and_once(chore: Callable[..., None]) -> None:
    done: list[dt.datetime] = []
    chore(lambda: done.append(timezone.now()))
    assert work.drain() == 0
    with time_machine.travel(NOW + dt.timedelta(minutes=31), tick=False):
        assert [work.drain(), work.drain()] == [1, 0]
    row = Chore.objects.get()
    assert (len(done), row.due_at, row.failed_at) == (1, NOW.replace(day=30, hour=3, minute=0), None)
    assert row.ran_at == NOW + dt.timedelta(minutes=31)


def test_a_chore_that_was_missed_is_done_when_a_worker_is_back(chore: Callable[..., None]) -> None:
    done: list[int] = []
    chore(lambda: done.append(1))
    with time_machine.travel(NOW + dt.timedelta(days=9), tick=False):
        work.plan_chores(timezone.now())  # as a start does; what is planned stays
        assert [work.drain(), work.drain()] == [1, 0]
    assert done == [1]


def test_a_chore_that_fails_is_tried_again_soon(chore: Callable[..., None], caplog: pytest.LogCaptureFixture) -> None:
    chore(lambda: 1 / 0)
    with time_machine.travel(NOW + dt.timedelta(hours=1), tick=False) as clock:
        work.drain()
        row = Chore.objects.get()
        assert (row.last_error, row.ran_at) == ("ZeroDivisionError", None)
        assert row.due_at is not None and 40 * SECOND < row.due_at - timezone.now() < 80 * SECOND
        clock.shift(80)
        assert work.drain() == 1
    assert "the chore sweep has failed" in caplog.text


def test_a_chore_that_this_version_does_not_know_is_left_alone(chore: Callable[..., None]) -> None:
    Chore.objects.create(name="of another version", due_at=NOW)
    assert [work.drain(), work.drain()] == [1, 0]


def test_once_a_day_is_within_its_hour() -> None:
    every_day = work.every_day(3)
    for now in (NOW, NOW + dt.timedelta(hours=3), NOW.replace(hour=23, minute=59)):
        at = every_day(now)
        assert at > now and at.hour == 3 and at - now < dt.timedelta(hours=28)


# --- Leases -----------------------------------------------------------------------------------------


def claimed(now: dt.datetime = NOW, most: int = 50) -> list[int]:
    return [mail.pk for mail in leases.claim(Mail.objects.due(now), most, now, "user_id")]


def test_a_row_is_leased_to_one_worker_and_to_another_when_the_lease_ends(db: None) -> None:
    mail = make_mail()
    assert [claimed(), claimed(NOW + 59 * SECOND), claimed(NOW + 60 * SECOND)] == [[mail.pk], [], [mail.pk]]
    mail.refresh_from_db()
    assert mail.attempts == 2


def test_a_lease_can_be_kept(db: None) -> None:
    make_mail()
    [mail] = leases.claim(Mail.objects.due(NOW), 1, NOW)
    leases.renew([mail], NOW + 50 * SECOND)
    assert [len(claimed(NOW + 109 * SECOND)), len(claimed(NOW + 110 * SECOND))] == [0, 1]


def test_who_has_lost_the_lease_settles_nothing(db: None) -> None:
    make_mail()
    [late] = leases.claim(Mail.objects.due(NOW), 1, NOW)
    [other] = leases.claim(Mail.objects.due(NOW + 61 * SECOND), 1, NOW + 61 * SECOND)
    assert not late.settle(None, last_error="late") and not late.keep(NOW + 999 * SECOND)
    assert other.settle(None, last_error="other")
    assert Mail.objects.values_list("last_error", flat=True).get() == "other"


def test_what_is_settled_is_not_settled_again(db: None) -> None:
    make_mail()
    [mail] = leases.claim(Mail.objects.due(NOW), 1, NOW)
    assert [mail.settle(None), mail.settle(NOW)] == [True, False]


def test_of_an_owner_two_rows_are_leased_at_once_and_the_others_do_not_wait(db: None) -> None:
    first = [make_mail(1).pk]
    owner = Mail.objects.get().user
    first += [Mail.objects.create(user=owner, kind="none", expires_at=NOW, due_at=NOW).pk for _ in range(20)]
    second = make_mail(2).pk
    assert claimed(most=4) == first[:2]  # all that were looked at are of the first
    assert [claimed(most=4), claimed(most=4)] == [[second], []]
    Mail.objects.filter(pk=first[0]).update(leased_until=None, due_at=None)
    assert claimed() == [first[2]]


def test_rows_of_nobody_are_not_counted_together(db: None) -> None:
    mails = [make_mail().pk for _ in range(5)]
    assert claimed() == mails


def test_the_longest_due_come_first(db: None) -> None:
    mails = [make_mail() for _ in range(3)]
    Mail.objects.filter(pk=mails[1].pk).update(due_at=NOW - SECOND)
    assert claimed(most=1) == [mails[1].pk]


@pytest.mark.django_db(transaction=True)
def test_a_row_that_somebody_else_has_locked_is_passed_over() -> None:
    mail, other = make_mail(), make_mail()
    locked, looked_at = threading.Event(), threading.Event()

    def hold() -> None:
        with all_users(), transaction.atomic():
            Mail.objects.select_for_update().get(pk=mail.pk)
            locked.set()
            looked_at.wait(20)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    locked.wait(20)
    assert claimed() == [other.pk]
    looked_at.set()
    holder.join()


# --- The loop ---------------------------------------------------------------------------------------


@pytest.fixture
def loop(transactional_db: None) -> Iterator[work.Loop]:
    running = work.Loop()
    thread = threading.Thread(target=running.run)
    thread.start()
    yield running
    running.stop()
    thread.join()


def wait_for(found: Callable[[], bool]) -> None:
    done = threading.Event()
    for _ in range(1000):
        if found():
            return
        done.wait(0.01)
    pytest.fail("it has not come")


@pytest.mark.process
def test_the_loop_sends_a_mail_tells_that_it_lives_and_leaves(loop: work.Loop) -> None:
    wait_for(lambda: Worker.objects.filter(name=loop.name).exists())
    user = make_user("late")
    mail = Mail.objects.create(user=user, kind="email_verification", expires_at=timezone.now() + dt.timedelta(days=1))
    Mail.objects.filter(pk=mail.pk).update(due_at=timezone.now())
    wait_for(lambda: Mail.objects.filter(pk=mail.pk).exclude(sent_at=None).exists())
    loop.stop()
    wait_for(lambda: not Worker.objects.filter(name=loop.name).exists())


def test_an_idle_poll_is_one_statement(db: None, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(1):
        assert work.due_names(list(work.kinds()), NOW) == []
    make_mail()
    assert work.due_names(list(work.kinds()), NOW) == ["mails"]


def test_rows_of_no_owner_are_claimed_together_and_others_once_a_thread_is_free(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second claim for each few that have come due meanwhile costs more than what is done with them."""
    ran: list[tuple[str, int]] = []

    def kind(name: str, owner: str | None, *feeds: str) -> work.Kind:
        def run(rows: list[Mail]) -> None:
            ran.append((name, len(rows)))

        return work.Kind(
            name, Mail, run, owner=owner, batch=2, feeds=feeds, due=lambda now: Mail.objects.due(now).filter(kind=name)
        )

    kinds = [kind("fed", None), kind("owned", "user"), kind("together", None, "fed")]
    monkeypatch.setattr(work, "_kinds", {each.name: each for each in kinds})
    loop = work.Loop()

    def claimed_at(moment: dt.datetime) -> list[tuple[str, int]]:
        """One row of each kind comes due; what is done of them then."""
        for each in kinds:
            Mail.objects.create(kind=each.name, expires_at=NOW + dt.timedelta(days=1), due_at=NOW)
        ran.clear()
        loop.step(moment)
        wait(loop.running)
        return sorted(ran)

    assert claimed_at(NOW) == [("fed", 1), ("owned", 1), ("together", 1)]
    assert claimed_at(NOW + 0.2 * SECOND) == [("fed", 1), ("owned", 1)]
    assert claimed_at(NOW + 0.4 * SECOND) == [("owned", 1)]
    assert claimed_at(NOW + 1 * SECOND) == [("fed", 2), ("owned", 1), ("together", 2)]


@time_machine.travel(NOW, tick=False)
def test_work_that_raises_is_tried_again_later(
    db: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(rows: list[Mail]) -> None:
        raise ValueError("unforeseen")

    monkeypatch.setitem(work._kinds, "mails", work.Kind("mails", Mail, fail))
    make_mail()
    assert work.drain("mails") == 1
    mail = Mail.objects.get()
    assert mail.leased_until is None and mail.due_at is not None and mail.due_at > timezone.now()
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_no_kind_waits_for_the_threads_of_another() -> None:
    assert work.threads() == 8


def test_the_backlog_tells_what_waits_and_for_how_long(db: None) -> None:
    make_mail()
    make_mail(leased_until=NOW + 90 * SECOND, failed_at=NOW - dt.timedelta(hours=23))
    found = {each.kind: each for each in work.backlog(NOW + 30 * SECOND)}
    assert found["mails"] == work.Backlog("mails", 30.0, 1, 1, 1)
    assert found["chores"] == work.Backlog("chores", 0.0, 0, 0, 0)


def test_claims_are_made_by_an_index(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'mail_mail_due'")
        assert "WHERE (due_at IS NOT NULL)" in cursor.fetchone()[0]
