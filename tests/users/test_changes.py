"""GET changes: cursors, types, limits, and what a client is told that has been away for too long."""

import re
import struct
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain, count
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.utils import timezone

from config.database import queries
from tasks import services
from tasks.models import Task
from tasks.projects import services as projects
from tests.client import Answer, Api
from tests.copies import Copy, live
from tests.factories import fill_log, head_of, make_task
from tests.plans import explain, nodes, statements
from tests.problems import cases, places_of, problem_of, stored
from tests.resources.addresses import BAD_CURSORS, NOT_COUNTS, encoded
from users.models import Change, Epoch, Feed, User
from users.resources import log, pruning, tombstones, writes
from users.resources.resource import registered
from users.services import epochs
from users.sync import changes
from users.sync.cursors import Cursor

CHANGES = "/api/me/changes"

NAMES = [each.name for each in registered()]


@contextmanager
def between_the_messages(act: Callable[[], Any]) -> Iterator[None]:
    """Does something after the entries of a page were read, and before its rows."""
    messages = count(1)

    def run(statements: Any) -> Any:
        if next(messages) == 2:
            act()
        return queries.run_all(statements)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(changes, "run_all", run)
        yield


def read(api: Api, cursor: str | None = None, query: str = "", **headers: str) -> Answer:
    since = f"&since={cursor}" if cursor else ""
    return api.get(f"{CHANGES}?{query}{since}", **headers)


def told(answer: Answer) -> list[tuple[str, int]]:
    assert answer.status_code == 200, answer.content
    return [(change["type"], change["version"]) for change in answer.json()["changes"]]


def pages(api: Api, cursor: str | None = None, query: str = "") -> list[list[tuple[str, int]]]:
    """All that there is from a cursor on."""
    found = []
    while True:
        answer = read(api, cursor, query)
        found.append(told(answer))
        cursor = answer.json()["cursor"]
        if not answer.json()["more"]:
            return found


def cursor_of(api: Api) -> str:
    """At the head."""
    cursor: str = read(api, query="limit=1000").json()["cursor"]
    return cursor


@pytest.fixture
def four(alice: User) -> list[Any]:
    """Version 1 to 4: two tasks, then two projects."""
    return [make_task(alice), make_task(alice), *(projects.create_project(alice, name=name) for name in "AB")]


# --- Pages ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("four")
def test_the_first_sync_is_by_type_and_id(as_alice: Api) -> None:
    expected = [("project", 3), ("project", 4), ("task", 1), ("task", 2)]
    for limit in (1, 2, 3, 4, 5):
        found = pages(as_alice, query=f"limit={limit}")
        assert [*chain(*found)] == expected
        assert [len(page) for page in found[:-1]] == [limit] * (len(found) - 1)
        assert found[-1]


def test_changes_are_by_version_over_all_types(as_alice: Api, alice: User, four: list[Any]) -> None:
    cursor = cursor_of(as_alice)
    services.update_task(alice, four[1].pk, {"title": "New"})
    projects.update_project(alice, four[3].pk, {"name": "New"})
    services.update_task(alice, four[0].pk, {"title": "New"})
    expected = [("task", 5), ("project", 6), ("task", 7)]
    for limit in (1, 2, 3, 4):
        assert [*chain(*pages(as_alice, cursor, f"limit={limit}"))] == expected


def test_what_changes_during_the_first_sync_comes_after_it(as_alice: Api, alice: User, four: list[Any]) -> None:
    """Also what was read already, and what is new where the pages have been."""
    first = read(as_alice, query="limit=2").json()
    projects.update_project(alice, four[2].pk, {"name": "New"})
    services.delete_task(alice, four[0].pk)
    projects.create_project(alice, name="C")
    assert pages(as_alice, first["cursor"], "limit=2") == [
        [("task", 2)],
        [("project", 5), ("task", 6)],
        [("project", 7)],
    ]


def test_an_account_without_anything_has_a_cursor_already(as_alice: Api, alice: User) -> None:
    answer = read(as_alice)
    assert (answer.json()["changes"], answer.json()["more"], answer["ETag"]) == ([], False, '"0"')
    make_task(alice)
    assert told(read(as_alice, answer.json()["cursor"])) == [("task", 1)]


def test_numbers_without_an_entry_do_not_hold_up_the_cursor(as_alice: Api, alice: User) -> None:
    """As a lost attempt of a change leaves them."""
    make_task(alice)
    cursor = cursor_of(as_alice)
    Feed.objects.filter(user=alice).update(head=5)
    answer = read(as_alice, cursor)
    assert (told(answer), answer.json()["more"], answer["ETag"]) == ([], False, '"5"')
    assert Cursor.decode(answer.json()["cursor"]).version == 5


def test_the_text_of_what_was_deleted_is_not_told(as_alice: Api, alice: User) -> None:
    cursor = cursor_of(as_alice)
    services.delete_task(alice, make_task(alice, title="canary").pk)
    answer = read(as_alice, cursor)
    assert told(answer) == [("task", 2)] and b"canary" not in answer.content


# --- Types and limits -------------------------------------------------------------------------------


def test_only_the_types_that_are_asked_for(as_alice: Api, alice: User, four: list[Any]) -> None:
    cursor = cursor_of(as_alice)
    for number in range(3):
        services.update_task(alice, four[0].pk, {"title": f"Title {number}"})
    projects.update_project(alice, four[2].pk, {"name": "New"})
    for query, first, then in [
        ("types=project", [8, 4], [8]),
        ("types=task", [7, 2], [7]),
        ("types=task,project", [8, 4, 7, 2], [7, 8]),
        ("types=task,task", [7, 2], [7]),
        ("types=", [8, 4, 7, 2], [7, 8]),
    ]:
        assert [version for _, version in [*chain(*pages(as_alice, query=f"{query}&limit=1"))]] == first, query
        assert [version for _, version in [*chain(*pages(as_alice, cursor, f"{query}&limit=1"))]] == then, query


@pytest.mark.usefixtures("four")
def test_a_cursor_amid_the_first_sync_goes_with_its_types(as_alice: Api) -> None:
    amid = read(as_alice, query="limit=3").json()["cursor"]
    assert places_of(read(as_alice, amid, "types=project"), "parameter") == ["since"]
    assert told(read(as_alice, amid, "types=task,project")) == [("task", 2)]


@pytest.mark.parametrize(
    "types", ["nothing", "tasks", "Task", "task,", ",", "task, project", "task,%00", "task," * 400]
)
def test_unknown_types_are_refused_with_those_that_are_known(as_alice: Api, types: str) -> None:
    answer = read(as_alice, query=f"types={types}")
    assert places_of(answer, "parameter") == ["types"]
    if len(types) < 1000:
        assert problem_of(answer, 400)["errors"][0]["detail"] == f"Use one of: {', '.join(NAMES)}."


@pytest.mark.parametrize(
    "query", [*(f"limit={limit}" for limit in [*NOT_COUNTS, "0", "1001"]), "wat=1", "limit=1&limit=1"]
)
def test_a_bad_parameter_is_named(as_alice: Api, query: str) -> None:
    assert places_of(read(as_alice, query=query), "parameter") == [query.partition("=")[0]]


def test_a_page_has_500_changes_unless_told_otherwise(as_alice: Api, alice: User) -> None:
    for _ in range(501):
        make_task(alice)
    first = read(as_alice).json()
    assert (len(first["changes"]), first["more"]) == (500, True)
    assert len(read(as_alice, query="limit=1000").json()["changes"]) == 501


# --- Cursors ----------------------------------------------------------------------------------------


def packed(cursor: str) -> bytes:
    return urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))


FORGED: dict[str, Callable[[str], str]] = {
    "truncated": lambda cursor: cursor[:-4],
    "extended": lambda cursor: cursor + "AAAA",
    "one bit less": lambda cursor: encoded(packed(cursor)[:23] + b"\0" + packed(cursor)[24:]),
    "of the history": lambda cursor: log.Cursor(*Cursor.decode(cursor)[1:3]).encode(),
    "padded": lambda cursor: cursor + "==",
    "a space": lambda cursor: f"{cursor[:5]}+{cursor[5:]}",
    "a negative version": lambda cursor: Cursor.decode(cursor)._replace(version=-1).encode(),
    "an unknown type": lambda cursor: Cursor.decode(cursor)._replace(type="nothing", id=1).encode(),
    "not UTF-8": lambda cursor: encoded(packed(cursor) + b"\xff"),
    "no numbers": lambda cursor: encoded(struct.pack(">q", 1)),
}


@pytest.mark.parametrize("forge", cases(FORGED))
def test_a_cursor_that_we_did_not_make_is_refused(as_alice: Api, alice: User, forge: Callable[[str], str]) -> None:
    make_task(alice)
    answer = read(as_alice, forge(cursor_of(as_alice)))
    assert places_of(answer, "parameter") == ["since"]
    assert problem_of(answer, 400)["errors"][0]["code"] == "invalid_cursor"


@pytest.mark.parametrize("cursor", BAD_CURSORS.values(), ids=BAD_CURSORS)
def test_what_is_no_cursor_is_refused(as_alice: Api, cursor: str) -> None:
    assert places_of(as_alice.get(f"{CHANGES}?since={quote(cursor)}"), "parameter") == ["since"]


def test_the_cursor_of_another_user_is_refused_before_anything_is_read(as_alice: Api, alice: User, bob: User) -> None:
    make_task(alice)
    make_task(bob)
    foreign = cursor_of(Api(bob))
    answers: list[Answer] = []
    assert statements(lambda: answers.append(read(as_alice, foreign)), "", "") == []
    assert places_of(answers[0], "parameter") == ["since"]
    assert problem_of(answers[0], 400)["errors"][0]["code"] == "invalid_cursor"


def expired(answer: Answer) -> bool:
    return bool(problem_of(answer, 410)["code"] == "cursor_expired")


@pytest.mark.usefixtures("four")
def test_a_cursor_of_another_epoch_is_gone(as_alice: Api, alice: User) -> None:
    cursor, amid = cursor_of(as_alice), read(as_alice, query="limit=1").json()["cursor"]
    tag = read(as_alice)["ETag"]
    epochs.new_epoch()
    assert expired(read(as_alice, cursor)) and expired(read(as_alice, amid))
    assert expired(read(as_alice, cursor, if_none_match="*"))
    assert read(as_alice, if_none_match=tag).status_code == 200
    assert Copy(alice).follow().objects == live(alice)


def test_a_cursor_of_an_epoch_that_came_between_the_statements_is_gone(alice: User, four: list[Any]) -> None:
    copy = Copy(alice).follow()
    services.update_task(alice, four[0].pk, {"title": "New"})
    with between_the_messages(epochs.new_epoch):
        copy.read(limit=500)
    assert copy.restarts == 1


def test_a_cursor_that_is_ahead_of_the_counter_is_gone(as_alice: Api, alice: User) -> None:
    """As after a failover that has lost writes."""
    make_task(alice)
    cursor = cursor_of(as_alice)
    Feed.objects.filter(user=alice).update(head=0)
    assert expired(read(as_alice, cursor))


@pytest.mark.usefixtures("four")
def test_a_cursor_below_the_floor_is_gone_also_amid_the_first_sync(as_alice: Api, alice: User) -> None:
    cursor, amid = cursor_of(as_alice), read(as_alice, query="limit=1").json()["cursor"]
    make_task(alice)
    Feed.objects.filter(user=alice).update(floor=4)
    assert told(read(as_alice, cursor)) == [("task", 5)]
    assert read(as_alice, amid).status_code == 200
    Feed.objects.filter(user=alice).update(floor=5)
    assert expired(read(as_alice, cursor)) and expired(read(as_alice, amid))


def test_of_a_tombstone_that_is_pruned_readers_from_before_learn_by_410(as_alice: Api, alice: User) -> None:
    task = make_task(alice)
    before = cursor_of(as_alice)
    services.delete_task(alice, task.pk)
    writes.erase(alice, [Task.objects.all()])
    after = cursor_of(as_alice)
    list(pruning.cut_log(timezone.now()))
    list(pruning.prune_tombstones(Task))
    assert not Task.objects.exists()
    assert expired(read(as_alice, before))
    assert told(read(as_alice, after)) == []


def test_a_tombstone_that_is_pruned_between_the_statements_is_not_missed(alice: User) -> None:
    task = make_task(alice)
    copy = Copy(alice).follow()
    services.delete_task(alice, task.pk)
    with between_the_messages(lambda: tombstones.make_room(alice, Task, 1)):
        copy.read(limit=500)
    assert copy.restarts == 1 and not Task.objects.exists()
    assert copy.follow().objects == live(alice) == {}


@pytest.mark.parametrize("is_first", [True, False])
def test_what_changes_between_the_statements_comes_later_and_once(alice: User, is_first: bool) -> None:
    task, other = make_task(alice), make_task(alice)
    copy = Copy(alice) if is_first else Copy(alice).follow()
    for each in (task, other):
        services.update_task(alice, each.pk, {"title": "Before"})
    copy.versions.clear()
    with between_the_messages(lambda: services.update_task(alice, task.pk, {"title": "Meanwhile"})):
        copy.read(limit=500)
    assert copy.versions == [4]
    assert copy.follow().objects == live(alice)
    assert copy.versions == [4, 5]


# --- ETags and costs --------------------------------------------------------------------------------


@pytest.mark.usefixtures("four")
def test_it_is_not_modified_as_long_as_nothing_is_new(as_alice: Api, alice: User) -> None:
    first = read(as_alice)
    cursor, tag = first.json()["cursor"], first["ETag"]
    assert tag == f'"{head_of(alice)}"'
    unchanged = read(as_alice, cursor, if_none_match=tag)
    assert (unchanged.status_code, unchanged.content, unchanged["ETag"]) == (304, b"", tag)
    make_task(alice)
    changed = read(as_alice, cursor, if_none_match=tag)
    assert (told(changed), changed["ETag"]) == ([("task", 5)], '"5"')


@pytest.mark.usefixtures("four")
def test_the_tag_of_one_page_does_not_hide_the_next(as_alice: Api) -> None:
    """All pages have the tag of the same head."""
    first = read(as_alice, query="limit=3")
    assert told(read(as_alice, first.json()["cursor"], if_none_match=first["ETag"])) == [("task", 2)]
    assert len(told(read(as_alice, if_none_match=first["ETag"]))) == 4


def tables(api: Api, cursor: str | None) -> list[str]:
    """Which one each statement reads, the counter's under the name of the epoch's."""
    sent = statements(lambda: read(api, cursor), "", "")
    return [re.findall(r'FROM "?(\w+)', sql)[0] for sql in sent]


def test_the_counter_is_read_before_the_entries_and_the_floor_after_their_rows(as_alice: Api, alice: User) -> None:
    """Else the cursor might be beyond an entry that was not visible yet, or a row was gone unnoticed."""
    cursor = cursor_of(as_alice)
    make_task(alice)
    projects.create_project(alice, name="A")
    every = sorted(each.model._meta.db_table for each in registered())
    written = ["projects_project", "tasks_task"]
    for _ in range(2):  # as many statements, however many changes there are
        first, later = tables(as_alice, None), tables(as_alice, cursor)
        assert (sorted(first[: len(every) + 1]), sorted(first[len(every) + 1 : -1]), first[-1]) == (
            sorted(["users_epoch", *every]), written, "users_epoch",
        )  # fmt: skip
        assert (later[:2], sorted(later[2:4]), later[4:]) == (["users_epoch", "users_change"], written, ["users_epoch"])
        for _ in range(10):
            make_task(alice)
            projects.create_project(alice, name="A")
    assert tables(as_alice, cursor_of(as_alice)) == ["users_epoch", "users_change"]


def test_neither_the_log_nor_a_table_is_read_from_end_to_end(as_alice: Api, alice: User, bob: User) -> None:
    tasks = [make_task(alice) for _ in range(3)]
    amid, cursor = read(as_alice, query="limit=1").json()["cursor"], cursor_of(as_alice)
    fill_log(alice, 20_000)
    for _ in range(100):
        make_task(bob)
    with connection.cursor() as sql:
        sql.execute("ANALYZE users_change, tasks_task")
    for since in (cursor, amid):
        for sql_text in statements(lambda since=since: read(as_alice, since, "limit=10"), "SELECT", "_id"):  # type: ignore[misc]
            found = [node for node in nodes(explain(alice, sql_text, "ANALYZE")["Plan"]) if "Relation Name" in node]
            read_rows = {node["Relation Name"]: node["Actual Rows"] * node["Actual Loops"] for node in found}
            assert max(read_rows.values()) <= 11, sql_text
    assert Change.objects.count() > 20_000 and tasks


def test_it_writes_nothing(as_alice: Api, four: list[Any]) -> None:
    before = stored(), Epoch.objects.get().value
    assert read(as_alice, cursor_of(as_alice)).status_code == 200
    assert (stored(), Epoch.objects.get().value) == before
