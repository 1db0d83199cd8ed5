"""What the admin of every resource does: each write is a change of the owner's feed, and no input is a 500."""

import threading
from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission
from django.db import connection, connections, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.audited import events, only, staff_changes
from tests.changes import changed_since
from tests.factories import head_of, make_user
from tests.pages import Page, open_page, send, signed_in, submit, wait_for_a_lock
from tests.resources.declared import example, make, named, needed, rename, text_of, typed, words
from users.audit import Action
from users.models import User
from users.resources.models import OwnedModel
from users.resources.resource import Resource

pytestmark = pytest.mark.thorough

Typed = dict[str, str | list[str]]


def new_row(resource: Resource, user: User, **fields: str | list[str]) -> Typed:
    return {"user": str(user.pk), **typed(resource, user, "New"), **fields}


def delete_selected(*rows: OwnedModel) -> Typed:
    return {"action": "delete_selected", "_selected_action": [str(row.pk) for row in rows]}


def test_add_creates_a_row_of_its_owner(resource: Resource, rows: str, staff: Client, alice: User, carol: User) -> None:
    page = submit(staff, f"{rows}add/", **new_row(resource, alice))
    row = resource.model.objects.get()
    assert "was added successfully" in page.messages
    assert (row.user, text_of(resource, row), row.version, len(row.uid)) == (alice, "New", 1, 36)
    assert (head_of(alice), head_of(carol)) == (1, 0)


def test_a_form_sent_twice_makes_one_row(resource: Resource, rows: str, staff: Client, alice: User) -> None:
    fields = {**open_page(staff, f"{rows}add/").fields, **new_row(resource, alice)}
    assert "was added successfully" in send(staff, f"{rows}add/", fields).messages
    assert f"a {words(resource)} with this uid already" in send(staff, f"{rows}add/", fields).errors
    assert (resource.model.objects.count(), head_of(alice)) == (1, 1)


def test_an_empty_uid_means_a_new_one(resource: Resource, rows: str, staff: Client, alice: User) -> None:
    submit(staff, f"{rows}add/", **new_row(resource, alice, uid=""))
    assert len(resource.model.objects.get().uid) == 36


@pytest.mark.parametrize(("uid", "message"), [("mine", "with this uid already"), ("x" * 256, "at most 255")])
def test_a_bad_uid_is_a_form_error(
    resource: Resource, rows: str, staff: Client, alice: User, uid: str, message: str
) -> None:
    make(resource, alice, uid="mine")
    page = submit(staff, f"{rows}add/", **new_row(resource, alice, uid=uid))
    assert message in page.errors
    assert page.fields[resource.text[0]] == "New"
    assert (resource.model.objects.count(), head_of(alice), staff_changes()) == (1, 1, 0)


def test_saving_what_was_shown_takes_no_number(resource: Resource, rows: str, staff: Client, alice: User) -> None:
    for sent in ({}, example(resource)):
        row = make(resource, alice, **sent)
        before = resource.model.objects.values().get(pk=row.pk)
        submit(staff, f"{rows}{row.pk}/change/")
        assert resource.model.objects.values().get(pk=row.pk) == before
        assert head_of(alice) == row.version


def test_owner_and_uid_never_change(resource: Resource, rows: str, staff: Client, alice: User, bob: User) -> None:
    row = make(resource, alice)
    typed: Typed = {"user": str(bob.pk), "uid": "other", "version": "9", "deleted_at": "now", **named(resource, "New")}
    page = submit(staff, f"{rows}{row.pk}/change/", **typed)
    stored = resource.model.objects.get()
    assert page.errors == ""
    assert (stored.user, stored.uid, stored.version, stored.deleted_at) == (alice, row.uid, 2, None)
    assert (text_of(resource, stored), head_of(alice)) == ("New", 2)


def test_delete_leaves_a_tombstone(resource: Resource, rows: str, staff: Client, alice: User) -> None:
    row, other = make(resource, alice, **named(resource, "<b>Gone</b>")), make(resource, alice)
    path = f"{rows}{row.pk}/delete/"
    asked = staff.get(path).content.decode()
    found = [
        each in asked for each in (f"{words(resource, plural=True).capitalize()}: 1", "&lt;b&gt;Gone&lt;/b&gt;", "Feed")
    ]
    assert found == [True, True, False]
    page = send(staff, path, {"post": "yes"})
    row.refresh_from_db()
    assert "was deleted successfully" in page.messages
    assert (row.deleted_at is not None, row.version, head_of(alice)) == (True, 3, 3)
    assert list(resource.model.objects.visible()) == [other]


def test_bulk_delete_leaves_tombstones_in_each_owners_feed(
    resource: Resource, rows: str, staff: Client, alice: User, bob: User
) -> None:
    gone = [make(resource, alice), make(resource, bob), make(resource, alice)]
    kept = make(resource, bob)
    asked = staff.post(rows, delete_selected(*gone)).content.decode()
    assert (f"{words(resource, plural=True).capitalize()}: 3" in asked, "Feed" in asked) == (True, False)
    page = send(staff, rows, {**delete_selected(*gone), "post": "yes"})
    assert f"Successfully deleted 3 {words(resource, plural=True)}." in page.messages
    assert list(resource.model.objects.visible()) == [kept]
    assert (resource.model.objects.count(), head_of(alice), head_of(bob)) == (4, 4, 3)
    assert sorted(row.version for row in changed_since(alice, resource.model, 2)) == [3, 4]


def test_a_bulk_delete_that_fails_halfway_leaves_no_trace(
    resource: Resource, rows: str, staff: Client, alice: User
) -> None:
    both = [make(resource, alice), make(resource, alice)]
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        table = resource.model._meta.db_table
        cursor.execute(f"ALTER TABLE {table} ADD CHECK (id <> {both[1].pk} OR deleted_at IS NULL)")
    staff.raise_request_exception = False
    assert staff.post(rows, {**delete_selected(*both), "post": "yes"}).status_code == 500
    assert (resource.model.objects.visible().count(), head_of(alice), staff_changes()) == (2, 2, 0)


def test_tombstones_have_no_page_but_their_history(resource: Resource, rows: str, staff: Client, alice: User) -> None:
    row = make(resource, alice)
    resource.delete(alice, row.pk)
    assert staff.get(rows).context["cl"].result_count == 0
    for page in ("change", "delete"):
        assert "Perhaps it was deleted?" in open_page(staff, f"{rows}{row.pk}/{page}/").messages
    send(staff, rows, {**delete_selected(row), "post": "yes"})
    assert head_of(alice) == 2


def act(staff: Client, rows: str, action: str, *chosen: OwnedModel) -> Page:
    return send(staff, rows, {"action": action, "_selected_action": [str(row.pk) for row in chosen], "index": "0"})


def listed(staff: Client, path: str) -> list[int]:
    return [row.pk for row in staff.get(path).context["cl"].result_list]


def test_the_trash_holds_tombstones_which_come_back_to_their_owner(
    resource: Resource, rows: str, staff: Client, alice: User
) -> None:
    row, kept = make(resource, alice, **{**example(resource), "uid": "mine"}), make(resource, alice)
    sent = resource.model.objects.values(*resource.text, "uid").get(pk=row.pk)
    resource.delete(alice, row.pk)
    trash = f"{rows}?deleted=yes"
    assert (listed(staff, rows), listed(staff, trash)) == ([kept.pk], [row.pk])
    assert f"Restored: 1 {words(resource)}." in act(staff, trash, "restore", row).messages
    assert (listed(staff, rows), listed(staff, trash)) == ([kept.pk, row.pk], [])
    assert resource.model.objects.values(*resource.text, "uid").get(pk=row.pk) == sent
    assert [each.pk for each in changed_since(alice, resource.model, 3)] == [row.pk]
    assert head_of(alice) == 4


def test_tombstones_can_only_be_restored_and_others_not(
    resource: Resource, rows: str, staff: Client, alice: User
) -> None:
    gone, kept = make(resource, alice), make(resource, alice)
    resource.delete(alice, gone.pk)
    page = staff.get(f"{rows}?deleted=yes")
    assert [name for name, _ in page.context["action_form"].fields["action"].choices if name] == ["restore"]
    assert (page.context["cl"].formset, f"{gone.pk}/change/" in page.content.decode()) == (None, False)
    act(staff, rows, "restore", kept)
    act(staff, f"{rows}?deleted=yes", "restore", kept)
    act(staff, f"{rows}?deleted=yes", "delete_selected", gone)
    assert head_of(alice) == 3


def test_actions_go_by_owner(resource: Resource, rows: str, staff: Client, alice: User, bob: User) -> None:
    """So that two transactions lock feeds in one order."""
    gone = [make(resource, user) for user in (alice, bob, alice)]
    for row in gone:
        resource.delete(row.user, row.pk)
    act(staff, f"{rows}?deleted=yes", "restore", *gone)
    ran = [event.object_id for event in events(action=Action.STAFF_RAN)]
    assert ran == [str(gone[number].pk) for number in (0, 2, 1)]


# --- Text --------------------------------------------------------------------------------------------


@pytest.fixture
def viewer(resource: Resource, db: None) -> Client:
    """May look at rows, and read no text."""
    user = make_user(is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename=f"view_{resource.model._meta.model_name}"))
    return signed_in(user)


def test_staff_searches_text(resource: Resource, rows: str, staff: Client, alice: User) -> None:
    found, _ = make(resource, alice, **named(resource, "Secret plan")), make(resource, alice)
    assert listed(staff, f"{rows}?q=secret") == [found.pk]
    assert listed(staff, f"{rows}?q=nowhere") == []


def test_text_is_for_those_with_its_permission_alone(
    resource: Resource, rows: str, viewer: Client, alice: User
) -> None:
    secret = named(resource, "Secret one")
    row, gone = make(resource, alice, **secret), make(resource, alice, **secret)
    resource.delete(alice, gone.pk)
    for query in ("", "?deleted=yes", "?o=1", f"{row.pk}/change/"):
        page = viewer.get(f"{rows}{query}")
        assert (page.status_code, b"Secret" in page.content) == (200, False), query
    assert [listed(viewer, f"{rows}?q={term}") for term in ("Secret", row.pk)] == [[], [row.pk]]
    assert str(row) in viewer.get(rows).content.decode()
    for name in (*resource.text, *resource.model.derived):
        assert viewer.get(f"{rows}?{name}__contains=Secret").status_code == 400
    assert events(action=Action.STAFF_READ) == []


def test_a_page_of_the_list_is_one_event_that_names_its_rows(
    resource: Resource, rows: str, staff: Client, alice: User
) -> None:
    both = [make(resource, alice), make(resource, alice)]
    assert staff.get(rows).status_code == 200
    own, *of_referred = events(action=Action.STAFF_READ)
    assert own.details == {"page": "list", resource.plural: [row.pk for row in reversed(both)]}
    assert own.subject_id == alice.pk
    assert len(of_referred) == len(needed(resource.model))  # whose titles are a column
    staff.get(f"{rows}{both[0].pk}/change/")
    assert events(action=Action.STAFF_READ)[-1].details == {"page": resource.name}


def test_the_audit_names_what_was_changed_and_holds_no_text(
    resource: Resource, rows: str, staff: Client, alice: User
) -> None:
    row = make(resource, alice)
    submit(staff, f"{rows}{row.pk}/change/", **named(resource, "Secret"))
    event = only(Action.STAFF_CHANGED)
    assert (event.subject_id, event.object_id) == (alice.pk, str(row.pk))
    assert event.details == {"fields": {resource.text[0]: None}}


# --- Who else writes --------------------------------------------------------------------------------


@pytest.fixture
def meanwhile(resource: Resource, transactional_db: None) -> Callable[..., Page]:
    """Sends a page while its row is deleted, by a transaction that commits when the page waits for it."""

    def run(row: OwnedModel, request: Callable[[], Page]) -> Page:
        pages: list[Page] = []

        def send_page() -> None:
            pages.append(request())
            connections.close_all()

        with transaction.atomic():
            resource.delete(row.user, row.pk)
            thread = threading.Thread(target=send_page)
            thread.start()
            wait_for_a_lock()
        thread.join()
        return pages[0]

    return run


@pytest.fixture
def other_staff(transactional_db: None) -> Client:
    return signed_in(make_user(is_staff=True, is_superuser=True))


def test_a_row_deleted_while_it_is_saved_is_a_message(
    resource: Resource, rows: str, other_staff: Client, meanwhile: Callable[..., Page]
) -> None:
    row = make(resource, make_user())
    path = f"{rows}{row.pk}/change/"
    fields: Typed = {**open_page(other_staff, path).fields, **named(resource, "Too late")}
    page = meanwhile(row, lambda: send(other_staff, path, fields))
    row.refresh_from_db()
    assert "Perhaps it was deleted?" in page.messages
    assert (row.version, head_of(row.user), staff_changes()) == (2, 2, 0)


def test_a_row_deleted_while_it_is_deleted_is_a_message(
    resource: Resource, rows: str, other_staff: Client, meanwhile: Callable[..., Page]
) -> None:
    row = make(resource, make_user())
    page = meanwhile(row, lambda: send(other_staff, f"{rows}{row.pk}/delete/", {"post": "yes"}))
    assert f"No such {words(resource)}." in page.messages
    assert (head_of(row.user), staff_changes()) == (2, 0)


def test_a_row_deleted_while_many_are_deleted_is_passed_over(
    resource: Resource, rows: str, other_staff: Client, meanwhile: Callable[..., Page]
) -> None:
    user = make_user()
    row, other = make(resource, user), make(resource, user)
    page = meanwhile(row, lambda: send(other_staff, rows, {**delete_selected(row, other), "post": "yes"}))
    assert "Successfully deleted" in page.messages
    assert (resource.model.objects.visible().count(), head_of(user)) == (0, 4)


# --- Who may, and what it costs ---------------------------------------------------------------------


def test_the_list_takes_as_many_queries_for_30_rows_as_for_3(resource: Resource, rows: str, staff: Client) -> None:
    counts = []
    for more in (3, 27):
        for _ in range(more):
            make(resource, make_user())
        with CaptureQueriesContext(connection) as queries:
            shown = len(staff.get(rows).context["cl"].result_list)
        counts.append((shown, len(queries)))
    assert counts == [(3, counts[0][1]), (30, counts[0][1])]


def test_staff_with_permission_to_look_cannot_write(resource: Resource, rows: str, alice: User) -> None:
    row, viewer = make(resource, alice, **named(resource, "Old")), make_user(is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename=f"view_{resource.model._meta.model_name}"))
    client = signed_in(viewer)
    assert client.get(f"{rows}{row.pk}/change/").status_code == 200
    for path in (f"{rows}add/", f"{rows}{row.pk}/change/", f"{rows}{row.pk}/delete/"):
        assert client.post(path, new_row(resource, alice)).status_code == 403
    client.post(rows, {**delete_selected(row), "post": "yes"})
    assert (text_of(resource, resource.model.objects.get()), head_of(alice)) == ("Old", 1)


def test_strangers_and_users_are_sent_to_sign_in(rows: str, client: Client, alice: User) -> None:
    assert client.get(rows).status_code == 302
    assert signed_in(alice).get(rows).status_code == 302


@pytest.mark.parametrize("selected", ["abc", "\0", "9" * 30])
def test_an_action_on_what_is_no_row_changes_nothing(
    resource: Resource, rows: str, staff: Client, carol: User, selected: str
) -> None:
    row = make(resource, carol)
    form = {"action": "delete_selected", "_selected_action": selected, "post": "yes"}
    assert staff.post(rows, form).status_code in (200, 302)
    assert staff.post(f"{rows}add/", {**named(resource, "A"), "user": selected}).status_code in (200, 302)
    assert list(resource.model.objects.values_list("pk", "version")) == [(row.pk, 1)]


def test_an_old_page_undoes_nothing(resource: Resource, rows: str, staff: Client, alice: User) -> None:
    row = make(resource, alice, **example(resource))
    path = f"{rows}{row.pk}/change/"
    fields = open_page(staff, path).fields
    rename(resource, row, "Meanwhile")
    send(staff, path, fields)
    assert (text_of(resource, row), row.version) == ("Meanwhile", 2)
