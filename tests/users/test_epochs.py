"""Epochs: after the database was set back, no number of a former history is given out again."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from config.database import timeline
from tests.client import Api
from tests.factories import head_of, make_task, make_user
from tests.plans import explain, nodes, statements
from tests.races import Rival
from users.models import Epoch, Feed, User
from users.resources import feed
from users.services import epochs

LARGEST_INTEGER = 2**53 - 1  # of JavaScript


def test_counters_go_on_above_all_that_they_gave_out(alice: User, bob: User) -> None:
    for _ in range(2):
        make_task(alice)
    make_task(bob)
    before = epochs.current()
    epoch = epochs.new_epoch()
    assert epoch.base > before.base
    assert (head_of(alice), head_of(bob)) == (epoch.base, epoch.base)
    assert make_task(alice).version == epoch.base + 1 < LARGEST_INTEGER
    assert epoch.value not in (before.value, epochs.new_epoch().value)


@pytest.mark.parametrize("write", [make_task, lambda user: feed.reserve({user.pk: 2}, feed.CREATED)])
def test_an_account_without_changes_begins_at_the_base(alice: User, write: Callable[[User], Any]) -> None:
    base = epochs.new_epoch().base
    assert feed.current_version(alice) == base
    write(alice)
    counter = Feed.objects.get(user=alice)
    assert (counter.floor, counter.head - base) == (base, counter.live)
    write(alice)
    assert Feed.objects.get(user=alice).head - base == 2 * (counter.head - base)


def test_what_clients_kept_of_lists_matches_nothing(as_alice: Api, alice: User, bob: User) -> None:
    make_task(alice)
    for api in (as_alice, Api(bob)):
        kept = api.get(api.tasks)["ETag"]
        epochs.new_epoch()
        answer = api.get(api.tasks, if_none_match=kept)
        assert (answer.status_code, answer["ETag"] != kept) == (200, True)


def set_back(epoch: Epoch, counter: Feed) -> None:
    """As a restore does, which brings the rows of both."""
    epoch.save()
    counter.save()


@pytest.mark.parametrize("is_first", [True, False])
def test_the_same_backup_does_not_give_the_same_numbers_twice(alice: User, is_first: bool) -> None:
    if not is_first:
        epochs.new_epoch()
    make_task(alice)
    backup = epochs.current(), Feed.objects.get(user=alice)
    heads = []
    for _ in range(3):
        set_back(*backup)
        epochs.new_epoch()
        heads += [head_of(alice), make_task(alice).version]
    assert len(set(heads)) == len(heads)


def test_a_clock_that_is_behind_still_lifts(alice: User) -> None:
    make_task(alice)
    epochs.new_epoch()
    last = make_task(alice).version
    with time_machine.travel("2020-01-01T00:00:00Z"):
        assert epochs.new_epoch().base == last + epochs.LEAST == head_of(alice)


def test_there_is_one(db: None) -> None:
    with pytest.raises(IntegrityError, match="users_epoch_one"), transaction.atomic():
        Epoch.objects.create(id=2, value=1, began_at=timezone.now())


def test_the_base_is_read_only_for_accounts_without_a_counter(alice: User, bob: User) -> None:
    make_task(alice)
    for user, times in ((alice, 0), (bob, 1)):
        (sql,) = statements(partial(feed.current_version, user), containing="tasks_feed")
        plan = explain(user, sql, "ANALYZE, TIMING OFF, COSTS OFF")["Plan"]
        (reading,) = [node for node in nodes(plan) if node.get("Relation Name") == "users_epoch"]
        assert reading["Actual Loops"] == times


# --- With writes at the same time --------------------------------------------------------------------


@pytest.mark.usefixtures("transactional_db")
def test_a_counter_that_is_being_opened_is_lifted_too() -> None:
    user = make_user()
    with Rival(lambda: make_task(user), lambda: None):
        base = epochs.new_epoch().base
    assert head_of(user) == base


@pytest.mark.usefixtures("transactional_db")
def test_a_counter_that_is_opened_meanwhile_begins_at_the_new_base() -> None:
    user = make_user()
    with Rival(epochs.new_epoch, lambda: None):
        version = make_task(user).version
    assert version == epochs.current().base + 1 > 1


# --- The first one -----------------------------------------------------------------------------------


@pytest.fixture
def without_epoch(transactional_db: None) -> Any:
    """The database of an older Tickbase."""
    call_command("migrate", "users", "0014", verbosity=0)
    yield
    call_command("migrate", verbosity=0)


@pytest.mark.thorough
@pytest.mark.usefixtures("without_epoch")
def test_a_new_database_counts_from_0() -> None:
    call_command("migrate", verbosity=0)
    epoch = epochs.current()
    assert (epoch.base, epoch.timeline) == (0, timeline.current())
    assert make_task(make_user()).version == 1


@pytest.mark.thorough
@pytest.mark.usefixtures("without_epoch")
def test_accounts_of_before_may_come_from_a_restored_backup() -> None:
    """Of an older Tickbase, which had no epochs."""
    old: Any = (
        MigrationExecutor(connection).loader.project_state([("users", "0014_feed")]).apps.get_model("users", "User")
    )
    names = ("user@example.com", "other@example.com")
    made = [old.objects.create(email=name, email_canonical=name, password="!") for name in names]
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO tasks_feed (user_id, head, floor) VALUES (%s, 5, 3)", [made[0].pk])
    call_command("migrate", verbosity=0)
    user, other = (User.objects.get(pk=each.pk) for each in made)
    base = epochs.current().base
    assert base > epochs.LEAST
    assert (head_of(user), feed.current_version(other)) == (base, base)


# --- The timeline ------------------------------------------------------------------------------------


def test_a_timeline_that_nobody_tells_is_none(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the function is not the service's to run; the transaction around it goes on."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA denied")
        cursor.execute(
            "CREATE FUNCTION denied.pg_walfile_name(pg_lsn) RETURNS text LANGUAGE plpgsql"
            " AS $$ BEGIN RAISE insufficient_privilege; END $$"
        )
        cursor.execute("SET LOCAL search_path = denied, public, pg_catalog")
    assert timeline.current() is None
    assert epochs.new_epoch().timeline is None
