"""Reminders that are due: told once, in time, and never early; what was closed meanwhile is not told."""

import datetime as dt
import threading
from collections.abc import Collection, Mapping, Sequence

import pytest
import time_machine
from django.core import mail
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import Settings
from time_machine import Traveller

from config.database import leases
from config.database.isolation import all_users
from config.environment.rates import Rate
from config.operations import work
from tasks import services as tasks
from tasks.models import Task
from tasks.reminders import mails, services
from tasks.reminders.models import Reminder
from tests.factories import make_task, make_user, make_webhook
from tests.reminders import DUE, HALF_AN_HOUR
from users import services as accounts
from users.mail.models import Mail
from users.mail.services import send_password_reset
from users.models import User
from users.webhooks.models import Event

REMIND_AT = DUE - dt.timedelta(minutes=30)
SECOND = dt.timedelta(seconds=1)


@pytest.fixture
def ada(db: None, clock: Traveller) -> User:
    return make_user("ada", email_verified_at=timezone.now(), timezone="Europe/Berlin")


def remind(user: User, **fields: object) -> Task:
    return make_task(user, **{"due_at": DUE, "reminders": HALF_AN_HOUR, "title": "Call the dentist", **fields})


def work_through() -> list[str]:
    """The subjects of the mails that are sent."""
    before = len(mail.outbox)
    work.drain("reminders")
    work.drain("bulk mails")
    return [str(each.subject) for each in mail.outbox[before:]]


def test_a_reminder_is_mailed_at_its_time_once_and_never_early(ada: User, clock: Traveller) -> None:
    remind(ada)
    clock.move_to(REMIND_AT - SECOND)
    assert work_through() == []
    clock.move_to(REMIND_AT)
    assert work_through() == ["Reminder: Call the dentist"]
    row = Reminder.objects.get()
    assert (row.sent_at, row.missed_at, row.due_at, row.leased_until) == (REMIND_AT, None, None, None)
    clock.shift(3600)
    assert work_through() == []
    outbox = Mail.objects.get()
    assert (outbox.data, outbox.sent_at) == ({}, REMIND_AT)


def test_the_mail_says_what_is_due_and_when(ada: User, clock: Traveller, settings: Settings) -> None:
    settings.APP_URL = "https://app.example.com"
    task = remind(ada)
    clock.move_to(REMIND_AT)
    work_through()
    [sent] = mail.outbox
    assert sent.to == [ada.email]
    assert sent.body.splitlines()[0] == "Call the dentist"
    assert "Due: Tuesday, 1 December 2026, 10:00 (Europe/Berlin)" in sent.body
    assert f"https://app.example.com/tasks/{task.pk}\n" in sent.body
    assert "late" not in sent.body
    assert sent.extra_headers["Message-ID"].startswith("<reminder.")


def test_a_title_cannot_forge_headers_or_other_lines_of_the_subject(ada: User, clock: Traveller) -> None:
    remind(ada, title="Call\r\nBcc: all@example.com\x07 now")
    clock.move_to(REMIND_AT)
    assert work_through() == ["Reminder: Call Bcc: all@example.com now"]
    assert mail.outbox[0].recipients() == [ada.email]


def test_a_task_without_a_due_and_one_of_a_whole_day(ada: User, clock: Traveller) -> None:
    remind(ada, due_at=None, reminders=[{"at": REMIND_AT}])
    remind(ada, due_at=None, due_date=DUE.date(), reminders=[{"minutes_before": 0}])  # at nine in Berlin
    clock.move_to(REMIND_AT)
    work_through()
    day, moment = sorted(each.body for each in mail.outbox)
    assert "Due" not in min(day, moment, key=len)
    assert "Due: Tuesday, 1 December 2026\n" in max(day, moment, key=len)


def test_one_pass_of_the_worker_mails_it_too(ada: User, clock: Traveller) -> None:
    """As `manage.py work --once` does from a timer."""
    remind(ada)
    clock.move_to(REMIND_AT)
    work.drain()
    assert len(mail.outbox) == 1


def test_what_is_late_says_so(ada: User, clock: Traveller) -> None:
    remind(ada)
    clock.move_to(REMIND_AT + dt.timedelta(hours=24))
    assert work_through() == ["Reminder: Call the dentist"]
    assert "This was meant for 09:30 on Tuesday, 1 December; it comes late." in mail.outbox[0].body


def test_what_is_later_than_a_day_is_missed_without_a_mail(ada: User, clock: Traveller) -> None:
    remind(ada)
    missed_at = REMIND_AT + dt.timedelta(hours=24, seconds=1)
    clock.move_to(missed_at)
    assert work_through() == []
    row = Reminder.objects.get()
    assert (row.sent_at, row.missed_at, row.due_at) == (None, missed_at, None)


def test_a_mail_that_cannot_be_sent_within_a_day_is_given_up(ada: User, clock: Traveller) -> None:
    remind(ada)
    clock.move_to(REMIND_AT + dt.timedelta(hours=2))
    work.drain("reminders")
    assert Mail.objects.get().expires_at == REMIND_AT + dt.timedelta(hours=24)


@pytest.mark.parametrize("deed", ["complete", "delete", "move the due", "take the reminder away"])
def test_what_happens_between_claim_and_telling_counts(ada: User, clock: Traveller, deed: str) -> None:
    task = remind(ada)
    clock.move_to(REMIND_AT)
    claimed = leases.claim(Reminder.objects.due(timezone.now()), 50, timezone.now())
    match deed:
        case "complete":
            tasks.complete_task(ada, task.pk)
        case "delete":
            tasks.delete_task(ada, task.pk)
        case "move the due":
            tasks.update_task(ada, task.pk, {"due_at": DUE + dt.timedelta(days=1)})
        case _:
            tasks.update_task(ada, task.pk, {"reminders": []})
    services.fire(claimed)
    assert not Mail.objects.exists()
    assert not Reminder.objects.exclude(sent_at=None, missed_at=None).exists()


def test_who_has_lost_the_lease_tells_nothing(ada: User, clock: Traveller) -> None:
    remind(ada)
    clock.move_to(REMIND_AT)
    late = leases.claim(Reminder.objects.due(timezone.now()), 50, timezone.now())
    clock.shift(61)
    other = leases.claim(Reminder.objects.due(timezone.now()), 50, timezone.now())
    services.fire(late)
    assert not Mail.objects.exists()
    services.fire(other)
    services.fire(other)
    assert Mail.objects.count() == 1


def test_a_worker_that_dies_is_followed_by_another(ada: User, clock: Traveller) -> None:
    remind(ada)
    clock.move_to(REMIND_AT)
    leases.claim(Reminder.objects.due(timezone.now()), 50, timezone.now())
    assert work_through() == []
    clock.shift(60)
    assert work_through() == ["Reminder: Call the dentist"]


@pytest.mark.django_db(transaction=True)
def test_a_task_that_is_being_closed_is_waited_for_and_not_told(clock: Traveller) -> None:
    ada = make_user("ada", email_verified_at=timezone.now())
    task = remind(ada)
    clock.move_to(REMIND_AT)
    claimed = leases.claim(Reminder.objects.due(timezone.now()), 50, timezone.now())
    closed = threading.Event()

    def close() -> None:
        with all_users(), transaction.atomic():
            Task.objects.filter(pk=task.pk).update(status="completed", completed_at=timezone.now())
            closed.set()
            with connection.cursor() as cursor:  # until the other one waits for the row
                cursor.execute("SELECT pg_sleep(0)")
                while not _somebody_waits(cursor):
                    pass
        connection.close()

    closing = threading.Thread(target=close)
    closing.start()
    closed.wait(20)
    services.fire(claimed)
    closing.join()
    assert not Mail.objects.exists()
    assert Reminder.objects.get().sent_at is None


def _somebody_waits(cursor: object) -> bool:
    cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")  # type: ignore[attr-defined]
    return bool(cursor.fetchone()[0])  # type: ignore[attr-defined]


def test_a_task_that_goes_back_and_forth_is_told_once(ada: User, clock: Traveller) -> None:
    task = remind(ada)
    clock.move_to(REMIND_AT)
    work_through()
    tasks.complete_task(ada, task.pk)
    tasks.complete_task(ada, task.pk, False)
    tasks.update_task(ada, task.pk, {"due_at": DUE + dt.timedelta(days=1)})
    assert Reminder.objects.get().due_at == REMIND_AT + dt.timedelta(days=1)
    tasks.update_task(ada, task.pk, {"due_at": DUE})
    assert Reminder.objects.get().due_at is None
    assert work_through() == []


def test_the_next_occurrence_is_told_of_anew(ada: User, clock: Traveller) -> None:
    task = remind(ada, recurrence={"rule": "FREQ=DAILY", "zone": "UTC"})
    clock.move_to(REMIND_AT)
    assert len(work_through()) == 1
    tasks.complete_task(ada, task.pk)
    assert Reminder.objects.get().shown()["sent_at"] is None
    clock.shift(24 * 3600)
    assert len(work_through()) == 1


# --- Channels ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [{"reminder_channels": []}, {"email_verified_at": None}, {"is_active": False}, {"reminder_channels": ["webhook"]}],
)
def test_who_cannot_be_told_has_missed_it(ada: User, clock: Traveller, changes: dict[str, object]) -> None:
    remind(ada)
    User.objects.filter(pk=ada.pk).update(**changes)
    clock.move_to(REMIND_AT)
    assert work_through() == []
    assert Reminder.objects.get().missed_at == REMIND_AT


def test_who_leaves_the_channel_before_the_mail_is_sent_gets_none(ada: User, clock: Traveller) -> None:
    remind(ada)
    clock.move_to(REMIND_AT)
    work.drain("reminders")
    accounts.update_account(ada, reminder_channels=[])
    work.drain("bulk mails")
    assert mail.outbox == [] and not Mail.objects.exists()


def test_a_webhook_is_told_without_the_text(ada: User, clock: Traveller) -> None:
    make_webhook(ada, events=["reminder.due"])
    accounts.update_account(ada, reminder_channels=["webhook"])
    remind(ada)
    clock.move_to(REMIND_AT)
    work.drain("reminders")
    event = Event.objects.get(user=ada)
    assert (Reminder.objects.get().sent_at, Mail.objects.count()) == (REMIND_AT, 0)
    assert event.name == "reminder.due" and "Call the dentist" not in str(event.data)
    assert event.data["object"]["id"] == Reminder.objects.get().task_id


def test_without_a_webhook_that_wants_it_nobody_is_told(ada: User, clock: Traveller) -> None:
    make_webhook(ada, events=["task.created"])
    accounts.update_account(ada, reminder_channels=["webhook"])
    remind(ada)
    clock.move_to(REMIND_AT)
    work.drain("reminders")
    assert (Reminder.objects.get().missed_at, Event.objects.count()) == (REMIND_AT, 0)


def test_one_users_trouble_is_not_anothers(ada: User, clock: Traveller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has a transaction of their own then; the one is tried again."""
    bob = make_user("bob", email_verified_at=timezone.now())
    remind(ada), remind(bob)
    clock.move_to(REMIND_AT)

    def fail(told: Mapping[User, Sequence[Reminder]], now: dt.datetime) -> Collection[int]:
        if ada in told:
            raise ValueError("unforeseen")
        return mails.queue(told, now)

    monkeypatch.setitem(services.channels, "mail", fail)
    work.drain("reminders")
    assert Mail.objects.get().user == bob
    assert Reminder.objects.get(user=ada).leased_until is None


# --- The day's limit --------------------------------------------------------------------------------


def test_beyond_the_days_limit_one_mail_says_so(ada: User, clock: Traveller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mails, "MAILS", Rate(3, 86_400))
    for number in range(5):
        remind(ada, title=f"Task {number}", reminders=[{"at": REMIND_AT + number * SECOND}])
    clock.move_to(REMIND_AT + SECOND)
    assert len(work_through()) == 2
    clock.move_to(REMIND_AT + dt.timedelta(minutes=1))
    assert work_through() == ["Reminder: Task 2", "Tickbase: no more reminders by mail today"]
    remind(ada, reminders=[{"at": REMIND_AT}])
    assert work_through() == []
    assert Reminder.objects.exclude(missed_at=None).count() == 3
    assert "you have got 3 reminders" in mail.outbox[-1].body


def test_the_limit_is_each_users(ada: User, clock: Traveller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mails, "MAILS", Rate(1, 86_400))
    bob = make_user("bob", email_verified_at=timezone.now())
    remind(ada), remind(bob)
    clock.move_to(REMIND_AT)
    assert len(work_through()) == 2


def test_many_of_one_user_are_told_in_one_transaction(ada: User, clock: Traveller) -> None:
    for number in range(60):
        remind(ada, title=f"Task {number}")
    clock.move_to(REMIND_AT)
    with time_machine.travel(REMIND_AT, tick=False):
        assert work.drain("reminders") == 50  # a batch; the others are told along
    assert Mail.objects.count() == 60


# --- Thousands --------------------------------------------------------------------------------------


def test_nobody_waits_batch_after_batch_for_somebodys_thousands(
    ada: User, clock: Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "MOST", 5)
    make_webhook(ada, events=["reminder.due"])
    for number in range(30):
        remind(ada, title=f"Task {number}")
    bob = make_user("bob", email_verified_at=timezone.now())
    remind(bob, reminders=[{"at": REMIND_AT + SECOND}])
    clock.move_to(REMIND_AT + SECOND)
    claimed = leases.claim(Reminder.objects.due(timezone.now()), 5, timezone.now())
    services.fire(claimed)
    assert [each.user for each in Reminder.objects.due(timezone.now())] == [bob]
    assert Event.objects.count() == Reminder.objects.exclude(sent_at=None).count() == 30


def test_the_outbox_holds_no_text_and_what_was_deleted_since_is_not_mailed(ada: User, clock: Traveller) -> None:
    """The mail server was away meanwhile; of a mail that is given up the data stays."""
    task = remind(ada)
    clock.move_to(REMIND_AT)
    work.drain("reminders")
    assert Mail.objects.get().data == {"task": task.pk, "remind_at": "2026-12-01T08:30:00+00:00"}
    tasks.delete_task(ada, task.pk)
    work.drain("bulk mails")
    assert mail.outbox == [] and not Mail.objects.exists()


def test_who_wants_a_new_password_waits_for_no_reminders(ada: User, clock: Traveller) -> None:
    remind(ada)
    clock.move_to(REMIND_AT)
    work.drain("reminders")
    clock.shift(1)
    send_password_reset(make_user("bob"))
    now = timezone.now()
    assert work.due_names(list(work.kinds()), now) == ["mails", "bulk mails"]
    assert [work.drain("mails"), len(mail.outbox)] == [1, 1]
    assert "password" in mail.outbox[0].subject
