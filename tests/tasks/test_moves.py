"""Moves of tasks and projects: to a place among siblings, or to another parent, with all that is within."""

import random
from typing import Any

import pytest

from config.values import MAX_BIGINT
from tests.client import Api
from tests.factories import head_of
from tests.problems import places_of, problem_of, stored
from tests.tasks.outlines import Outline, entries, refused
from users.models import User

# Of four rows in order, which one moves, where to, and the order afterwards.
MOVES: dict[str, tuple[int, dict[str, int | None], list[int]]] = {
    "after the first": (3, {"after_id": 0}, [0, 3, 1, 2]),
    "before the first": (2, {"before_id": 0}, [2, 0, 1, 3]),
    "after the last": (0, {"after_id": 3}, [1, 2, 3, 0]),
    "before the last": (0, {"before_id": 3}, [1, 2, 0, 3]),
    "to the end": (1, {}, [0, 2, 3, 1]),
    "to the end, by null": (0, {"after_id": None, "before_id": None, "parent_id": None}, [1, 2, 3, 0]),
    "null beside a sibling": (0, {"after_id": 1, "before_id": None}, [1, 0, 2, 3]),
}
STAYS: dict[str, tuple[int, dict[str, int]]] = {
    "after the one that it is after": (1, {"after_id": 0}),
    "before the one that it is before": (1, {"before_id": 2}),
    "before the second": (0, {"before_id": 1}),
    "to the end": (3, {}),
}


@pytest.mark.parametrize(("moved", "sent", "expected"), MOVES.values(), ids=MOVES)
def test_a_row_goes_to_its_place_and_no_other_row_changes(
    outline: Outline, as_alice: Api, alice: User, moved: int, sent: dict[str, int | None], expected: list[int]
) -> None:
    rows = [outline.row(alice, number) for number in range(4)]
    body = {name: place if place is None else rows[place].pk for name, place in sent.items()}
    answer = outline.move(as_alice, rows[moved], body)
    assert outline.order(alice) == [rows[place].pk for place in expected]
    assert (answer.status_code, answer["ETag"], answer["Tickbase-Operation"]) == (200, '"5"', "5")
    assert answer.json() == as_alice.get(f"/api/me/{outline.plural}/{rows[moved].pk}").json()
    (entry,) = entries(alice, 5)
    assert (entry.kind, entry.object_id) == ("moved", rows[moved].pk)
    assert entry.diff == {"position": [f"a{moved}", answer.json()["position"]]}


@pytest.mark.parametrize(("moved", "sent"), STAYS.values(), ids=STAYS)
def test_a_row_that_is_there_already_stays_as_it_is(
    outline: Outline, as_alice: Api, alice: User, moved: int, sent: dict[str, int]
) -> None:
    rows = [outline.row(alice, number) for number in range(4)]
    answer = outline.move(as_alice, rows[moved], {name: rows[place].pk for name, place in sent.items()})
    assert (answer.status_code, answer["ETag"]) == (200, f'"{moved + 1}"')
    assert "Tickbase-Operation" not in answer
    assert head_of(alice) == 4


def test_many_moves_make_the_order_that_a_list_would_have(outline: Outline, as_alice: Api, alice: User) -> None:
    chance = random.Random(16)
    for _ in range(8):
        outline.make(alice, position=chance.choice(["a0", "a1", "a1V", "z" * 28]))
    line = outline.order(alice)
    for _ in range(150):
        moved = line.pop(chance.randrange(len(line)))
        place = chance.randrange(len(line) + 1)
        bodies = [{"after_id": line[place - 1]} if place else {}, {"before_id": line[place]} if line[place:] else {}]
        body = chance.choice([each for each in bodies if each])
        assert as_alice.post(f"/api/me/{outline.plural}/{moved}/move", body).status_code == 200
        line.insert(place, moved)
        assert outline.order(alice) == line


def test_the_end_is_after_what_clients_have_placed_beyond_the_newest(
    outline: Outline, as_alice: Api, alice: User
) -> None:
    first, last = outline.row(alice, 1), outline.make(alice, position="z" * 27 + "V")
    assert outline.move(as_alice, first).status_code == 200
    assert outline.order(alice) == [last.pk, first.pk]


def test_a_row_that_moves_to_the_end_is_before_the_next_new_one(outline: Outline, as_alice: Api, alice: User) -> None:
    first, second = outline.row(alice, 1), outline.row(alice, 2)
    outline.move(as_alice, first, {"after_id": second.pk})
    new = outline.make(alice)
    assert outline.order(alice) == [second.pk, first.pk, new.pk]


@pytest.mark.parametrize("by", ["id", "uid"])
def test_a_row_moves_within_another_with_all_that_is_within_it(
    outline: Outline, as_alice: Api, alice: User, by: str
) -> None:
    parent, row, child = outline.row(alice, 1), *outline.chain(alice, 2)
    siblings = [outline.row(alice, number, parent_id=parent.pk) for number in (1, 2)]
    key = parent.pk if by == "id" else parent.uid
    answer = outline.move(as_alice, row, {f"parent_{by}": key, "before_id": siblings[1].pk})
    assert (answer.status_code, answer.json()["parent_id"]) == (200, parent.pk)
    assert outline.order(alice, parent) == [siblings[0].pk, row.pk, siblings[1].pk]
    assert (outline.order(alice), outline.order(alice, row)) == ([parent.pk], [child.pk])
    (entry,) = entries(alice, head_of(alice))
    assert (entry.kind, entry.diff.keys()) == ("moved", {"parent_id", "position"})


@pytest.mark.parametrize("member", ["parent_id", "parent_uid"])
def test_null_is_the_root_and_what_is_left_out_stays(outline: Outline, as_alice: Api, alice: User, member: str) -> None:
    parent, child = outline.chain(alice, 2)
    other = outline.row(alice, 2, parent_id=parent.pk)
    assert outline.move(as_alice, child, {"after_id": other.pk}).json()["parent_id"] == parent.pk
    answer = outline.move(as_alice, child, {member: None, "before_id": parent.pk})
    assert (answer.status_code, answer.json()["parent_id"]) == (200, None)
    assert (outline.order(alice), outline.order(alice, parent)) == ([child.pk, parent.pk], [other.pk])


def test_only_siblings_of_the_place_are_known(outline: Outline, as_alice: Api, alice: User, bob: User) -> None:
    row, parent, trashed, foreign = (
        outline.row(alice, 1),
        outline.row(alice, 2),
        outline.row(alice, 3),
        outline.row(bob, 1),
    )
    child = outline.row(alice, 1, parent_id=parent.pk)
    as_alice.delete(f"/api/me/{outline.plural}/{trashed.pk}")
    places: dict[str, Any] = {"root": {}, "within": {"parent_id": parent.pk}}
    unknown = [
        ("root", row.pk), ("root", child.pk), ("root", trashed.pk), ("root", foreign.pk), ("root", MAX_BIGINT),
        ("within", parent.pk), ("within", row.pk), ("within", foreign.pk),
    ]  # fmt: skip
    before = stored()
    for place, pk in unknown:
        for member in ("after_id", "before_id"):
            answer = outline.move(as_alice, row, {**places[place], member: pk})
            assert refused(answer) == ("unknown_sibling", f"/{member}")
    assert stored() == before


def test_only_own_rows_that_are_not_in_the_trash_are_parents(
    outline: Outline, as_alice: Api, alice: User, bob: User
) -> None:
    row, trashed, foreign = outline.row(alice, 1), outline.row(alice, 2), outline.row(bob, 1)
    as_alice.delete(f"/api/me/{outline.plural}/{trashed.pk}")
    before = stored()
    for parent in (trashed, foreign):
        for member, key in (("parent_id", parent.pk), ("parent_uid", parent.uid)):
            assert refused(outline.move(as_alice, row, {member: key})) == ("unknown_parent", f"/{member}")
    assert refused(outline.move(as_alice, row, {"parent_id": MAX_BIGINT})) == ("unknown_parent", "/parent_id")
    assert stored() == before


MALFORMED: list[tuple[Any, list[str]]] = [
    ({"after_id": 1, "before_id": 1}, ["/before_id"]),
    ({"after_id": 0}, ["/after_id"]),
    ({"before_id": -1}, ["/before_id"]),
    ({"before_id": "1"}, ["/before_id"]),
    ({"after_id": True}, ["/after_id"]),
    ({"after_id": 1.5}, ["/after_id"]),
    ({"after_id": [1]}, ["/after_id"]),
    ({"after_id": {"id": 1}}, ["/after_id"]),
    ({"after_id": 2**63, "parent_id": 2**63}, ["/parent_id", "/after_id"]),
    ({"parent_uid": 1}, ["/parent_uid"]),
    ({"parent_uid": ""}, ["/parent_uid"]),
    ({"parent_uid": "a\0"}, ["/parent_uid"]),
    ({"parent_uid": "x" * 256}, ["/parent_uid"]),
    ({"position": "a1"}, ["/position"]),
    ({"after_uid": "x", "title": "y"}, ["/after_uid", "/title"]),
    ([], [""]),
    ("1", [""]),
]


@pytest.mark.parametrize(("body", "pointers"), MALFORMED)
def test_a_malformed_place_is_refused_by_name(
    outline: Outline, as_alice: Api, alice: User, body: Any, pointers: list[str]
) -> None:
    row, before = outline.row(alice, 1), stored()
    answer = outline.move(as_alice, row, body)
    assert sorted(places_of(answer, "pointer")) == sorted(pointers)
    assert stored() == before


def test_an_id_and_a_uid_of_two_rows_contradict_each_other(outline: Outline, as_alice: Api, alice: User) -> None:
    row, one, other = (outline.row(alice, number) for number in range(3))
    for uid in (other.uid, None):
        answer = outline.move(as_alice, row, {"parent_id": one.pk, "parent_uid": uid})
        assert refused(answer) == ("conflicting_members", "/parent_uid")
    assert outline.move(as_alice, row, {"parent_id": one.pk, "parent_uid": one.uid}).status_code == 200
    assert outline.order(alice, one) == [row.pk]


def test_nothing_moves_within_itself(outline: Outline, as_alice: Api, alice: User) -> None:
    rows = outline.chain(alice, outline.max_depth)
    before = stored()
    for row in rows:
        assert refused(outline.move(as_alice, rows[0], {"parent_id": row.pk})) == ("cycle", "/parent_id")
        assert refused(outline.move(as_alice, rows[0], {"parent_uid": row.uid})) == ("cycle", "/parent_uid")
        assert refused(outline.patch(as_alice, rows[0], {"parent_id": row.pk})) == ("cycle", "/parent_id")
    assert stored() == before


def test_a_tree_is_no_deeper_than_its_limit_with_all_that_moves(outline: Outline, as_alice: Api, alice: User) -> None:
    rows, moved = outline.chain(alice, outline.max_depth - 1), outline.chain(alice, 2)
    before = stored()
    assert refused(outline.move(as_alice, moved[0], {"parent_id": rows[-1].pk})) == ("too_deep", "/parent_id")
    assert stored() == before
    assert outline.move(as_alice, moved[0], {"parent_id": rows[-2].pk}).status_code == 200
    assert outline.move(as_alice, moved[1], {"parent_id": rows[-1].pk}).status_code == 200
    single = outline.row(alice, 5)
    answer = outline.move(as_alice, single, {"parent_uid": moved[1].uid})
    assert refused(answer) == ("too_deep", "/parent_uid")


def test_a_full_parent_takes_no_more_but_orders_those_that_it_has(outline: Outline, as_alice: Api, alice: User) -> None:
    parent, last, row = outline.row(alice, 1), outline.row(alice, 2), outline.row(alice, 3)
    most = outline.model.tree().max_children
    blank = outline.model.objects.values().get(pk=row.pk)
    children = [
        {**blank, "id": None, "uid": f"child-{each}", "parent_id": parent.pk, "position": f"b{each:03}V"}
        for each in range(most - 1)
    ]
    outline.model.objects.bulk_create(outline.model(**fields) for fields in children)
    assert outline.move(as_alice, last, {"parent_id": parent.pk}).status_code == 200
    answer = outline.move(as_alice, row, {"parent_id": parent.pk})
    problem = problem_of(answer, 409)
    assert (problem["code"], problem["limit"]) == ("limit_reached", most)
    first = outline.order(alice, parent)[0]
    assert outline.move(as_alice, last, {"parent_id": parent.pk, "before_id": first}).status_code == 200
    order = outline.order(alice, parent)
    assert (len(order), order[:2]) == (most, [last.pk, first])


def test_a_stale_move_returns_the_current_row_and_moves_nothing(outline: Outline, as_alice: Api, alice: User) -> None:
    row, other = outline.row(alice, 1), outline.row(alice, 2)
    assert outline.move(as_alice, row, {"after_id": other.pk}, if_match='"1"').status_code == 200
    before = stored()
    answer = outline.move(as_alice, row, {"before_id": other.pk}, if_match='"1"')
    assert problem_of(answer, 412)["current"] == as_alice.get(f"/api/me/{outline.plural}/{row.pk}").json()
    assert stored() == before


def test_a_move_that_is_sent_twice_with_a_key_happens_once(outline: Outline, as_alice: Api, alice: User) -> None:
    row, other = outline.row(alice, 1), outline.row(alice, 2)
    body, key = {"after_id": other.pk}, "0b1f4f0e-7f2b-4a57-9c64-5f8a1c6c5a11"
    answer = outline.move(as_alice, row, body, idempotency_key=key)
    again = outline.move(as_alice, row, body, idempotency_key=key)
    assert (answer.status_code, again.content, again["ETag"]) == (200, answer.content, answer["ETag"])
    assert head_of(alice) == 3


def test_who_has_no_such_row_moves_nothing(outline: Outline, as_alice: Api, alice: User, bob: User) -> None:
    trashed, foreign = outline.row(alice, 1), outline.row(bob, 1)
    as_alice.delete(f"/api/me/{outline.plural}/{trashed.pk}")
    before = stored()
    for row in (trashed, foreign):
        code = problem_of(outline.move(as_alice, row), 404)["code"]
        assert code == f"{outline.model.type_name()}_not_found"
    answer = as_alice.post(f"/api/{bob.pk}/{outline.plural}/{foreign.pk}/move", {})
    assert answer.status_code == 403
    assert stored() == before
