"""What is sent to webhooks, and in which order."""

import datetime as dt
import threading
from typing import Any

import pytest
import time_machine
from django.db import connection, transaction
from standardwebhooks import Webhook

from config.database.isolation import all_users
from tasks import services as tasks
from tasks.models import Task
from tests.factories import head_of, make_project, make_task, make_user
from tests.receiver import Receiver, receiving
from tests.webhooks import deliver, only, webhook_to
from users.models import User
from users.resources import trash
from users.webhooks import services
from users.webhooks.models import Event

pytestmark = pytest.mark.usefixtures("clock")


# --- What is sent -----------------------------------------------------------------------------------


def test_a_change_is_sent_as_an_event_with_its_object(alice: User, receiver: Receiver) -> None:
    webhook_to(alice, receiver)
    task = make_task(alice, title="Call the dentist")
    assert deliver() == 1
    (received,) = receiver.received
    event = received.event
    assert (event["type"], event["timestamp"]) == ("task.created", "2026-11-29T12:00:00Z")
    data = event["data"]
    assert data.keys() == {"object", "version", "operation", "actor", "diff"}
    assert (data["version"], data["operation"], data["actor"]) == (task.version, task.version, "command")
    assert (data["object"]["title"], data["object"]["user_id"]) == ("Call the dentist", alice.public_id)
    assert data["diff"]["title"] == [None, "Call the dentist"]
    assert received.headers["content-type"] == "application/json"
    assert received.path == "/hook"


def test_its_signature_is_that_of_standard_webhooks(alice: User, receiver: Receiver) -> None:
    row = webhook_to(alice, receiver)
    make_task(alice)
    with time_machine.travel(dt.datetime.now(dt.UTC), tick=True):
        deliver()
    (received,) = receiver.received
    assert Webhook(row.secret).verify(received.body, received.headers)["type"] == "task.created"
    with pytest.raises(Exception, match="No matching signature"):
        Webhook(row.secret).verify(received.body + b" ", received.headers)


def test_while_a_secret_is_rotated_both_sign(alice: User, receiver: Receiver, clock: Any) -> None:
    old = webhook_to(alice, receiver).secret
    new = services.rotate_secret(alice, only().pk).secret
    make_task(alice)
    deliver()
    clock.shift(dt.timedelta(hours=24))
    make_task(alice)
    deliver()
    during, after = (each.headers["webhook-signature"].split() for each in receiver.received)
    assert new != old and (len(during), len(after)) == (2, 1)
    for secret in (old, new):
        verify(secret, receiver.received[0])
    verify(new, receiver.received[1])


def verify(secret: str, received: Any) -> None:
    """As the library does, at the time of the delivery."""
    with time_machine.travel(int(received.headers["webhook-timestamp"]), tick=False):
        Webhook(secret).verify(received.body, received.headers)


def test_events_come_in_the_order_of_the_log_over_one_connection(alice: User, receiver: Receiver) -> None:
    webhook_to(alice, receiver)
    made = [make_task(alice) for _ in range(120)]
    deliver()
    assert [each["data"]["version"] for each in receiver.events] == [task.version for task in made]
    assert len(set(receiver.ids)) == 120
    assert receiver.connections == 2  # one for the first, as nobody knows yet whether it is slow


def test_what_was_before_it_is_not_sent(alice: User, receiver: Receiver) -> None:
    make_task(alice)
    webhook_to(alice, receiver)
    assert (deliver(), receiver.received) == (0, [])


def test_an_object_is_sent_as_it_is_now(alice: User, receiver: Receiver) -> None:
    webhook_to(alice, receiver)
    task = make_task(alice, title="First")
    tasks.update_task(alice, task.pk, {"title": "Second"})
    deliver()
    assert receiver.names == ["task.created", "task.updated"]
    assert [each["data"]["object"]["title"] for each in receiver.events] == ["Second", "Second"]
    assert receiver.events[1]["data"]["diff"] == {"title": ["First", "Second"]}


def test_of_what_was_deleted_no_text_leaves(alice: User, receiver: Receiver) -> None:
    webhook_to(alice, receiver)
    task = make_task(alice, title="Secret")
    tasks.update_task(alice, task.pk, {"description": "Secret"})
    tasks.delete_task(alice, task.pk)
    deliver()
    assert receiver.names == ["task.created", "task.updated", "task.deleted"]
    assert all(b"Secret" not in each.body for each in receiver.received)
    expected = {"id": task.pk, "uid": task.uid, "deleted": True}
    assert [each["data"]["object"] for each in receiver.events] == [expected] * 3


def test_what_is_erased_between_two_attempts_is_not_sent(alice: User, receiver: Receiver, clock: Any) -> None:
    webhook_to(alice, receiver)
    task = make_task(alice, title="Secret")
    receiver.answer(500)
    deliver()
    tasks.delete_task(alice, task.pk)
    trash.erase(alice, Task, task.pk, None)
    receiver.received.clear()
    receiver.answer(204)
    clock.shift(10)
    deliver()
    assert receiver.names == ["task.created", "task.deleted", "task.erased"]
    assert all(b"Secret" not in each.body for each in receiver.received)


@pytest.mark.parametrize(
    ("events", "names"),
    [
        (["*"], ["task.created", "project.created", "task.completed"]),
        (["task.completed"], ["task.completed"]),
        (["project.created", "task.created"], ["task.created", "project.created"]),
        (["task.moved"], []),
    ],
)
def test_only_what_it_wants_is_sent(alice: User, receiver: Receiver, events: list[str], names: list[str]) -> None:
    webhook_to(alice, receiver, events=events)
    task = make_task(alice)
    make_project(alice)
    tasks.complete_task(alice, task.pk, completed=True)
    deliver()
    assert receiver.names == names
    assert only().cursor_version == head_of(alice) and deliver() == 0


def test_only_what_belongs_to_its_projects_is_sent(alice: User, receiver: Receiver) -> None:
    home, work_ = make_project(alice, name="Home"), make_project(alice, name="Work")
    webhook_to(alice, receiver, project_ids=[home.pk])
    make_task(alice, title="Inbox")
    make_task(alice, title="Elsewhere", project_id=work_.pk)
    task = make_task(alice, title="At home", project_id=home.pk)
    tasks.update_task(alice, task.pk, {"project_id": work_.pk})
    tasks.update_task(alice, task.pk, {"title": "No longer"})
    deliver()
    assert [each["data"]["version"] for each in receiver.events] == [task.version, task.version + 1]
    assert receiver.names[0] == "task.created"


def test_another_users_changes_are_not_sent(alice: User, bob: User, receiver: Receiver) -> None:
    webhook_to(alice, receiver)
    make_task(bob)
    assert (deliver(), receiver.received) == (0, [])


def test_nothing_is_sent_of_an_account_that_is_off(alice: User, receiver: Receiver) -> None:
    webhook_to(alice, receiver)
    make_task(alice)
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert deliver() == 0


# --- Events that are no change of a row --------------------------------------------------------------


def test_an_event_is_sent_between_the_changes_around_it(alice: User, receiver: Receiver, clock: Any) -> None:
    webhook_to(alice, receiver)
    make_task(alice)
    clock.shift(1)
    services.notify(alice, "reminder.due", {"object": {"id": 1}, "minutes_before": 10})
    clock.shift(1)
    make_task(alice)
    deliver()
    assert receiver.names == ["task.created", "reminder.due", "task.created"]
    assert receiver.events[1]["data"] == {"object": {"id": 1}, "minutes_before": 10}


def test_many_events_and_changes_are_merged_page_after_page(alice: User, receiver: Receiver, clock: Any) -> None:
    webhook_to(alice, receiver)
    for number in range(130):
        clock.shift(1)
        if number % 3:
            make_task(alice)
        else:
            services.notify(alice, "reminder.due", {"number": number})
    deliver()
    times = [each["timestamp"] for each in receiver.events]
    assert len(times) == 130 and times == sorted(times)


def test_an_event_that_nobody_wants_is_not_stored(alice: User, receiver: Receiver) -> None:
    services.notify(alice, "reminder.due", {})
    webhook_to(alice, receiver, events=["task.created"])
    services.notify(alice, "reminder.due", {})
    assert not Event.objects.exists()


def test_an_event_is_sent_to_those_who_want_it(alice: User, receiver: Receiver) -> None:
    with receiving() as other:
        webhook_to(alice, receiver, events=["import.done"])
        webhook_to(alice, other, events=["reminder.due"])
        services.notify(alice, "import.done", {"id": 3})
        deliver()
    assert (receiver.names, other.names) == (["import.done"], [])


def test_a_test_is_sent_to_one_whatever_it_wants(alice: User, receiver: Receiver) -> None:
    with receiving() as other:
        row = webhook_to(alice, receiver, events=["import.done"])
        webhook_to(alice, other)
        services.send_test(alice, row.pk)
        services.send_test(alice, row.pk)
        deliver()
    assert (receiver.names, other.names) == (["webhook.test"], [])


@pytest.mark.usefixtures("transactional_db")
def test_ids_of_events_are_in_commit_order() -> None:
    """Else a cursor would pass over one that is committed after a later one."""
    user = make_user()
    services.create_webhook(user, url="https://1.1.1.1/")
    first_is_stored, second_is_stored = threading.Event(), threading.Event()

    def second() -> None:
        first_is_stored.wait(20)
        with all_users():
            services.notify(user, "import.done", {"number": 2})
        second_is_stored.set()
        connection.close()

    thread = threading.Thread(target=second)
    thread.start()
    with transaction.atomic():
        services.notify(user, "import.done", {"number": 1})
        first_is_stored.set()
        assert not second_is_stored.wait(0.3)
    thread.join()
    assert [each.data["number"] for each in Event.objects.order_by("pk")] == [1, 2]
