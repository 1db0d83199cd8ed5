"""The members of a task: what is accepted, how it is kept, and what is refused."""

import datetime as dt
from typing import Any

import pytest
from time_machine import TimeMachineFixture

from tasks.models import Task
from tests.client import Api
from tests.factories import make_task
from users.models import Feed, User

LIST = "/api/me/tasks"
NOW = dt.datetime(2026, 12, 1, 12, 0, tzinfo=dt.UTC)
FLAG = "\U0001f1f5\U0001f1f0"  # two code points
FAMILY = "\U0001f469\u200d\U0001f467"  # three
ACCENTED = "e\u0301"  # two, and stays so
INVISIBLE = [
    "\u200b\u2060",
    "\x01",
    "\u3000 \u00a0",
    "\u202e",
    "\u3164",  # HANGUL FILLER
    "\uffa0",
    "\u115f\u1160",
    "\u2800",  # BRAILLE PATTERN BLANK
    "\u034f",  # COMBINING GRAPHEME JOINER
    "\u17b4\u17b5\u180b\u180e",
    "\ufe0f",  # VARIATION SELECTOR-16
    "\U000e0100",
    "\U000e0041\U000e007f",  # tags
    "\u2065\ufff0\U000e0fff",  # reserved for such characters
    "\ufff9\ufffb",
    "\U0001d159",  # MUSICAL SYMBOL NULL NOTEHEAD
]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("  A  ", "A"),
        ("\t\r\nA b\n", "A b"),
        ("\u3000\u00a0A\u2003b\u2028", "A\u2003b"),
        ("A  b", "A  b"),
        (ACCENTED, ACCENTED),
        ("x" * 200, "x" * 200),
        (" " * 500 + "x" * 200 + " ", "x" * 200),
        ("報" * 200, "報" * 200),
        (FLAG * 100, FLAG * 100),
        (FAMILY * 66 + "ab", FAMILY * 66 + "ab"),
        (ACCENTED * 100, ACCENTED * 100),
    ],
)
def test_a_title_is_trimmed_and_else_kept_as_typed(as_alice: Api, sent: str, kept: str) -> None:
    answer = as_alice.post(LIST, {"title": sent})
    assert (answer.status_code, answer.json()["title"], Task.objects.get().title) == (201, kept, kept)


@pytest.mark.parametrize(
    ("title", "code"),
    [
        ("", "blank"),
        (" \t\n\u3000\u00a0", "blank"),
        ("x" * 201, "max_length"),
        (FLAG * 101, "max_length"),
        (ACCENTED * 101, "max_length"),
        (None, "null"),
        (5, "invalid"),
        (True, "invalid"),
        (["a"], "invalid"),
        ("a\0b", "null_characters_not_allowed"),
    ],
)
def test_a_title_has_1_to_200_code_points(as_alice: Api, title: Any, code: str) -> None:
    answer = as_alice.post(LIST, {"title": title})
    assert answer.status_code == 400
    assert [(error["pointer"], error["code"]) for error in answer.json()["errors"]] == [("/title", code)]
    assert not Task.objects.exists()


def test_a_task_needs_a_title(as_alice: Api) -> None:
    answer = as_alice.post(LIST, {"description": "x"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "required")
    assert not Task.objects.exists()


@pytest.mark.parametrize("text", ["", "  \r\n\tindented\r\n\r\n", " \u3000", "\ufeff\u200e", "🐛" * 20_000])
def test_a_description_is_kept_as_typed(as_alice: Api, text: str) -> None:
    answer = as_alice.post(LIST, {"title": "A", "description": text})
    assert (answer.status_code, answer.json()["description"]) == (201, text)
    assert Task.objects.get().description == text


@pytest.mark.parametrize(("text", "code"), [("x" * 20_001, "max_length"), (5, "invalid"), ({}, "invalid")])
def test_a_description_has_up_to_20000_code_points(as_alice: Api, text: Any, code: str) -> None:
    answer = as_alice.post(LIST, {"title": "A", "description": text})
    assert answer.status_code == 400
    assert [(error["pointer"], error["code"]) for error in answer.json()["errors"]] == [("/description", code)]
    assert not Task.objects.exists()


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ([], []),
        (["b", "a", "b", "c"], ["b", "a", "c"]),
        ([" a ", "a", "\u3000a\n"], ["a"]),
        (["Home", "home", "HOME"], ["Home"]),
        (["cafe\u0301", "caf\u00e9", "CAF\u00c9"], ["cafe\u0301"]),
        (["Straße", "STRASSE"], ["Straße"]),
        (["café", "cafe"], ["café", "cafe"]),
        (["du lịch", "a,b"], ["du lịch", "a,b"]),
        (["🐛" * 50], ["🐛" * 50]),
        ([str(number) for number in range(20)], [str(number) for number in range(20)]),
        (["a", "b"] * 10, ["a", "b"]),
    ],
)
def test_tags_are_trimmed_each_once_and_in_order(as_alice: Api, sent: list[str], kept: list[str]) -> None:
    answer = as_alice.post(LIST, {"title": "A", "tags": sent})
    assert (answer.status_code, answer.json()["tags"], Task.objects.get().tags) == (201, kept, kept)


@pytest.mark.parametrize(
    ("tags", "pointer"),
    [
        (["a", "", "b"], "/tags/1"),
        (["  "], "/tags/0"),
        (["x" * 51], "/tags/0"),
        (["a", None], "/tags/1"),
        (["a", 5], "/tags/1"),
        (["a\0"], "/tags/0"),
        ([str(number) for number in range(21)], "/tags"),
        (["a"] * 21, "/tags"),
        ("a", "/tags"),
        ({"0": "a"}, "/tags"),
    ],
)
def test_bad_tags_are_refused_by_their_place(as_alice: Api, tags: Any, pointer: str) -> None:
    answer = as_alice.post(LIST, {"title": "A", "tags": tags})
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert not Task.objects.exists()


def test_a_tag_may_change_its_case(as_alice: Api, alice: User) -> None:
    task = make_task(alice, tags=["work"])
    answer = as_alice.patch(f"{LIST}/{task.pk}", {"tags": ["Work", "WORK"]}).json()
    assert (answer["tags"], answer["version"]) == (["Work"], 2)


def test_the_order_of_tags_can_be_changed(as_alice: Api, alice: User) -> None:
    task = make_task(alice, tags=["a", "b"])
    answer = as_alice.patch(f"{LIST}/{task.pk}", {"tags": ["b", "a"]})
    task.refresh_from_db()
    assert (answer.json()["tags"], task.tags, task.version) == (["b", "a"], ["b", "a"], 2)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({}, "pending"),
        ({"completed": True}, "completed"),
        ({"completed": False}, "pending"),
        ({"status": "in_progress"}, "in_progress"),
        ({"status": "completed", "completed": True}, "completed"),
        ({"status": "cancelled", "completed": False}, "cancelled"),
    ],
)
def test_status_and_completed_are_one_fact(as_alice: Api, sent: dict[str, Any], status: str) -> None:
    answer = as_alice.post(LIST, {"title": "A", **sent})
    body, task = answer.json(), Task.objects.get()
    assert (answer.status_code, body["status"], task.status) == (201, status, status)
    assert body["completed"] is (body["completed_at"] is not None) is (status == "completed")


@pytest.mark.parametrize(
    "sent",
    [
        {"status": "pending", "completed": True},
        {"status": "cancelled", "completed": True},
        {"status": "completed", "completed": False},
    ],
)
def test_a_new_task_in_which_both_disagree_is_refused(as_alice: Api, sent: dict[str, Any]) -> None:
    answer = as_alice.post(LIST, {"title": "A", **sent})
    error = answer.json()["errors"][0]
    assert (answer.status_code, error["pointer"], error["code"]) == (400, "/completed", "conflicting_members")
    assert not Task.objects.exists()


@pytest.mark.parametrize("method", ["put", "patch"])
@pytest.mark.parametrize(
    ("stored", "sent", "kept"),
    [
        # As it was, but for `completed`: what front ends send that know nothing else.
        ("pending", {"status": "pending", "completed": True}, "completed"),
        ("in_progress", {"status": "in_progress", "completed": True}, "completed"),
        ("cancelled", {"status": "cancelled", "completed": True}, "completed"),
        ("completed", {"status": "completed", "completed": False}, "pending"),
        # As it was, but for `status`.
        ("pending", {"status": "completed", "completed": False}, "completed"),
        ("in_progress", {"status": "completed", "completed": False}, "completed"),
        ("completed", {"status": "pending", "completed": True}, "pending"),
        ("completed", {"status": "in_progress", "completed": True}, "in_progress"),
        ("completed", {"status": "cancelled", "completed": True}, "cancelled"),
        # Both have changed, and agree.
        ("completed", {"status": "in_progress", "completed": False}, "in_progress"),
        ("cancelled", {"status": "completed", "completed": True}, "completed"),
        # Neither has changed.
        ("in_progress", {"status": "in_progress", "completed": False}, "in_progress"),
        ("completed", {"status": "completed", "completed": True}, "completed"),
    ],
)
def test_of_status_and_completed_the_one_that_differs_counts(
    as_alice: Api, alice: User, method: str, stored: str, sent: dict[str, Any], kept: str
) -> None:
    task = make_task(alice, status=stored)
    shown = as_alice.get(f"{LIST}/{task.pk}").json()
    answer = getattr(as_alice, method)(f"{LIST}/{task.pk}", {**shown, **sent})
    task.refresh_from_db()
    assert (answer.status_code, answer.json()["status"], task.status) == (200, kept, kept)
    assert answer.json()["completed"] is (task.completed_at is not None) is (kept == "completed")
    assert task.version == (1 if kept == stored else 2)


@pytest.mark.parametrize("method", ["put", "patch"])
@pytest.mark.parametrize(
    ("stored", "sent"),
    [
        ("pending", {"status": "in_progress", "completed": True}),
        ("pending", {"status": "cancelled", "completed": True}),
        ("in_progress", {"status": "pending", "completed": True}),
        ("cancelled", {"status": "pending", "completed": True}),
    ],
)
def test_both_changed_and_in_disagreement_are_refused(
    as_alice: Api, alice: User, method: str, stored: str, sent: dict[str, Any]
) -> None:
    task = make_task(alice, status=stored)
    answer = getattr(as_alice, method)(f"{LIST}/{task.pk}", sent)
    error = answer.json()["errors"][0]
    assert (answer.status_code, error["pointer"], error["code"]) == (400, "/completed", "conflicting_members")
    task.refresh_from_db()
    assert (task.status, task.version, Feed.objects.get(user=alice).head) == (stored, 1, 1)


@pytest.mark.parametrize(
    "sent",
    [
        {"status": "done"},
        {"status": ""},
        {"status": None},
        {"status": "Completed"},
        {"completed": "true"},
        {"completed": 1},
        {"completed": None},
        {"priority": "urgent"},
        {"priority": 1},
        {"priority": ["low"]},
    ],
)
def test_only_the_words_of_the_contract_are_taken(as_alice: Api, sent: dict[str, Any]) -> None:
    answer = as_alice.post(LIST, {"title": "A", **sent})
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [f"/{name}" for name in sent]
    assert not Task.objects.exists()


@pytest.mark.parametrize("open_status", ["pending", "in_progress", "cancelled"])
def test_completed_at_is_the_instant_of_completion_and_goes_with_it(
    time_machine: TimeMachineFixture, db: None, open_status: str, alice: User
) -> None:
    task = make_task(alice, status=open_status)
    time_machine.move_to(NOW, tick=False)
    api = Api(alice)
    assert api.patch(f"{LIST}/{task.pk}", {"status": "completed"}).json()["completed_at"] == "2026-12-01T12:00:00Z"
    time_machine.shift(60)
    assert api.patch(f"{LIST}/{task.pk}", {"title": "New"}).json()["completed_at"] == "2026-12-01T12:00:00Z"
    assert api.patch(f"{LIST}/{task.pk}", {"status": open_status}).json()["completed_at"] is None
    task.refresh_from_db()
    assert (task.status, task.completed_at) == (open_status, None)


def test_completed_false_beside_an_open_status_changes_nothing(as_alice: Api, alice: User) -> None:
    task = make_task(alice, status="cancelled")
    answer = as_alice.patch(f"{LIST}/{task.pk}", {"status": "cancelled", "completed": False})
    assert (answer.status_code, answer.json()["status"], answer.json()["version"]) == (200, "cancelled", 1)


def test_read_only_members_are_ignored(as_alice: Api, alice: User) -> None:
    sent = {
        "title": "A",
        "id": 99,
        "user_id": "99",
        "version": 99,
        "completed_at": "x",
        "created_at": 1,
        "updated_at": [],
    }
    answer = as_alice.post(LIST, sent)
    task = Task.objects.get()
    assert (answer.status_code, task.user, task.version, task.completed_at) == (201, alice, 1, None)
    assert answer.json()["id"] == task.pk != 99


@pytest.mark.parametrize("name", ["due", "Title", "is_completed", "deleted_at", "search_text", "user", "", "a/b~c"])
def test_an_unknown_member_is_refused_by_name(as_alice: Api, name: str) -> None:
    answer = as_alice.post(LIST, {"title": "A", name: "x"})
    error = answer.json()["errors"][0]
    pointer = "/" + name.replace("~", "~0").replace("/", "~1")
    assert (answer.status_code, error["pointer"], error["code"]) == (400, pointer, "unknown")
    assert not Task.objects.exists()


@pytest.mark.parametrize("member", ["title", "uid"])
@pytest.mark.parametrize("text", INVISIBLE)
def test_what_nobody_can_see_is_blank(as_alice: Api, member: str, text: str) -> None:
    answer = as_alice.post("/api/me/tasks", {"title": "A", member: text})
    error = answer.json()["errors"][0]
    assert (answer.status_code, error["pointer"], error["code"]) == (400, f"/{member}", "blank")
    assert not Task.objects.exists()


def test_a_title_may_be_one_character_that_python_does_not_know_yet(as_alice: Api) -> None:
    unassigned = "\U0001fae9"  # a face of Unicode 16
    assert as_alice.post("/api/me/tasks", {"title": unassigned}).json()["title"] == unassigned
