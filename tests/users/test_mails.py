"""The outbox of mails, handed over to a real SMTP server."""

import datetime as dt
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from aiosmtpd.controller import Controller
from django.db import transaction
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from config.models import Worker
from config.operations import work
from tests.audited import events
from tests.client import Api
from tests.factories import PASSWORD, make_user
from tests.mailbox import Mailbox
from tests.pages import Page, send, signed_in
from tests.server import free_port
from users import services
from users.audit import Action
from users.mail import services as mail
from users.mail.models import Mail
from users.models import User

NOW = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)


@pytest.fixture
def mailbox(settings: Settings, caplog: pytest.LogCaptureFixture) -> Iterator[Mailbox]:
    caplog.set_level(logging.WARNING, "mail.log")  # the server's
    box = Mailbox()
    server = Controller(box, hostname="127.0.0.1", port=free_port())
    server.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", server.port, False
    settings.DEFAULT_FROM_EMAIL = "Tickbase <tickbase@example.com>"
    yield box
    server.stop()


def person(name: str) -> User:
    return make_user(name, email=f"{name}@example.com")


def queued(*names: str) -> list[Mail]:
    for name in names:
        mail.send_email_verification(person(name))
    return list(Mail.objects.order_by("pk"))


def send_again(staff: Client, row: Mail) -> Page:
    return send(staff, "/admin/mail/mail/", {"action": "send_again", "_selected_action": [str(row.pk)], "index": "0"})


# --- What is handed over ----------------------------------------------------------------------------


def test_a_mail_is_handed_over_and_what_it_needed_is_forgotten(db: None, mailbox: Mailbox) -> None:
    mail.send_token_expiry(person("ada"), "tick_pat_abcd", NOW)
    assert work.drain("mails") == 1
    [(_, message)] = mailbox.received
    row = Mail.objects.get()
    assert (message["To"], message["Subject"]) == ("ada@example.com", "Tickbase: a token expires soon")
    assert "tick_pat_abcd" in str(message.get_payload())
    assert (row.sent_at is not None, row.data, row.due_at, row.leased_until) == (True, {}, None, None)


def test_mails_that_are_due_share_a_connection(db: None, mailbox: Mailbox) -> None:
    queued(*(f"user{number}" for number in range(12)))
    work.drain("mails")
    assert len(mailbox.received) == 12
    assert len({peer for peer, _ in mailbox.received}) == 2  # of ten mails each


def test_a_mail_that_is_sent_twice_has_the_same_message_id(db: None, mailbox: Mailbox) -> None:
    """A worker was killed after the server had taken it."""
    [row] = queued("ada")
    work.drain("mails")
    Mail.objects.filter(pk=row.pk).update(sent_at=None, due_at=timezone.now())
    work.drain("mails")
    first, second = (message["Message-ID"] for _, message in mailbox.received)
    assert first == second and first.endswith("@example.com>")


def test_a_mail_goes_to_the_address_of_the_moment(db: None, mailbox: Mailbox) -> None:
    queued("ada")
    user = User.objects.get()
    user.set_email("new@example.com")
    user.save()
    work.drain("mails")
    assert mailbox.recipients() == ["new@example.com"]


def test_what_was_rolled_back_is_not_mailed(db: None, mailbox: Mailbox) -> None:
    ada = person("ada")
    with transaction.atomic():
        mail.send_email_verification(ada)
        transaction.set_rollback(True)
    assert (work.drain("mails"), mailbox.received) == (0, [])


def test_who_has_confirmed_meanwhile_gets_no_mail(db: None, mailbox: Mailbox) -> None:
    queued("ada")
    User.objects.update(email_verified_at=timezone.now())
    assert work.drain("mails") == 1
    assert (mailbox.received, Mail.objects.count()) == ([], 0)


def test_mails_of_a_deleted_account_go_with_it(db: None, mailbox: Mailbox) -> None:
    queued("ada")
    services.delete_account(User.objects.get())
    assert (work.drain("mails"), Mail.objects.count()) == (0, 0)


def test_a_reset_for_nobody_stores_a_row_as_any_other_which_is_sent_to_nobody(db: None, mailbox: Mailbox) -> None:
    person("ada")
    for address in ("ada@example.com", "nobody@example.com"):
        assert Api().post("/api/auth/forgot-password", {"email": address}).status_code == 202
    assert [row.user is None for row in Mail.objects.order_by("pk")] == [False, True]
    work.drain("mails")
    assert (mailbox.recipients(), Mail.objects.count()) == (["ada@example.com"], 1)


# --- Refusals ---------------------------------------------------------------------------------------


def test_a_bounce_is_told_and_not_tried_again(db: None, mailbox: Mailbox, caplog: pytest.LogCaptureFixture) -> None:
    mailbox.replies["ada@example.com"] = "550 5.1.1 <ada@example.com> is unknown"
    queued("ada", "eve")
    work.drain("mails")
    row = Mail.objects.get(user__email="ada@example.com")
    assert row.failed_at is not None and row.due_at is None
    assert row.last_error == "550 5.1.1 <ada@example.com> is unknown"
    assert mailbox.recipients() == ["eve@example.com"]
    assert "ada@example.com" not in caplog.text


def test_what_the_server_cannot_take_now_is_tried_again(db: None, mailbox: Mailbox) -> None:
    mailbox.replies["ada@example.com"] = "451 4.7.1 try again later"
    with time_machine.travel(NOW, tick=False) as clock:
        queued("ada")
        work.drain("mails")
        row = Mail.objects.get()
        assert (row.last_error, row.failed_at) == ("451 4.7.1 try again later", None)
        mailbox.replies.clear()
        assert work.drain("mails") == 0
        clock.shift(75)
        assert work.drain("mails") == 1
    assert mailbox.recipients() == ["ada@example.com"]


def test_tries_grow_rarer_until_a_day_is_over(db: None, mailbox: Mailbox) -> None:
    mailbox.replies["ada@example.com"] = "451 later"
    tried = []
    with time_machine.travel(NOW, tick=False) as clock:
        queued("ada")
        while (row := Mail.objects.get()).due_at is not None:
            clock.move_to(row.due_at)
            tried.append(row.due_at - NOW)
            work.drain("mails")
    assert tried[2] < dt.timedelta(minutes=4) and tried[-2] < dt.timedelta(days=1) <= tried[-1] + dt.timedelta(hours=1)
    assert 25 < len(tried) < 40
    assert row.last_error == "It could not be sent in time. 451 later"


def test_a_link_that_is_valid_for_an_hour_is_not_sent_later(db: None, mailbox: Mailbox) -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        mail.send_password_reset(person("ada"))
        clock.shift(3601)
        work.drain("mails")
    assert mailbox.received == []
    assert Mail.objects.get().failed_at is not None


def test_production_without_a_mail_server_says_so_once(
    db: None, settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "_reported", set())
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"  # as the settings choose it then
    queued("ada", "eve")
    work.drain("mails")
    assert {row.last_error for row in Mail.objects.all()} == {mail.NO_SERVER}
    assert [record.message for record in caplog.records].count(
        "mails cannot be sent (email_verification): set EMAIL_HOST"
    ) == 1


def test_a_mail_of_a_newer_version_waits_and_keeps_no_other_back(db: None, mailbox: Mailbox) -> None:
    mail.queue("of a newer version", person("ada"))
    queued("eve")
    work.drain("mails")
    assert mailbox.recipients() == ["eve@example.com"]
    assert Mail.objects.get(kind="of a newer version").due_at is not None


# --- The admin --------------------------------------------------------------------------------------


def test_staff_see_what_was_refused_and_have_it_sent_again(db: None, mailbox: Mailbox, carol: User) -> None:
    mailbox.replies["ada@example.com"] = "550 unknown"
    [row] = queued("ada")
    work.drain("mails")
    staff = signed_in(carol)
    page = staff.get("/admin/mail/mail/?state=failed").content.decode()
    assert "550 unknown" in page and "given up" in page
    mailbox.replies.clear()
    send_again(staff, row)
    work.drain("mails")
    row.refresh_from_db()
    assert (mailbox.recipients(), row.failed_at) == (["ada@example.com"], None)


def test_what_was_sent_is_not_sent_again(db: None, mailbox: Mailbox, carol: User) -> None:
    [row] = queued("ada")
    work.drain("mails")
    assert "Sent again: 0 mails." in send_again(signed_in(carol), row).messages
    assert (work.drain("mails"), len(mailbox.received)) == (0, 1)
    assert events(action=Action.STAFF_RAN) == []


def test_no_page_shows_a_token(db: None, settings: Settings, carol: User) -> None:
    settings.APP_URL = "https://app.example.com"
    assert Api().post("/api/auth/register", {"email": "ada@example.com", "password": PASSWORD}).status_code == 201
    row = Mail.objects.get()
    assert (row.kind, row.data) == ("email_verification", {})
    assert "token=" not in signed_in(carol).get(f"/admin/mail/mail/{row.pk}/change/").content.decode()


def test_the_first_page_tells_whether_deferred_work_is_done(db: None, carol: User) -> None:
    queued("ada")
    staff = signed_in(carol)
    page = staff.get("/admin/").content.decode()
    assert "No worker was seen" in page
    now = timezone.now()
    Worker.objects.beat("host:1", now, now)
    page = staff.get("/admin/").content.decode()
    assert "A worker does what is due." in page
    assert '<th scope="row">Mails</th><td>1</td>' in page


def test_a_mail_that_cannot_be_made_keeps_no_others_waiting(
    db: None, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(row: Mail, address: str) -> Any:
        raise ValueError("unforeseen")

    monkeypatch.setitem(mail._composers, "broken", broken)
    mail.queue("broken", person("eve"))
    queued("ada")
    work.drain("mails")
    assert mailbox.recipients() == ["ada@example.com"]
    row = Mail.objects.get(kind="broken")
    assert (row.last_error, row.leased_until) == ("ValueError", None)
    assert row.due_at is not None and row.due_at > timezone.now()
