"""What becomes of failures, gaps and replays of webhooks; what is noted, and who waits for whom."""

import datetime as dt
import threading
import time
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from config.operations import work
from tasks import services as tasks
from tests.factories import head_of, make_task, make_user
from tests.receiver import Receiver, receiving
from tests.webhooks import NOW, deliver, only, webhook_to
from users import services as accounts
from users.mail.models import Mail
from users.models import User
from users.resources import pruning
from users.services import epochs
from users.webhooks import delivery, messages, services
from users.webhooks.delivery import Courier
from users.webhooks.models import Delivery, Endpoint, Event
from users.webhooks.writes import RETRIES

pytestmark = pytest.mark.usefixtures("clock")


# --- Failures ---------------------------------------------------------------------------------------


def test_a_failure_is_tried_again_until_the_last_attempt(alice: User, receiver: Receiver, clock: Any) -> None:
    alice.email_verified_at = NOW
    alice.save()
    webhook_to(alice, receiver)
    make_task(alice)
    receiver.answer(500)
    for number, pause in enumerate(RETRIES):
        assert deliver() == 1
        row = only()
        assert (row.status, row.failures, row.last_error) == ("failing", number + 1, "HTTP 500")
        assert row.next_attempt_at is not None
        seconds = (row.next_attempt_at - timezone.now()).total_seconds()
        assert 0.8 * pause <= seconds <= 1.2 * pause
        clock.shift(seconds - 1)
        assert deliver() == 0
        clock.shift(1)
    assert deliver() == 1
    assert (only().status, only().is_active, only().failures) == ("disabled", False, 10)
    assert len({*receiver.ids}) == 1 and len(receiver.received) == 10
    clock.shift(dt.timedelta(days=2))
    assert deliver() == 0
    queued = Mail.objects.get()
    assert (queued.kind, queued.data) == ("webhook_disabled", {"host": only().host, "reason": "HTTP 500"})


def test_its_owner_is_told_by_mail(alice: User, receiver: Receiver, mailoutbox: Any) -> None:
    alice.email_verified_at = NOW
    alice.save()
    webhook_to(alice, receiver)
    make_task(alice)
    receiver.answer(410)
    deliver()
    work.drain("mails")
    (mail,) = mailoutbox
    assert mail.to == [alice.email] and only().host in mail.body and "HTTP 410" in mail.body
    assert "/hook" not in mail.body


@pytest.mark.parametrize("is_verified", [True, False])
def test_410_disables_at_once(alice: User, receiver: Receiver, is_verified: bool) -> None:
    alice.email_verified_at = NOW if is_verified else None
    alice.save()
    webhook_to(alice, receiver)
    make_task(alice)
    receiver.answer(410)
    assert (deliver(), only().status) == (1, "disabled")
    assert Mail.objects.exists() == is_verified


@pytest.mark.parametrize("status", [199, 300, 301, 302, 304, 307, 308, 400, 401, 404, 429, 500, 503])
def test_anything_but_2xx_is_a_failure(alice: User, receiver: Receiver, status: int) -> None:
    webhook_to(alice, receiver)
    make_task(alice)
    receiver.answer(status, Location=receiver.url)
    deliver()
    assert (only().failures, len(receiver.received)) == (1, 1)
    assert only().last_error.startswith(f"HTTP {status}")


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_accepts(alice: User, receiver: Receiver, status: int) -> None:
    webhook_to(alice, receiver)
    make_task(alice)
    receiver.answer(status)
    deliver()
    assert (only().failures, only().cursor_version) == (0, head_of(alice))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        ("Sun, 29 Nov 2026 12:10:00 GMT", 600),
        ("999999999", 86_400),
        ("1", 4),
        ("-5", 4),
        ("soon", 4),
        ("9" * 5000, 86_400),
        ("Sun, 29 Nov 2020 12:10:00 GMT", 4),
    ],
)
def test_retry_after_is_honoured_within_a_day(alice: User, receiver: Receiver, header: str, seconds: int) -> None:
    webhook_to(alice, receiver)
    make_task(alice)
    receiver.answer(503, Retry_After=header)
    deliver()
    at = only().next_attempt_at
    assert at is not None and seconds <= (at - NOW).total_seconds() <= max(6, seconds)


def test_a_failing_one_blocks_only_itself_and_goes_on_in_order(alice: User, receiver: Receiver, clock: Any) -> None:
    with receiving() as other:
        webhook_to(alice, receiver)
        webhook_to(alice, other)
        receiver.answer(500, 204)
        first, second = make_task(alice), make_task(alice)
        deliver()
        assert (len(receiver.received), len(other.received)) == (1, 2)
        clock.shift(10)
        deliver()
        assert [each["data"]["version"] for each in receiver.events] == [first.version, first.version, second.version]
        assert receiver.ids[0] == receiver.ids[1] != other.ids[0]


def test_after_a_success_failures_are_forgotten(alice: User, receiver: Receiver, clock: Any) -> None:
    webhook_to(alice, receiver)
    make_task(alice)
    receiver.answer(500, 204)
    deliver()
    clock.shift(10)
    deliver()
    assert (only().failures, only().last_error, only().status) == (0, "", "active")


def test_what_was_disabled_goes_on_at_its_cursor(alice: User, receiver: Receiver) -> None:
    row = webhook_to(alice, receiver)
    made = [make_task(alice)]
    receiver.answer(410)
    deliver()
    receiver.received.clear()
    receiver.answer(204)
    made.append(make_task(alice))
    assert deliver() == 0
    services.update_webhook(alice, row.pk, {"is_active": True}, expected=None)
    deliver()
    assert [each["data"]["version"] for each in receiver.events] == [task.version for task in made]
    assert only().status == "active"


# --- Gaps and replays -------------------------------------------------------------------------------


def test_a_gap_is_told_first_where_the_log_was_pruned(alice: User, receiver: Receiver, clock: Any) -> None:
    row = webhook_to(alice, receiver)
    services.update_webhook(alice, row.pk, {"is_active": False}, expected=None)
    make_task(alice, title="Pruned")
    clock.shift(dt.timedelta(days=100))
    list(pruning.cut_log(timezone.now() - dt.timedelta(days=90)))
    kept = make_task(alice)
    services.update_webhook(alice, row.pk, {"is_active": True}, expected=None)
    receiver.answer(500, 204)
    deliver()
    clock.shift(10)
    deliver()
    assert receiver.names == ["webhook.gap", "webhook.gap", "task.created"]
    assert receiver.ids[0] == receiver.ids[1]
    assert receiver.events[0]["data"] == {"reason": "history_pruned"}
    assert receiver.events[2]["data"]["version"] == kept.version
    assert deliver() == 0


def test_a_gap_is_told_first_in_another_history(alice: User, receiver: Receiver) -> None:
    webhook_to(alice, receiver, events=["task.updated"])
    make_task(alice)
    deliver()
    epochs.new_epoch()
    task = make_task(alice)
    tasks.update_task(alice, task.pk, {"title": "New"})
    deliver()
    assert receiver.names == ["webhook.gap", "task.updated"]
    assert receiver.events[0]["data"] == {"reason": "history_replaced"}


@pytest.mark.parametrize("by", ["version", "since"])
def test_a_replay_sends_the_same_again_with_the_same_ids(alice: User, receiver: Receiver, clock: Any, by: str) -> None:
    row = webhook_to(alice, receiver)
    first = make_task(alice)
    clock.shift(60)
    later = timezone.now()
    make_task(alice)
    clock.shift(1)
    services.notify(alice, "import.done", {})
    deliver()
    sent = receiver.ids[:]
    services.replay(alice, row.pk, **({"version": first.version} if by == "version" else {"since": later}))
    deliver()
    assert receiver.ids == [*sent, *sent[1:]] and len(sent) == 3


def test_a_replay_amid_a_delivery_counts(alice: User, receiver: Receiver) -> None:
    row = webhook_to(alice, receiver)
    first = make_task(alice)
    make_task(alice)
    done: list[int] = []

    def answer(received: Any) -> Any:
        if received.event["data"]["version"] > first.version and not done:
            done.append(1)
            moved.set()
            assert replayed.wait(10)
        return 204, {}, b""

    moved, replayed = threading.Event(), threading.Event()
    receiver.answers = [answer]
    sender = Endpoint.objects.get()
    sender.attempts, sender.leased_until, sender.is_slow = 1, NOW + dt.timedelta(minutes=1), False
    sender.save()
    courier = Courier(sender)
    message = courier.next()
    assert message is not None and courier.record(message, courier.send(message))
    message = courier.next()
    assert message is not None
    thread = threading.Thread(target=lambda: outcomes.append(courier.send(message)))
    outcomes: list[Any] = []
    thread.start()
    assert moved.wait(10)
    services.replay(alice, row.pk, version=first.version - 1)
    replayed.set()
    thread.join()
    assert courier.record(message, outcomes[0])
    assert only().cursor_version == first.version - 1


# --- The deliveries ---------------------------------------------------------------------------------


def test_each_attempt_is_noted_with_its_outcome_and_nothing_of_the_answer(
    alice: User, receiver: Receiver, clock: Any
) -> None:
    webhook_to(alice, receiver)
    make_task(alice)
    receiver.answers = [(500, {"X": "canary"}, b"canary"), (200, {}, b"canary")]
    deliver()
    clock.shift(10)
    deliver()
    rows = list(Delivery.objects.order_by("pk").values_list("event", "status", "reason", "attempt"))
    assert rows == [("task.created", 500, "HTTP 500", 1), ("task.created", 200, "", 2)]
    assert "canary" not in str(list(Delivery.objects.values())) + str(Endpoint.objects.values())


def test_the_last_hundred_are_kept(alice: User, receiver: Receiver) -> None:
    webhook_to(alice, receiver)
    made = [make_task(alice) for _ in range(130)]
    deliver()
    kept = Delivery.objects.order_by("pk")
    assert len(receiver.received) == len(made) and len(kept) == 100
    assert kept[99].webhook_id == receiver.ids[-1]


# --- Lanes ------------------------------------------------------------------------------------------


def test_a_new_one_waits_with_the_slow_ones_until_it_was_quick(alice: User, receiver: Receiver, clock: Any) -> None:
    webhook_to(alice, receiver)
    make_task(alice)
    assert [work.drain("webhooks"), work.drain("slow webhooks")] == [0, 1]
    make_task(alice)
    assert [work.drain("slow webhooks"), work.drain("webhooks")] == [0, 1]
    receiver.answer(500, 204)
    make_task(alice)
    assert work.drain("webhooks") == 1
    clock.shift(10)
    assert [work.drain("webhooks"), work.drain("slow webhooks")] == [0, 1]
    assert only().is_slow is False


def test_a_quick_one_that_hangs_is_tried_again_among_the_slow_ones(
    alice: User, receiver: Receiver, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else two accounts that answer at once and late by turns would hold both threads of all quick ones."""
    monkeypatch.setattr(delivery, "QUICK_SECONDS", 0.2)
    webhook_to(alice, receiver)
    make_task(alice)
    deliver()
    over = threading.Event()

    def late(received: Any) -> Any:
        over.wait(10)
        return 204, {}, b""

    receiver.answers = [late]
    make_task(alice)
    began = time.monotonic()
    assert work.drain("webhooks") == 1
    assert time.monotonic() - began < 5
    assert (only().is_slow, only().failures, only().leased_until) == (True, 0, None)
    over.set()
    assert [work.drain("webhooks"), work.drain("slow webhooks")] == [0, 1]
    assert only().failures == 0 and receiver.ids[1] == receiver.ids[2]


def test_a_long_log_that_is_not_wanted_holds_up_nobody_of_the_batch(
    alice: User, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "TURN", 0.0)
    webhook_to(alice, receiver, events=["project.deleted"])
    for _ in range(messages.PAGE + 1):
        make_task(alice)
    assert deliver() == 2  # a page each
    assert only().cursor_version == head_of(alice)


def test_the_backlog_tells_since_when_something_waits(alice: User, receiver: Receiver, clock: Any) -> None:
    webhook_to(alice, receiver)
    clock.shift(3600)
    make_task(alice)
    clock.shift(5)
    found = {each.kind: each for each in work.backlog(timezone.now())}
    assert (found["slow webhooks"].oldest_seconds, found["slow webhooks"].due) == (5.0, 1)
    assert found["webhooks"].due == 0


def test_writes_pay_nothing_for_webhooks(alice: User, receiver: Receiver) -> None:
    make_task(alice)
    with CaptureQueriesContext(connection) as before:
        make_task(alice)
    webhook_to(alice, receiver)
    with CaptureQueriesContext(connection) as after:
        make_task(alice)
    assert len(before) == len(after)


def test_deleting_the_account_takes_them_along(alice: User, receiver: Receiver) -> None:
    row = webhook_to(alice, receiver)
    make_task(alice)
    deliver()
    services.send_test(alice, row.pk)
    accounts.delete_account(alice)
    assert [model.objects.count() for model in (Endpoint, Delivery, Event)] == [0, 0, 0]


def test_two_of_a_user_are_delivered_to_at_once(alice: User, receiver: Receiver) -> None:
    for _ in range(3):
        webhook_to(alice, receiver)
    make_task(alice)
    webhook_to(make_user("other"), receiver)
    assert deliver() == 3
