"""Accounts in the admin: every write goes through services, and nobody rises above the own privileges."""

import re
import threading
from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import connection, connections, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from config.errors import InvalidToken
from tests.audited import only, staff_changes
from tests.client import Api
from tests.factories import PASSWORD, make_task, make_tokens, make_user
from tests.pages import open_page, send, signed_in, submit, wait_for_a_lock
from tests.resources.declared import RESOURCES
from users import services
from users.audit import Action
from users.models import AuditEvent, User
from users.tokens import own

LIST = "/admin/users/user/"
ADD = "/admin/users/user/add/"
NEW_PASSWORD = "another good passphrase"
Typed = dict[str, str | list[str]]


def change(user: User) -> str:
    return f"{LIST}{user.pk}/change/"


def password(user: User) -> str:
    return f"{LIST}{user.pk}/password/"


def delete_selected(*users: User) -> Typed:
    return {"action": "delete_selected", "_selected_action": [str(user.pk) for user in users]}


def new_account(**typed: str) -> Typed:
    return {"email": "new@example.com", "password1": PASSWORD, "password2": PASSWORD, **typed}


@pytest.fixture
def staff(carol: User) -> Client:
    """Signed in as carol, a superuser."""
    return signed_in(carol)


@pytest.fixture
def dave(db: None) -> User:
    """Staff who may do anything to accounts, short of being a superuser."""
    dave = make_user("dave", is_staff=True)
    dave.user_permissions.set(Permission.objects.filter(content_type__app_label="users"))
    return dave


@pytest.fixture
def limited(dave: User) -> Client:
    return signed_in(dave)


def test_add_registers_an_account_that_can_sign_in(staff: Client) -> None:
    page = submit(staff, ADD, **new_account(email=" New@Example.com ", name="Neo", timezone="Asia/Karachi"))
    user = services.sign_in(services.Device(), email="new@example.com", password=PASSWORD).user
    assert "was added successfully" in page.messages
    assert (user.email, user.email_canonical, user.name) == ("New@Example.com", "new@example.com", "Neo")
    assert (user.timezone, user.is_staff, user.is_superuser, user.token_version) == ("Asia/Karachi", False, False, 0)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ({"email": "taken@example.com"}, "An account with this e-mail address exists."),
        ({"email": "TAKEN@Example.COM"}, "An account with this e-mail address exists."),
        ({"email": "taken@ｅxample.com"}, "An account with this e-mail address exists."),
        ({"email": "nobody"}, "Enter a valid email address."),
        ({"email": "a\0@example.com"}, "Null characters are not allowed."),
        ({"email": "x" * 250 + "@example.com"}, "at most 254 characters"),
        ({"name": "x" * 101}, "at most 100 characters"),
        ({"timezone": "Mars/Olympus"}, "Use an IANA time zone name"),
        ({"password2": "something else"}, "The two password fields didn’t match."),
        ({"password1": "short", "password2": "short"}, "at least 12 characters"),
        ({"password1": "x" * 257, "password2": "x" * 257}, "at most 256 characters"),
        ({"password1": "", "password2": ""}, "This field is required."),
    ],
)
def test_a_bad_registration_is_a_form_error(staff: Client, typed: dict[str, str], message: str) -> None:
    make_user(email="taken@example.com")
    page = submit(staff, ADD, **new_account(**typed))
    assert message in page.errors
    assert (User.objects.count(), staff_changes()) == (2, 0)


def test_change_updates_the_account(staff: Client, alice: User) -> None:
    group = Group.objects.create(name="Helpers")
    page = submit(
        staff, change(alice), email="Alice@example.com", is_verified="no", is_staff="on", groups=str(group.pk)
    )
    alice.refresh_from_db()
    assert "was changed successfully" in page.messages
    assert (alice.email, alice.email_canonical) == ("Alice@example.com", "alice@example.com")
    assert (alice.is_staff, alice.is_active, list(alice.groups.all())) == (True, True, [group])


def test_saving_what_was_shown_changes_nothing(staff: Client, alice: User) -> None:
    before = User.objects.filter(pk=alice.pk).values().get()
    with CaptureQueriesContext(connection) as queries:
        page = submit(staff, change(alice))
    assert "was changed successfully" in page.messages
    assert User.objects.filter(pk=alice.pk).values().get() == before
    assert not any('UPDATE "users_user"' in query["sql"] for query in queries)


@pytest.mark.parametrize("email", ["taken@example.com", "TAKEN@example.com", "taken@ＥXAMPLE.com"])
def test_changing_to_a_taken_email_is_a_form_error(staff: Client, alice: User, email: str) -> None:
    make_user(email="taken@example.com")
    page = submit(staff, change(alice), email=email, is_verified="no", name="Alicia")
    assert page.errors == "An account with this e-mail address exists."
    assert page.fields["name"] == "Alicia"
    assert User.objects.get(pk=alice.pk).email == alice.email


@pytest.mark.parametrize("adding", [True, False])
def test_an_email_taken_while_the_form_is_saved_is_a_form_error(transactional_db: None, adding: bool) -> None:
    """The other registration commits when this one already waits for it: the form saw nothing wrong."""
    staff, user = signed_in(make_user(is_staff=True, is_superuser=True)), make_user()
    path = ADD if adding else change(user)
    fields = {**open_page(staff, path).fields, **new_account(email="Race@example.com", is_verified="no")}
    pages = []

    def send_form() -> None:
        pages.append(send(staff, path, fields))
        connections.close_all()

    thread = threading.Thread(target=send_form)
    with transaction.atomic():
        services.register("race@example.com", PASSWORD)
        thread.start()
        wait_for_a_lock()
    thread.join()
    assert "An account with this e-mail address exists" in pages[0].errors
    assert (User.objects.count(), staff_changes()) == (3, 0)


def test_no_page_shows_a_hash_or_a_token(staff: Client, alice: User, carol: User) -> None:
    for path in (LIST, change(alice), password(alice), f"{LIST}{alice.pk}/history/", f"{LIST}{alice.pk}/delete/"):
        text = staff.get(path).content.decode()
        assert alice.password not in text
        assert alice.password.split("$")[-1][:6] not in text
        assert "md5$" not in text


def test_passwords_cannot_be_guessed_by_filters(staff: Client, alice: User) -> None:
    for path in (f"{LIST}?password__startswith=md5", "/admin/tasks/task/?user__password__startswith=md5"):
        assert staff.get(path).status_code == 400


def test_set_password_ends_all_tokens(staff: Client, alice: User) -> None:
    access = make_tokens(alice).access
    page = submit(staff, password(alice), password1=NEW_PASSWORD, password2=NEW_PASSWORD)
    alice.refresh_from_db()
    assert "Password changed successfully." in page.messages
    assert (alice.check_password(NEW_PASSWORD), alice.token_version) == (True, 1)
    with pytest.raises(InvalidToken):
        own.authenticate(access)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("short", "short", "at least 12 characters"),
        (NEW_PASSWORD, PASSWORD, "The two password fields didn’t match."),
        ("", "", "This field is required."),
        ("x" * 257, "x" * 257, "at most 256 characters"),
    ],
)
def test_a_bad_password_is_a_form_error(
    staff: Client, alice: User, carol: User, first: str, second: str, message: str
) -> None:
    sent = {"old_password": PASSWORD, "new_password1": first, "new_password2": second}
    assert message in submit(staff, password(alice), password1=first, password2=second).errors
    assert message in submit(staff, "/admin/password_change/", **sent).errors
    for user in (alice, carol):
        user.refresh_from_db()
        assert (user.check_password(PASSWORD), user.token_version) == (True, 0)


def test_disabling_the_password_ends_sign_in_and_all_tokens(staff: Client, alice: User) -> None:
    access = make_tokens(alice).access
    page = submit(staff, password(alice), usable_password="false", **{"unset-password": "Disable"})
    alice.refresh_from_db()
    assert "Password-based authentication was disabled." in page.messages
    assert (alice.has_usable_password(), alice.token_version) == (False, 1)
    with pytest.raises(InvalidToken):
        own.authenticate(access)


def test_changing_the_own_password_ends_all_tokens_but_not_this_session(staff: Client, carol: User) -> None:
    typed = {"old_password": PASSWORD, "new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD}
    send(staff, "/admin/password_change/", {**open_page(staff, "/admin/password_change/").fields, **typed})
    carol.refresh_from_db()
    assert (carol.check_password(NEW_PASSWORD), carol.token_version) == (True, 1)
    assert staff.get(LIST).status_code == 200


OWN_PASSWORD = "/admin/password_change/"


def own_password(old: str) -> dict[str, str]:
    return {"old_password": old, "new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD}


def test_a_wrong_old_password_is_written_down(staff: Client, carol: User) -> None:
    answer = staff.post(OWN_PASSWORD, own_password("wrong"))
    assert "Your old password was entered incorrectly" in answer.content.decode()
    event = only(Action.PASSWORD_REFUSED)
    assert (event.actor_id, event.subject_id, event.details) == (carol.pk, carol.pk, {"admin": True})


def test_old_passwords_are_guessed_as_rarely_as_through_the_api(
    staff: Client, carol: User, limit: Callable[..., None]
) -> None:
    limit(login="3/min")
    assert staff.post(OWN_PASSWORD, own_password("wrong")).status_code == 200
    change = {"current_password": "wrong", "new_password": NEW_PASSWORD}
    assert Api(carol).post("/api/users/me/password", change).status_code == 400
    assert staff.post(OWN_PASSWORD, own_password("wrong")).status_code == 200
    answer = staff.post(OWN_PASSWORD, own_password(PASSWORD))
    assert (answer.status_code, 0 < int(answer["Retry-After"]) <= 60) == (429, True)
    carol.refresh_from_db()
    assert carol.check_password(PASSWORD)
    assert staff.get(OWN_PASSWORD).status_code == 200  # only what is sent counts


def test_an_old_password_that_is_too_long_is_not_hashed(staff: Client, carol: User) -> None:
    answer = staff.post(OWN_PASSWORD, own_password("x" * 257))
    assert "at most 256 characters" in answer.content.decode()
    assert not AuditEvent.objects.filter(action=Action.PASSWORD_REFUSED).exists()


def test_read_only_fields_stay(staff: Client, alice: User) -> None:
    before = User.objects.values("created_at", "token_version", "last_login", "password").get(pk=alice.pk)
    submit(staff, change(alice), name="Al", token_version="7", created_at="2020-01-01", last_login="x", password="x")
    after = User.objects.get(pk=alice.pk)
    assert after.name == "Al"
    assert {name: getattr(after, name) for name in before} == before


def test_delete_names_the_account_and_counts_what_goes_with_it(staff: Client, alice: User, bob: User) -> None:
    make_task(alice, title="Private matter")
    make_task(bob)
    path = f"{LIST}{alice.pk}/delete/"
    text = staff.get(path).content.decode()
    assert (alice.email in text, "Tasks: 1" in text, "Private matter" in text) == (True, True, False)
    page = send(staff, path, {"post": "yes"})
    assert "was deleted successfully" in page.messages
    assert not User.objects.filter(pk=alice.pk).exists()
    assert bob.tasks.count() == 1


def test_bulk_delete_removes_accounts(staff: Client, alice: User, bob: User, carol: User) -> None:
    make_task(alice)
    page = send(staff, LIST, {**delete_selected(alice, bob), "post": "yes"})
    assert "Successfully deleted 2 users." in page.messages
    assert list(User.objects.all()) == [carol]


def test_nobody_deletes_the_own_account(staff: Client, alice: User, carol: User) -> None:
    assert staff.post(f"{LIST}{carol.pk}/delete/", {"post": "yes"}).status_code == 403
    assert staff.post(LIST, {**delete_selected(alice, carol), "post": "yes"}).status_code == 403
    assert User.objects.count() == 2


def test_limited_staff_changes_plain_accounts(limited: Client, alice: User) -> None:
    submit(limited, change(alice), name="Alicia")
    submit(limited, password(alice), password1=NEW_PASSWORD, password2=NEW_PASSWORD)
    submit(limited, ADD, **new_account())
    alice.refresh_from_db()
    assert (alice.name, alice.check_password(NEW_PASSWORD)) == ("Alicia", True)
    assert send(limited, f"{LIST}{alice.pk}/delete/", {"post": "yes"}).errors == ""
    assert not User.objects.filter(pk=alice.pk).exists()


@pytest.mark.parametrize("whom", ["alice", "dave", "new"])
def test_limited_staff_grants_no_privileges(limited: Client, alice: User, dave: User, whom: str) -> None:
    group = Group.objects.create(name="Rulers")
    held = set(dave.user_permissions.all())
    grants: Typed = {"is_superuser": "on", "is_staff": "on", "groups": str(group.pk), "user_permissions": ["1", "2"]}
    if whom == "new":
        submit(limited, ADD, **new_account(), **grants)
    else:
        submit(limited, change(alice if whom == "alice" else dave), name="Changed", **grants)
    assert not User.objects.filter(is_superuser=True).exists()
    assert list(User.objects.filter(is_staff=True)) == [dave]
    assert not group.user_set.exists()
    assert set(dave.user_permissions.all()) == held
    assert not alice.user_permissions.exists()


@pytest.mark.parametrize("rank", [{"is_superuser": True}, {"is_staff": True}])
def test_limited_staff_only_looks_at_accounts_with_privileges(limited: Client, rank: dict[str, bool]) -> None:
    above = make_user("above", **rank)
    assert "Set a new password" not in limited.get(change(above)).content.decode()
    for path, fields in [
        (change(above), {"email": "mine@example.com"}),
        (password(above), {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}),
        (f"{LIST}{above.pk}/delete/", {"post": "yes"}),
        (LIST, {**delete_selected(above), "post": "yes"}),
    ]:
        assert limited.post(path, fields).status_code == 403
    stored = User.objects.get(pk=above.pk)
    assert (stored.email, stored.check_password(PASSWORD), stored.token_version) == (above.email, True, 0)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=grace", ["grace"]),
        ("q=GRACE.HOPPER@NAVY", ["grace"]),
        ("q=straße", ["hans"]),
        ("q=STRAẞE.example", ["hans"]),
        ("q=strasse.example", []),  # another domain
        ("q=hopper+grace", ["grace"]),
        ("q=%00grace", ["hans", "grace", "carol"]),  # refused with a message, and all are shown
        ("is_active__exact=0", ["hans"]),
        ("is_staff__exact=1", ["carol"]),
        ("is_superuser__exact=1", ["carol"]),
    ],
)
def test_search_and_filters(staff: Client, query: str, found: list[str]) -> None:
    make_user("grace", email="Grace.Hopper@navy.example")
    make_user("hans", email="hans@straße.example", is_active=False)
    result = staff.get(f"{LIST}?{query}").context["cl"].result_list
    assert [user.name for user in result] == found


@pytest.mark.parametrize("path", [LIST, f"{LIST}?q=example"])
def test_the_list_takes_as_many_queries_for_30_rows_as_for_3(staff: Client, path: str) -> None:
    counts = []
    for more in (2, 27):
        for _ in range(more):
            make_task(make_user())
        with CaptureQueriesContext(connection) as queries:
            rows = len(staff.get(path).context["cl"].result_list)
        counts.append((rows, len(queries)))
    assert counts == [(3, counts[0][1]), (30, counts[0][1])]


def test_the_admin_is_found_without_its_slash(db: None) -> None:
    answer = Client().get("/admin")
    assert (answer.status_code, answer["Location"]) == (301, "/admin/")


def test_the_sidebar_leads_to_every_list_by_its_icon(carol: User) -> None:
    page = signed_in(carol).get("/admin/").content.decode()
    entry = r'<a href="/admin/(?:\w+/)?(\w*)/?"[^>]*>\s*<span class="material-symbols-outlined[^>]*>\s*(\w+)'
    icons = {"user": "person", "group": "group", "session": "devices", "personaltoken": "key", "auditevent": "history"}
    icons["mail"] = "mail"
    icons |= {"import": "upload_file", "reminder": "alarm", "endpoint": "webhook", "delivery": "outbox"}
    icons |= {str(each.model._meta.model_name): each.icon for each in RESOURCES}
    assert dict(re.findall(entry, page)) == {"": "dashboard", **icons}
