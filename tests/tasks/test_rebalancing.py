"""Where there is no room between two siblings, all get new positions, as one operation that can be undone."""

from typing import Any

import pytest

from tasks import positions
from tests.changes import changed_since
from tests.client import Api
from tests.factories import head_of
from tests.problems import problem_of
from tests.tasks.outlines import Outline, entries
from users.models import User

# Two keys of the most characters, between which only longer ones are.
LOW = "a1" + "V" * (positions.MAX_LENGTH - 2)
HIGH = LOW[:-1] + "W"

# Positions of siblings, between the second and the third of which there is no room.
CROWDED = {
    "too long": ["a0", LOW, HIGH, "a2"],
    "too long beside new ones": ["A" * 28, LOW, HIGH, "h0VcDmUToFX"],
    "a tie": ["a0", "a1", "a1", "a2"],
    "all the same": ["a0", "a0", "a0", "a0"],
    "the tie of the defaults": ["h0VcDmUToFX", "h0VcDmUToFX", "h0VcDmUToFX", "h0VcDmUToFX"],
}


def crowd(outline: Outline, user: User, places: list[str], **fields: Any) -> list[Any]:
    return [outline.make(user, position=position, **fields) for position in places]


@pytest.mark.parametrize("beside", ["after_id", "before_id"])
@pytest.mark.parametrize("places", CROWDED.values(), ids=CROWDED)
def test_siblings_without_room_get_new_positions_as_one_operation(
    outline: Outline, as_alice: Api, alice: User, places: list[str], beside: str
) -> None:
    rows, moved = crowd(outline, alice, places), outline.make(alice)
    near = rows[1] if beside == "after_id" else rows[2]
    answer = outline.move(as_alice, moved, {beside: near.pk})
    expected = [rows[0], rows[1], moved, rows[2], rows[3]]
    assert outline.order(alice) == [row.pk for row in expected]
    changed = changed_since(alice, outline.model, 5)
    assert {row.pk: row.position for row in changed if row.pk in {each.pk for each in expected}} == {
        row.pk: position
        for row, position in zip(expected, positions.spread(None, None, 5), strict=True)
        if row.position != position
    }
    number = int(answer["Tickbase-Operation"])
    assert (answer.status_code, number) == (200, head_of(alice))
    assert answer.json()["position"] == "a2"
    told = entries(alice, number)
    assert [entry.version for entry in told] == [row.version for row in changed]
    assert all((entry.kind, entry.diff.keys()) == ("moved", {"position"}) for entry in told)


def test_only_siblings_get_new_positions(outline: Outline, as_alice: Api, alice: User, bob: User) -> None:
    parent, other, moved = (outline.row(alice, number) for number in range(3))
    rows = crowd(outline, alice, CROWDED["too long"], parent_id=parent.pk)
    crowd(outline, alice, CROWDED["too long"], parent_id=other.pk)
    crowd(outline, alice, CROWDED["too long"])
    crowd(outline, bob, CROWDED["too long"])
    trashed = outline.make(alice, position="a1", parent_id=parent.pk)
    as_alice.delete(f"/api/me/{outline.plural}/{trashed.pk}")
    before = head_of(alice)
    outline.move(as_alice, moved, {"parent_id": parent.pk, "after_id": rows[1].pk})
    assert outline.order(alice, parent) == [rows[0].pk, rows[1].pk, moved.pk, rows[2].pk, rows[3].pk]
    changed = {row.pk for row in changed_since(alice, outline.model, before)}
    assert changed == {moved.pk, *(row.pk for row in rows[1:])}
    assert head_of(bob) == 4


def test_the_first_and_the_last_place_need_no_room(outline: Outline, as_alice: Api, alice: User) -> None:
    rows, moved = crowd(outline, alice, ["a0", "a0", "zz" + "z" * 96, "zz" + "z" * 96]), outline.row(alice, 5)
    assert outline.move(as_alice, moved, {"before_id": rows[0].pk}).status_code == 200
    assert outline.order(alice)[0] == moved.pk
    assert outline.move(as_alice, moved, {"after_id": rows[3].pk}).status_code == 200
    assert outline.order(alice)[-1] == moved.pk
    assert head_of(alice) == 7


@pytest.mark.parametrize("end", [{}, {"after": 1}])
def test_without_room_after_the_last_all_get_new_positions(
    outline: Outline, as_alice: Api, alice: User, end: dict[str, int]
) -> None:
    rows, moved = crowd(outline, alice, ["a0", "z" * 100]), outline.row(alice, 5)
    assert (
        outline.move(as_alice, moved, {f"{name}_id": rows[place].pk for name, place in end.items()}).status_code == 200
    )
    assert outline.order(alice) == [*(row.pk for row in rows), moved.pk]
    new = outline.make(alice)
    assert outline.order(alice)[-1] == new.pk


@pytest.mark.thorough
def test_a_gap_that_is_full_takes_many_more_moves_afterwards(outline: Outline, as_alice: Api, alice: User) -> None:
    first, near = outline.make(alice, position="a0"), outline.make(alice, position="a0" + "0" * 80 + "1")
    moved, sizes = [near, outline.row(alice, 2), outline.row(alice, 3)], []
    for number in range(200):
        row, before = moved[number % 3 - 1], head_of(alice)
        outline.move(as_alice, row, {"after_id": first.pk})
        assert outline.order(alice)[:2] == [first.pk, row.pk]
        sizes.append(head_of(alice) - before)
    assert sorted(sizes) == [1] * 199 + [3]


def undo(api: Api, operation: int) -> Any:
    return api.post("/api/me/undo", {"operation": operation})


def test_new_positions_are_undone_and_redone_together(outline: Outline, as_alice: Api, alice: User) -> None:
    rows, moved = crowd(outline, alice, CROWDED["too long"]), outline.make(alice)
    before = {row.pk: row.position for row in outline.model.objects.all()}
    outline.move(as_alice, moved, {"after_id": rows[1].pk})
    after = {row.pk: row.position for row in outline.model.objects.all()}
    for expected in (before, after):
        assert undo(as_alice, head_of(alice)).status_code == 200
        assert {row.pk: row.position for row in outline.model.objects.all()} == expected


def test_new_positions_are_not_undone_once_a_sibling_has_moved(outline: Outline, as_alice: Api, alice: User) -> None:
    rows, moved = crowd(outline, alice, CROWDED["too long"]), outline.make(alice)
    operation = int(outline.move(as_alice, moved, {"after_id": rows[1].pk})["Tickbase-Operation"])
    outline.patch(as_alice, rows[3], {"position": "a7"})
    order = outline.order(alice)
    (conflict,) = problem_of(undo(as_alice, operation), 409)["changes"]
    assert (conflict["id"], conflict["members"]) == (rows[3].pk, ["position"])
    assert outline.order(alice) == order


def test_a_move_within_another_is_undone_and_redone(outline: Outline, as_alice: Api, alice: User) -> None:
    parent, row, child = outline.row(alice, 1), *outline.chain(alice, 2)
    outline.move(as_alice, row, {"parent_id": parent.pk})
    for is_within in (False, True):
        assert undo(as_alice, head_of(alice)).status_code == 200
        assert (row.pk in outline.order(alice, parent), outline.order(alice, row)) == (is_within, [child.pk])


def test_a_move_is_not_undone_into_what_is_in_the_trash_or_would_be_a_cycle(
    outline: Outline, as_alice: Api, alice: User
) -> None:
    parent, row = outline.chain(alice, 2)
    operation = int(outline.move(as_alice, row, {"parent_id": None})["Tickbase-Operation"])
    outline.move(as_alice, parent, {"parent_id": row.pk})
    assert problem_of(undo(as_alice, operation), 409)["code"] == "changed_since"
    as_alice.delete(f"/api/me/{outline.plural}/{parent.pk}")
    assert problem_of(undo(as_alice, operation), 409)["code"] == "changed_since"
    assert outline.order(alice) == [row.pk]
