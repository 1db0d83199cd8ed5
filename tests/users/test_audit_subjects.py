"""From an account to its events and back, also to those about several accounts at once."""

import datetime as dt
from importlib import import_module

import time_machine
from django.db import connection
from django.utils import timezone

from tests.audited import events, only
from tests.factories import make_task, make_user
from tests.pages import signed_in, submit
from users import audit
from users.audit import Action
from users.models import AuditEvent, AuditSubject, User

LIST = "/admin/users/auditevent/"
LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


def test_the_events_of_an_account_are_what_it_did_and_what_was_done_to_it_or_read(
    alice: User, bob: User, carol: User
) -> None:
    make_task(alice), make_task(bob)
    client = signed_in(carol)
    client.get("/admin/tasks/task/")
    submit(client, f"/admin/users/user/{alice.pk}/change/", name="Alicia")
    read, changed = events()
    for account, found in ((alice, [changed, read]), (bob, [read]), (carol, [changed, read])):
        for query in (f"account={account.pk}", f"q={account.email}"):
            assert list(client.get(f"{LIST}?{query}").context["cl"].result_list) == found, query
        by_id = client.get(f"{LIST}?q={account.pk}").context["cl"].result_list  # and by what else has the number
        assert {*found} <= {*by_id}
    page = client.get(f"/admin/users/user/{bob.pk}/change/")
    assert [event.get_change_message for event in page.context["account"]["events"]] == ["Text read by staff"]
    assert f"{LIST}?account={bob.pk}" in page.content.decode()
    assert list(client.get(f"{LIST}?account=x").context["cl"].result_list) == [changed, read]


def test_an_event_links_to_its_accounts_and_its_object_and_has_seconds(alice: User, bob: User, carol: User) -> None:
    task, client = make_task(alice), signed_in(carol)
    make_task(bob)
    client.get("/admin/tasks/task/")
    client.get(f"/admin/tasks/task/{task.pk}/change/")
    listed = client.get(LIST).content.decode()
    assert all(f'href="/admin/users/user/{user.pk}/change/"' in listed for user in (alice, bob, carol))
    one = events()[1]
    assert f"{one.at:%Y-%m-%d %H:%M:%S}" in listed
    assert f'href="/admin/tasks/task/{task.pk}/history/"' in client.get(f"{LIST}{one.pk}/change/").content.decode()


def test_a_page_of_many_accounts_names_the_first_in_the_list_and_all_in_the_event(carol: User) -> None:
    users = [make_task(make_user()).user for _ in range(7)]
    client = signed_in(carol)
    client.get("/admin/tasks/task/")
    assert "and 2 more" in client.get(LIST).content.decode()
    page = client.get(f"{LIST}{events()[0].pk}/change/").content.decode()
    assert all(user.email in page for user in users)


def test_a_page_with_rows_of_one_account_is_about_it(alice: User, carol: User) -> None:
    make_task(alice), make_task(alice)
    signed_in(carol).get("/admin/tasks/task/")
    assert (only(Action.STAFF_READ).subject_id, "users" in only(Action.STAFF_READ).details) == (alice.pk, False)


def test_pruning_an_event_of_several_accounts_deletes_their_index(alice: User, bob: User) -> None:
    for at in (LONG_AGO, timezone.now()):
        with time_machine.travel(at):
            audit.record_reading([alice, bob], page="list", tasks=[1, 2])
    assert audit.prune(90) == 1
    left = events(action=Action.STAFF_READ)[0].pk
    assert set(AuditSubject.objects.values_list("event", "user")) == {(left, alice.pk), (left, bob.pk)}


def test_events_from_before_the_index_are_found_after_the_migration(alice: User, bob: User) -> None:
    details = {"page": "list", "tasks": [1, 2], "users": [alice.pk, bob.pk]}
    event = AuditEvent.objects.create(at=LONG_AGO, action=Action.STAFF_READ, details=details)
    with connection.cursor() as cursor:
        cursor.execute(import_module("users.migrations.0020_staff").NAME)
    assert [AuditEvent.objects.get(audit.about(user.pk)) for user in (alice, bob)] == [event, event]
