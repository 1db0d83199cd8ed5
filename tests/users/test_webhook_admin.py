"""Webhooks and deliveries in the admin: what staff sees of them, and may do."""

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.audited import events
from tests.factories import make_user, make_webhook
from tests.pages import Page, send, signed_in
from tests.users.test_roles import in_role
from users.audit import Action
from users.models import User
from users.webhooks.models import Delivery, Endpoint

LIST, DELIVERIES = "/admin/webhooks/endpoint/", "/admin/webhooks/delivery/"
CANARY = "canary"


@pytest.fixture
def row(alice: User) -> Endpoint:
    return make_webhook(alice, CANARY)


@pytest.fixture
def staff(carol: User) -> Client:
    return signed_in(carol)


def page(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def act(staff: Client, action: str, *rows: Endpoint) -> Page:
    return send(staff, LIST, {"action": action, "_selected_action": [str(row.pk) for row in rows], "index": "0"})


def failing(row: Endpoint, **changes: Any) -> Endpoint:
    Endpoint.objects.filter(pk=row.pk).update(failures=3, due_at=timezone.now() + dt.timedelta(hours=1), **changes)
    return row


def test_support_sees_the_host_alone_and_never_a_secret(row: Endpoint) -> None:
    client = signed_in(in_role("support"))
    for path in (LIST, f"{LIST}{row.pk}/change/"):
        text = page(client, path)
        assert "1.1.1.1" in text and CANARY not in text.replace(f"{CANARY} of", "") and row.secret not in text
    assert events(action=Action.STAFF_READ) == []


def test_who_may_see_the_address_sees_it_and_the_audit_tells(row: Endpoint, staff: Client, carol: User) -> None:
    text = page(staff, f"{LIST}{row.pk}/change/")
    assert row.url in text and row.secret not in text
    (read,) = events(action=Action.STAFF_READ)
    assert (read.actor, read.subject, read.object_id) == (carol, row.user, str(row.pk))
    assert row.url not in page(staff, LIST)


def test_a_page_with_nothing_to_change_has_no_button_to_save(row: Endpoint, staff: Client) -> None:
    assert 'name="_save"' not in page(staff, f"{LIST}{row.pk}/change/")
    assert 'name="_save"' in page(staff, f"/admin/users/user/{row.user_id}/change/")


@pytest.mark.parametrize(
    ("role", "status"), [("user", 302), ("staff", 403), ("support", 200), ("operators", 200), ("superuser", 200)]
)
def test_each_role_is_answered_as_it_may(row: Endpoint, role: str, status: int) -> None:
    client = signed_in(in_role(role))
    for path in (LIST, f"{LIST}{row.pk}/change/", DELIVERIES):
        assert client.get(path).status_code == status, path
    for path in (f"{LIST}add/", f"{LIST}{row.pk}/delete/", f"{DELIVERIES}add/"):
        assert client.post(path, {"post": "yes"}).status_code == (302 if role == "user" else 403), path
    assert Endpoint.objects.count() == 1


def test_staff_lets_one_be_tried_now(row: Endpoint, staff: Client) -> None:
    failing(row)
    shown = act(staff, "try_now", row, make_webhook(row.user))
    assert "Tried now: 1 webhook." in shown.messages
    row.refresh_from_db()
    assert row.due_at is not None and row.due_at <= timezone.now()
    (told,) = events(action=Action.STAFF_RAN)
    assert (told.details, told.object_id) == ({"ran": "try_now"}, str(row.pk))


def test_staff_disables_one_and_enables_it_again(row: Endpoint, staff: Client) -> None:
    act(staff, "disable", row)
    row.refresh_from_db()
    assert (row.status, row.is_active, row.last_error, row.version) == ("disabled", False, "disabled by staff", 2)
    act(staff, "enable", row)
    row.refresh_from_db()
    assert (row.status, row.last_error, row.version) == ("active", "", 3)
    assert [each.details["ran"] for each in events(action=Action.STAFF_RAN)] == ["disable", "enable"]


def test_what_its_owner_has_paused_stays_so(row: Endpoint, staff: Client) -> None:
    Endpoint.objects.filter(pk=row.pk).update(is_active=False)
    act(staff, "enable", row)
    row.refresh_from_db()
    assert row.status == "paused" and events(action=Action.STAFF_RAN) == []


def test_who_may_only_see_does_nothing(row: Endpoint) -> None:
    client = signed_in(make_user("viewer", is_staff=True))
    client.post(LIST, {"action": "disable", "_selected_action": [str(row.pk)], "index": "0"})
    row.refresh_from_db()
    assert row.is_active


@pytest.mark.parametrize("status", ["active", "failing", "disabled", "paused"])
def test_the_list_is_filtered_by_status(alice: User, staff: Client, status: str) -> None:
    rows = {
        "active": make_webhook(alice),
        "failing": failing(make_webhook(alice)),
        "disabled": failing(make_webhook(alice), is_active=False, disabled_at=timezone.now()),
        "paused": failing(make_webhook(alice), is_active=False),
    }
    answer: Any = staff.get(f"{LIST}?status={status}")
    assert list(answer.context["cl"].result_list) == [rows[status]]


def test_deliveries_are_listed_without_text(row: Endpoint, staff: Client) -> None:
    text = page(staff, DELIVERIES)
    assert CANARY in text and row.url not in text  # its event has this name
    made = Delivery.objects.get()
    assert "msg_1" in page(staff, f"{DELIVERIES}{made.pk}/change/")
