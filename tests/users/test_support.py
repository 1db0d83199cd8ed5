"""What support does on the page of an account, what it sees there, and invitations."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core import mail as outgoing
from django.test import Client
from pytest_django import Settings

from config.database.isolation import as_user
from config.operations import work
from tasks import services as tasks
from tests.audited import events, only
from tests.client import Api
from tests.factories import PASSWORD, make_session, make_task, make_user
from tests.pages import open_page, send, signed_in, submit
from users import exports, services
from users.audit import Action
from users.models import AccountNote, User

LIST = "/admin/users/user/"
HELD = (
    "view_user",
    "support_user",
    "view_session",
    "delete_session",
    "view_accountnote",
    "add_accountnote",
    "view_task",
)
INVITE = f"{LIST}invite/"


def change(user: User) -> str:
    return f"{LIST}{user.pk}/change/"


def do(client: Client, user: User, name: str) -> str:
    return send(client, f"{LIST}{user.pk}/support/{name}/", {}).messages


@pytest.fixture
def member(db: None) -> User:
    """Of the support."""
    member = make_user("member", is_staff=True)
    member.user_permissions.set(Permission.objects.filter(codename__in=HELD))
    return member


@pytest.fixture
def support(member: User) -> Client:
    return signed_in(member)


def test_support_confirms_an_address(support: Client, member: User, alice: User) -> None:
    assert "The address is confirmed." in do(support, alice, "confirm")
    alice.refresh_from_db()
    assert alice.is_email_verified
    event = only(Action.EMAIL_VERIFIED)
    assert (event.actor_id, event.subject_id) == (member.pk, alice.pk)
    assert "Nothing was done. The address is confirmed." in do(support, alice, "confirm")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("name", "subject"), [("mail-confirmation", "confirm your address"), ("reset", "new password")]
)
def test_support_mails_to_the_stored_address(name: str, subject: str) -> None:
    staff, user = signed_in(make_user(is_staff=True, is_superuser=True)), make_user()
    do(staff, user, name)
    work.drain("mails")
    assert [(message.to, subject in message.subject) for message in outgoing.outbox] == [([user.email], True)]
    assert only(Action.STAFF_RAN).details == {"ran": name}


def test_support_ends_all_sessions(support: Client, alice: User, bob: User) -> None:
    make_session(alice), make_session(alice), make_session(bob)
    assert "All sessions have ended." in do(support, alice, "end-sessions")
    assert (alice.sessions.count(), bob.sessions.count()) == (0, 1)
    assert "There is no session." in do(support, alice, "end-sessions")


@pytest.mark.parametrize(
    ("fields", "name", "why"),
    [
        ({"is_active": False}, "mail-confirmation", "The account is not active."),
        ({"is_active": False}, "reset", "The account is not active."),
        ({"password": None}, "reset", "Its password is disabled: set one first."),
        ({"is_staff": True}, "confirm", "Only superusers act on staff."),
    ],
)
def test_what_cannot_be_done_says_why(support: Client, fields: dict[str, Any], name: str, why: str) -> None:
    user = make_user(**fields)
    assert why in support.get(change(user)).content.decode()
    answer = support.post(f"{LIST}{user.pk}/support/{name}/")
    assert answer.status_code == (403 if user.is_staff else 302)
    assert events(action=Action.STAFF_RAN) == []


def test_an_external_account_has_its_issuer_for_that(support: Client) -> None:
    fields = {"email": "o@example.com", "email_canonical": None, "issuer": "https://login.example.com", "subject": "u1"}
    user = User.objects.create(**fields)
    page = support.get(change(user)).content.decode()
    assert "The address is a matter of the account’s issuer." in page and "signs in at its issuer" in page


def test_without_a_mail_server_the_page_says_so(support: Client, alice: User, settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    assert support.get(change(alice)).content.decode().count("EMAIL_HOST is not set") == 2
    assert "Nothing was done. This service sends no mail" in do(support, alice, "reset")


# --- Notes ------------------------------------------------------------------------------------------


def test_a_note_is_seen_by_staff_and_not_by_the_account(support: Client, member: User, alice: User) -> None:
    page = send(support, f"{LIST}{alice.pk}/notes/", {"text": " Called, lost the phone.\r\nSee ticket 7 "})
    note = AccountNote.objects.get()
    assert "The note was added." in page.messages
    assert (note.user, note.author, note.text) == (alice, member, "Called, lost the phone.\nSee ticket 7")
    assert "Called, lost the phone." in support.get(change(alice)).content.decode()
    with as_user(alice.pk):
        assert list(AccountNote.objects.all()) == []
    event = only(Action.NOTE_ADDED)
    assert (event.subject_id, event.object_id, "phone" in str(vars(event))) == (alice.pk, str(note.pk), False)


def test_the_export_has_the_notes_without_their_author(member: User, alice: User, bob: User) -> None:
    services.add_note(alice, member, "Called.")
    services.add_note(bob, member, "Wrote.")
    text = b"".join(exports.stream(alice)).decode()
    assert [note["text"] for note in json.loads(text)["staff_notes"]] == ["Called."]
    assert member.email not in text


@pytest.mark.parametrize("text", ["", "  ", "x" * 4001, "a\0b"])
def test_a_bad_note_is_none(support: Client, alice: User, text: str) -> None:
    assert "No note was added" in send(support, f"{LIST}{alice.pk}/notes/", {"text": text}).messages
    assert AccountNote.objects.count() == 0


def test_notes_go_with_their_account_and_stay_without_their_author(member: User, alice: User, carol: User) -> None:
    services.add_note(alice, member, "Hers")
    services.add_note(carol, member, "Carol's")
    assert Api(alice).client.delete("/api/users/me", {"password": PASSWORD}, format="json").status_code == 204
    services.delete_account(member)
    assert [(note.text, note.author) for note in AccountNote.objects.all()] == [("Carol's", None)]
    assert "staff whose account is gone" in signed_in(carol).get(change(carol)).content.decode()


def test_a_note_is_deleted_through_its_own_account(carol: User, alice: User, bob: User) -> None:
    note, staff = services.add_note(alice, carol, "Hers"), signed_in(carol)
    send(staff, f"{LIST}{bob.pk}/notes/{note.pk}/delete/", {})
    assert AccountNote.objects.count() == 1
    assert "The note was deleted." in send(staff, f"{LIST}{alice.pk}/notes/{note.pk}/delete/", {}).messages
    assert (AccountNote.objects.count(), only(Action.NOTE_DELETED).subject_id) == (0, alice.pk)


# --- The page ---------------------------------------------------------------------------------------


def test_the_page_has_the_rows_in_numbers_and_the_latest_events(support: Client, alice: User, bob: User) -> None:
    make_task(alice), make_task(alice, status="completed"), make_task(bob)
    tasks.delete_task(alice, make_task(alice).pk)
    Api().post("/api/auth/login", {"email": alice.email, "password": "wrong"})
    account = support.get(change(alice)).context["account"]
    figures = {figure.title: (figure.value, figure.address) for figure in account["figures"]}
    assert {title: count for title, (count, _) in figures.items()} == {
        "sessions": 0, "tasks": 2, "open tasks": 1, "overdue tasks": 0, "completed tasks": 1, "tasks in the trash": 1
    }  # fmt: skip
    assert figures["tasks in the trash"][1] == f"/admin/tasks/task/?user__id__exact={alice.pk}&deleted=yes"
    assert support.get(figures["open tasks"][1]).context["cl"].result_count == 1
    assert [event.get_change_message for event in account["events"]] == ["Sign-in failed"]
    assert account["audit"] == ""  # who may not read the audit gets no link to it


def test_a_new_address_asks_whether_it_is_confirmed(carol: User, alice: User) -> None:
    staff = signed_in(carol)
    assert "Say whether the new address is confirmed." in submit(staff, change(alice), email="new@example.com").errors
    assert "The address is the same." in submit(staff, change(alice), is_verified="yes").errors
    for answer, is_verified in (("yes", True), ("no", False)):
        submit(staff, change(alice), email=f"{answer}@example.com", is_verified=answer)
        alice.refresh_from_db()
        assert (alice.email, alice.is_email_verified) == (f"{answer}@example.com", is_verified)


@pytest.mark.parametrize(("query", "found"), [("confirmed=yes", 1), ("confirmed=no", 2), ("confirmed=x", 3)])
def test_accounts_are_filtered_by_whether_they_are_confirmed(
    support: Client, alice: User, bob: User, query: str, found: int
) -> None:
    services.confirm_email(alice)
    assert support.get(f"{LIST}?{query}").context["cl"].result_count == found


# --- Invitations ------------------------------------------------------------------------------------


def test_one_or_many_are_invited_by_mail(support: Client, alice: User) -> None:
    typed = {"emails": f"one@example.com, two@example.com\r\none@example.com {alice.email}\r\nnobody", "send": "on"}
    page = support.post(INVITE, typed).content.decode()
    work.drain("mails")
    assert [message.to for message in outgoing.outbox] == [["one@example.com"], ["two@example.com"]]
    assert page.count("Invited by mail.") == 2
    assert f"{alice.email} has an account already." in page and "&#x27;nobody&#x27; is not an e-mail address." in page
    assert [event.subject_email for event in events(action=Action.INVITED)] == ["one@example.com", "two@example.com"]


def test_without_a_mail_server_invitations_are_passed_on(support: Client, settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    settings.APP_URL, settings.REGISTRATION = "https://app.example.com", "invite"
    assert b"EMAIL_HOST is not set" in support.get(INVITE).content
    page = support.post(INVITE, {"emails": "one@example.com", "send": "on"}).content.decode()
    assert "<code>https://app.example.com/register?token=" in page


def test_more_than_can_be_invited_at_once_are_refused(support: Client) -> None:
    emails = " ".join(f"u{number}@example.com" for number in range(51))
    assert "invite at most 50 at once" in send(support, INVITE, {"emails": emails}).errors
    assert events(action=Action.INVITED) == []
    assert "emails" in open_page(support, INVITE).fields
