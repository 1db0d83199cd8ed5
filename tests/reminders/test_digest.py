"""The daily mail of what is due and overdue."""

import datetime as dt

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from time_machine import Traveller

from config.operations import work
from tasks import services as tasks
from tasks.reminders import mails
from tasks.reminders.models import Digest
from tests.factories import make_project, make_task, make_user
from users import services as accounts
from users.mail.models import Mail
from users.models import User

TODAY = dt.date(2026, 11, 29)
SEVEN = dt.datetime(2026, 11, 30, 6, 0, tzinfo=dt.UTC)  # on the next morning in Berlin
DAY = dt.timedelta(days=1)


@pytest.fixture
def ada(db: None, clock: Traveller) -> User:
    user = make_user("ada", email_verified_at=timezone.now(), timezone="Europe/Berlin")
    return accounts.update_account(user, digest_time=dt.time(7))


def digest() -> list[str]:
    work.drain("digests")
    work.drain("bulk mails")
    return mail.outbox[-1].body.splitlines() if mail.outbox else []


def test_it_tells_what_is_due_today_and_overdue(ada: User, clock: Traveller) -> None:
    assert Digest.objects.get().due_at == SEVEN
    make_task(ada, title="Yesterday", due_date=TODAY)
    make_task(ada, title="Today", due_date=TODAY + DAY)
    make_task(ada, title="At noon", due_at=SEVEN + dt.timedelta(hours=5))
    make_task(ada, title="Tomorrow", due_date=TODAY + 2 * DAY)
    make_task(ada, title="Some day")
    make_task(ada, title="Done", due_date=TODAY, status="completed")
    make_task(ada, title="Away", due_date=TODAY, project_id=make_project(ada, is_archived=True).pk)
    tasks.delete_task(ada, make_task(ada, title="Gone", due_date=TODAY).pk)
    make_task(make_user("bob"), title="Of bob's", due_date=TODAY)
    clock.move_to(SEVEN)
    assert [line for line in digest() if line.startswith("-")] == [
        "- Yesterday (overdue: Sunday, 29 November 2026)",
        "- At noon (Monday, 30 November 2026, 12:00 (Europe/Berlin))",
        "- Today (Monday, 30 November 2026)",
    ]
    [sent] = mail.outbox
    assert (sent.subject, sent.to) == ("Your day: Monday, 30 November 2026", [ada.email])
    row = Digest.objects.get()
    assert (row.due_at, row.sent_at, row.leased_until) == (SEVEN + DAY, SEVEN, None)


def test_nothing_due_is_no_mail(ada: User, clock: Traveller) -> None:
    clock.move_to(SEVEN)
    assert digest() == []
    assert Digest.objects.get().due_at == SEVEN + DAY


def test_a_long_list_is_cut(ada: User, clock: Traveller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mails, "LISTED", 2)
    for number in range(5):
        make_task(ada, title=f"Task {number}", due_date=TODAY)
    clock.move_to(SEVEN)
    lines = digest()
    assert sum(line.startswith("-") for line in lines) == 2
    assert "… and 3 more." in lines


def test_what_is_more_than_a_day_late_is_left_out(ada: User, clock: Traveller) -> None:
    make_task(ada, due_date=TODAY)
    clock.move_to(SEVEN + 3 * DAY + dt.timedelta(hours=1))
    assert digest() == []
    assert Digest.objects.get().due_at == SEVEN + 4 * DAY


def test_it_follows_the_settings(ada: User) -> None:
    accounts.update_account(ada, timezone="America/New_York")
    assert Digest.objects.get().due_at == dt.datetime(2026, 11, 29, 12, 0, tzinfo=dt.UTC)
    accounts.update_account(ada, digest_time=dt.time(0, 30))
    assert Digest.objects.get().due_at == dt.datetime(2026, 11, 30, 5, 30, tzinfo=dt.UTC)
    accounts.update_account(ada, digest_time=None)
    assert not Digest.objects.exists()


def test_days_of_23_and_25_hours(ada: User, clock: Traveller) -> None:
    accounts.update_account(ada, digest_time=dt.time(2, 30))
    for day, at in [
        (dt.date(2027, 3, 28), dt.datetime(2027, 3, 28, 1, 30, tzinfo=dt.UTC)),  # a gap
        (dt.date(2027, 10, 31), dt.datetime(2027, 10, 31, 0, 30, tzinfo=dt.UTC)),  # a fold, once
    ]:
        clock.move_to(dt.datetime.combine(day, dt.time(0), dt.UTC) - dt.timedelta(hours=3))
        work.drain("digests")
        assert Digest.objects.get().due_at == at
        clock.move_to(at)
        work.drain("digests")
        following = Digest.objects.get().due_at
        assert following is not None and following.date() == day + DAY


@pytest.mark.parametrize("changes", [{"email_verified_at": None}, {"is_active": False}])
def test_who_has_no_address_gets_none(ada: User, clock: Traveller, changes: dict[str, object]) -> None:
    make_task(ada, due_date=TODAY)
    User.objects.filter(pk=ada.pk).update(**changes)
    clock.move_to(SEVEN)
    assert digest() == []
    assert Digest.objects.get().due_at == SEVEN + DAY


def test_its_link_ends_the_digest_alone(ada: User, clock: Traveller, settings: Settings) -> None:
    settings.API_URL = "https://api.example.com"
    make_task(ada, due_date=TODAY)
    clock.move_to(SEVEN)
    digest()
    link = mail.outbox[0].extra_headers["List-Unsubscribe"].strip("<>").removeprefix(settings.API_URL)
    assert "daily mail" in Client().get(link).content.decode()
    assert Client().post(link).status_code == 200
    account = User.objects.get(pk=ada.pk)
    assert (account.digest_time, account.reminder_channels) == (None, ["mail", "webhook"])
    assert not Digest.objects.exists()


def test_one_users_trouble_is_not_anothers(ada: User, clock: Traveller, monkeypatch: pytest.MonkeyPatch) -> None:
    bob = accounts.update_account(
        make_user("bob", email_verified_at=timezone.now(), timezone="Europe/Berlin"), digest_time=dt.time(7)
    )
    for user in (ada, bob):
        make_task(user, due_date=TODAY)
    queue = mails.queue_digest

    def fail(account: User, today: dt.date) -> bool:
        if account == ada:
            raise ValueError("unforeseen")
        return queue(account, today)

    monkeypatch.setattr(mails, "queue_digest", fail)
    clock.move_to(SEVEN)
    work.drain("digests")
    assert Mail.objects.get().user == bob
    again = Digest.objects.get(user=ada).due_at
    assert again is not None
    assert SEVEN < again < SEVEN + dt.timedelta(minutes=2)
    assert Digest.objects.get(user=bob).due_at == SEVEN + DAY


def test_a_digest_that_was_switched_off_meanwhile_is_not_planned_anew(ada: User, clock: Traveller) -> None:
    from tasks.reminders import services

    row = Digest.objects.get()
    accounts.update_account(ada, digest_time=None)
    services.fire_digests([row])
    assert not Digest.objects.exists()


def test_the_outbox_holds_no_text_and_what_was_erased_since_is_not_mailed(ada: User, clock: Traveller) -> None:
    """The mail server was away meanwhile."""
    kept, gone = make_task(ada, title="Kept", due_date=TODAY), make_task(ada, title="Biopsy", due_date=TODAY)
    clock.move_to(SEVEN)
    work.drain("digests")
    assert Mail.objects.get().data == {"day": "2026-11-30"}
    tasks.delete_task(ada, gone.pk)
    assert [line for line in digest() if line.startswith("- ")] == ["- Kept (overdue: Sunday, 29 November 2026)"]
    tasks.delete_task(ada, kept.pk)
    mail.outbox.clear()
    clock.move_to(SEVEN + DAY)
    assert digest() == []
