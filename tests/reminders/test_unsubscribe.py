"""The link with which mails of reminders end (RFC 8058)."""

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from time_machine import Traveller

from tests.factories import make_task, make_user
from tests.reminders import DUE, work_through
from users.models import User

BASE = "https://api.example.com"


@pytest.fixture
def ada(db: None, clock: Traveller, settings: Settings) -> User:
    settings.API_URL = BASE
    return make_user("ada", email_verified_at=timezone.now())


def link_of_a_mail(user: User, clock: Traveller) -> str:
    make_task(user, reminders=[{"at": DUE}])
    clock.move_to(DUE)
    work_through()
    [sent] = mail.outbox
    assert sent.extra_headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link: str = sent.extra_headers["List-Unsubscribe"].removeprefix("<").removesuffix(">")
    assert link in sent.body and link.startswith(f"{BASE}/unsubscribe/")
    return link.removeprefix(BASE)


def channels(user: User) -> list[str]:
    return User.objects.get(pk=user.pk).reminder_channels


def test_one_click_ends_mails_without_signing_in_and_without_cookies(ada: User, clock: Traveller) -> None:
    link = link_of_a_mail(ada, clock)
    client = Client(enforce_csrf_checks=True)
    for _ in range(2):  # mail programs try again
        answer = client.post(link, {"List-Unsubscribe": "One-Click"})
        assert (answer.status_code, answer["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert channels(ada) == ["webhook"]
    make_task(ada, reminders=[{"at": DUE}])
    work_through()
    assert len(mail.outbox) == 1


def test_who_opens_the_link_is_asked_first(ada: User, clock: Traveller) -> None:
    link = link_of_a_mail(ada, clock)
    answer = Client().get(link)
    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
    assert '<form method="post"><button type="submit">' in answer.content.decode()
    assert Client().head(link).status_code == 200
    assert channels(ada) == ["mail", "webhook"]


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_damaged_link_is_none(ada: User, clock: Traveller, method: str) -> None:
    link = link_of_a_mail(ada, clock)
    for damaged in (f"{link}x", link[:-1], "/unsubscribe/x", "/unsubscribe/W10:1", f"/unsubscribe/{'x' * 5000}"):
        assert getattr(Client(), method)(damaged).status_code == 404
    assert channels(ada) == ["mail", "webhook"]


def test_the_link_of_an_account_that_is_gone(ada: User, clock: Traveller) -> None:
    link = link_of_a_mail(ada, clock)
    ada.delete()
    assert Client().post(link).status_code == 200


def test_without_an_address_of_this_service_there_is_no_link(ada: User, clock: Traveller, settings: Settings) -> None:
    settings.API_URL = ""
    make_task(ada, reminders=[{"at": DUE}])
    clock.move_to(DUE)
    work_through()
    [sent] = mail.outbox
    assert "List-Unsubscribe" not in sent.extra_headers and "unsubscribe" not in sent.body
