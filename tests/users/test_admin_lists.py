"""The staff's list of accounts, what it can do with them, and the sessions on an account's page."""

import datetime as dt
import json
import uuid

import pytest
from django.contrib.auth.models import Permission
from django.core import mail as outgoing
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from config.errors import InvalidToken
from config.operations import work
from tests.audited import only
from tests.factories import PASSWORD, make_session, make_task, make_tokens, make_user
from tests.pages import Page, open_page, send, signed_in, submit
from users import services
from users.audit import Action
from users.models import AuditEvent, Session, User
from users.resources.resource import registered
from users.tokens import own

pytestmark = pytest.mark.thorough

LIST = "/admin/users/user/"


def change(user: User) -> str:
    return f"{LIST}{user.pk}/change/"


def end(user: User, session: Session) -> str:
    return f"{LIST}{user.pk}/sessions/{session.pk}/end/"


@pytest.fixture
def staff(carol: User) -> Client:
    return signed_in(carol)


def with_permissions(*codenames: str) -> Client:
    member = make_user(is_staff=True)
    member.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return signed_in(member)


def act(staff: Client, action: str, *users: User) -> Page:
    return send(staff, LIST, {"action": action, "_selected_action": [str(user.pk) for user in users], "index": "0"})


def shown(staff: Client, query: str) -> list[str]:
    answer = staff.get(f"{LIST}?{query}")
    assert answer.status_code == 200
    return sorted(user.name for user in answer.context["cl"].result_list)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("issuer=local", ["carol", "now", "never", "old", "recent"]),
        ("issuer=https://login.example.com", ["outside"]),
        ("issuer=%00", None),
        ("issuer=nobody", []),
        ("seen=day", ["now"]),
        ("seen=week", ["now", "recent"]),
        ("seen=month", ["now", "recent"]),
        ("seen=never", ["carol", "never", "outside"]),
        ("seen=sometimes", ["carol", "now", "never", "old", "outside", "recent"]),
    ],
)
def test_filters(staff: Client, query: str, found: list[str] | None) -> None:
    for name, days in [("now", 0), ("recent", 5), ("old", 40)]:
        session = make_session(make_user(name))
        Session.objects.filter(pk=session.pk).update(last_used_at=timezone.now() - dt.timedelta(days=days))
    make_user("never")
    external = {"issuer": "https://login.example.com", "subject": "u1"}
    User.objects.create(name="outside", email="o@example.com", email_canonical=None, **external)
    if found is None:
        assert staff.get(f"{LIST}?{query}").status_code in (200, 302)
    else:
        assert shown(staff, query) == sorted(found)


def test_each_account_shows_what_it_has(staff: Client, alice: User, bob: User) -> None:
    make_task(alice)
    make_task(alice, status="completed")
    seen = make_session(alice).last_used_at
    rows = {user.name: user for user in staff.get(LIST).context["cl"].result_list}
    counts = {
        name: (user.count_of_tasks, user.count_of_open_tasks, user.count_of_sessions, user.last_seen)
        for name, user in rows.items()
    }
    assert counts == {"alice": (2, 1, 1, seen), "bob": (0, 0, 0, None), "carol": (0, 0, 0, None)}


def test_counts_take_no_query_for_each_account(staff: Client) -> None:
    numbers = []
    for more in (2, 27):
        for _ in range(more):
            make_task(make_session(make_user()).user)
        with CaptureQueriesContext(connection) as queries:
            staff.get(LIST)
        numbers.append(len(queries))
    assert numbers[0] == numbers[1] < 15


def test_deactivate_ends_every_session_and_token(staff: Client, alice: User, bob: User, carol: User) -> None:
    access = make_tokens(alice).access
    page = act(staff, "deactivate", alice, carol)
    alice.refresh_from_db()
    assert "Deactivated 1 account; passed over 1 to which it does not apply." in page.messages
    assert (alice.is_active, alice.sessions.count(), alice.token_version) == (False, 0, 1)
    with pytest.raises(InvalidToken):
        own.authenticate(access)
    assert User.objects.filter(is_active=True).count() == 2
    assert (only(Action.DEACTIVATED).subject_id, only(Action.DEACTIVATED).actor_id) == (alice.pk, carol.pk)


def test_who_is_outranked_deactivates_nobody_above(carol: User, alice: User) -> None:
    limited = with_permissions("view_user", "change_user")
    act(limited, "deactivate", carol, alice)
    assert set(User.objects.filter(is_active=False)) == {alice}
    assert only(Action.STAFF_RAN).subject_id == alice.pk  # of carol nothing was done


def test_an_action_on_a_list_of_active_accounts_counts_those_that_leave_it(
    staff: Client, alice: User, bob: User
) -> None:
    chosen: dict[str, str | list[str]] = {"action": "deactivate", "select_across": "1", "_selected_action": "1"}
    page = send(staff, f"{LIST}?is_active__exact=1", {**chosen, "index": "0"})
    assert "Deactivated 2 accounts; passed over 1 to which it does not apply." in page.messages


def test_an_export_of_an_account_that_is_gone_says_so(staff: Client, alice: User) -> None:
    services.delete_account(alice)
    assert "choose one" in act(staff, "export_data", alice).messages


@pytest.mark.django_db
def test_a_password_reset_is_mailed_to_those_who_have_a_password() -> None:
    staff = signed_in(make_user(is_staff=True, is_superuser=True))
    users = [make_user("with", email="with@example.com"), make_user(password=None), make_user(is_active=False)]
    external = {"issuer": "https://login.example.com", "subject": "u1"}
    users.append(User.objects.create(email="with@example.com", email_canonical=None, **external))
    page = act(staff, "send_password_reset", *users)
    work.drain("mails")
    sent = outgoing.outbox
    assert "Mailed to 1 account; passed over 3" in page.messages
    assert [message.to for message in sent] == [["with@example.com"]]
    assert "set a new password" in sent[0].subject


def test_without_mail_a_password_reset_says_so(staff: Client, alice: User, settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    assert "EMAIL_HOST is not set" in act(staff, "send_password_reset", alice).messages


def test_an_export_is_a_download_of_one_account(staff: Client, alice: User, bob: User) -> None:
    make_task(alice, title="Hers")
    make_task(bob, title="His")
    asked = staff.post(LIST, {"action": "export_data", "index": "0", "_selected_action": [str(alice.pk)]})
    assert asked["Location"] == f"{LIST}{alice.pk}/export/"
    answer = staff.post(asked["Location"], {"reason": "Ticket 7, from the stored address"})
    document = json.loads(answer.getvalue())
    assert answer["Content-Disposition"] == f'attachment; filename="tickbase-{alice.pk}.json"'
    assert (document["account"]["email"], [task["title"] for task in document["tasks"]]) == (alice.email, ["Hers"])
    assert "choose one" in act(staff, "export_data", alice, bob).messages
    event = only(Action.EXPORTED)
    assert (event.subject_id, event.details) == (alice.pk, {"reason": "Ticket 7, from the stored address"})


def test_an_export_without_a_reason_is_none(staff: Client, alice: User) -> None:
    page = send(staff, f"{LIST}{alice.pk}/export/", {"reason": " "})
    assert "This field is required." in page.errors
    assert AuditEvent.objects.count() == 0


READING = [permission.partition(".")[2] for resource in registered() for permission in resource.reading]


@pytest.mark.parametrize(
    ("held", "may"),
    [
        (("view_user", "view_session", *READING), True),
        (("view_user", "view_session", "view_task", "view_task_text", "view_project"), False),
        (("view_user", "change_user", "view_session", "view_task"), False),
        (("view_user", "change_user", "view_task", "view_task_text"), False),
    ],
)
def test_only_who_may_see_all_of_it_exports(alice: User, held: tuple[str, ...], may: bool) -> None:
    make_task(alice, title="Private matter")
    answer = with_permissions(*held).post(f"{LIST}{alice.pk}/export/", {"reason": "Asked"})
    assert ("Content-Disposition" in answer, answer.status_code) == (may, 200 if may else 403)


def test_the_page_lists_live_sessions_without_any_token(staff: Client, alice: User) -> None:
    session = make_session(alice, user_agent="<b>Firefox</b>", address="192.0.2.7")
    expired = make_session(alice, user_agent="Long ago")
    Session.objects.filter(pk=expired.pk).update(last_used_at=timezone.now() - dt.timedelta(days=31))
    text = staff.get(change(alice)).content.decode()
    assert ("&lt;b&gt;Firefox&lt;/b&gt;" in text, "192.0.2.7" in text, "Long ago" in text) == (True, True, False)
    pair = own.mint(session)
    assert end(alice, session) in text and pair.access not in text and pair.refresh not in text


def test_end_session_ends_this_one(staff: Client, alice: User) -> None:
    session, other = make_session(alice), make_session(alice)
    pair = own.mint(session)
    page = send(staff, end(alice, session), {})
    assert "The session has ended" in page.messages
    assert list(alice.sessions.all()) == [other]
    with pytest.raises(InvalidToken):
        own.authenticate(pair.access)
    with pytest.raises(InvalidToken):
        services.refresh(pair.refresh)
    assert "has ended already" in send(staff, end(alice, session), {}).messages
    assert only(Action.SESSION_ENDED).subject_id == alice.pk


def test_a_session_is_ended_through_its_own_user_alone_and_by_post(staff: Client, alice: User, bob: User) -> None:
    session = make_session(alice)
    assert "has ended already" in send(staff, end(bob, session), {}).messages
    assert staff.get(end(alice, session)).status_code == 405
    for user in ("0", "x", "9" * 30):
        assert staff.post(f"{LIST}{user}/sessions/{uuid.uuid4()}/end/").status_code == 403
    assert alice.sessions.count() == 1


@pytest.mark.parametrize(
    ("held", "may"),
    [
        (("view_user", "view_session", "delete_session"), True),
        (("view_user", "view_session", "change_user"), False),
        (("view_session", "delete_session"), False),
    ],
)
def test_ending_sessions_is_a_permission_of_its_own(alice: User, carol: User, held: tuple[str, ...], may: bool) -> None:
    client, session, above = with_permissions(*held), make_session(alice), make_session(carol)
    offered = end(alice, session) in client.get(change(alice)).content.decode()
    assert client.post(end(alice, session)).status_code == (302 if may else 403)
    assert client.post(end(carol, above)).status_code == 403
    assert (offered, alice.sessions.exists(), carol.sessions.exists()) == (may, not may, True)


def test_saving_an_account_leaves_sessions_that_came_and_went(staff: Client, alice: User) -> None:
    gone, stays = make_session(alice), make_session(alice)
    page = open_page(staff, change(alice))
    services.end_session(alice, gone.pk)
    assert send(staff, change(alice), {**page.fields, "name": "Al"}).errors == ""
    assert list(alice.sessions.all()) == [stays]
    assert "This field is required." in send(staff, change(alice), {**page.fields, "email": ""}).errors
    more = make_session(alice)
    assert send(staff, change(alice), {**page.fields, "name": "Alicia"}).errors == ""
    assert (User.objects.get(pk=alice.pk).name, set(alice.sessions.all())) == ("Alicia", {stays, more})


def test_a_new_account_has_no_sessions_to_show(staff: Client) -> None:
    typed = {"email": "new@example.com", "password1": PASSWORD, "password2": PASSWORD}
    assert "was added successfully" in submit(staff, f"{LIST}add/", **typed).messages
