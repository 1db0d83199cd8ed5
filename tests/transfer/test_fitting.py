"""Drafts are made to fit the model, and what does not fit is told."""

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tasks.formats.drafts import Completed, Degraded, Document, Draft, ProjectDraft, TaskDraft
from tasks.transfer import fitting
from tasks.transfer.fitting import Outside, Planted
from tasks.transfer.report import MAX_LISTED, Report

NOW = dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def fitted(source: str = "csv", **members: Any) -> tuple[TaskDraft, list[Degraded]]:
    document = Document(tasks=[TaskDraft(3, members.pop("uid", "a"), **{"title": "x", **members})])
    fitting.fit(document, source, BERLIN, NOW)
    assert all(each.row == 3 for each in document.degraded)
    return document.tasks[0], document.degraded


def test_what_fits_is_left_and_not_told() -> None:
    members: dict[str, Any] = {
        "title": "x" * 200, "description": "y" * 20_000, "tags": ["z" * 50, "a"], "status": "in_progress",
        "due_date": dt.date(2026, 1, 1), "position": "a1", "created_at": NOW,
    }  # fmt: skip
    draft, told = fitted(**members)
    assert told == []
    assert {name: getattr(draft, name) for name in members} == members


def test_the_rest_of_a_long_title_goes_in_front_of_the_description() -> None:
    draft, told = fitted(title=f"{'a' * 199} {'b' * 50}", description="Words")
    assert (draft.title, draft.description) == ("a" * 199, f"{'b' * 50}\n\nWords")
    assert [(each.field, each.to) for each in told] == [("title", "a" * 199)]


@pytest.mark.parametrize(
    ("name", "value", "to"),
    [
        ("title", "", "Untitled"),
        ("title", "a\0b\ud800", "ab"),
        ("description", "d" * 20_001, "d" * 20_000),
        ("description", "a\0b", "ab"),
        ("tags", ["a" * 60, " ", "b"], ["a" * 50, "b"]),
        ("tags", [str(number) for number in range(25)], [str(number) for number in range(20)]),
        ("status", "waiting", "pending"),
        ("priority", "urgent", "medium"),
        ("position", "not a key", None),
        ("due_date", dt.date(1, 1, 1), None),
        ("due_at", dt.datetime(9999, 12, 31, tzinfo=dt.UTC), None),
        ("created_at", dt.datetime(1, 1, 1, tzinfo=dt.UTC), None),
        ("completed_at", dt.datetime(2026, 1, 1), None),  # noqa: DTZ001 (it has no zone)
    ],
)
def test_what_is_beyond_a_limit_is_made_to_fit_and_told(name: str, value: Any, to: Any) -> None:
    draft, told = fitted(**{name: value})
    assert getattr(draft, name) == to
    assert {each.field for each in told} == {name}


def test_completions_out_of_range_are_left_out_and_told() -> None:
    early = dt.datetime(1, 1, 1, tzinfo=dt.UTC)
    draft, told = fitted(completions=[Completed(early), Completed(NOW, due_date=dt.date(2026, 1, 1))])
    assert ([each.at for each in draft.completions], [each.field for each in told]) == ([NOW], ["completions"])


@pytest.mark.parametrize(
    "recurrence",
    [
        {"rule": "FREQ=SECONDLY"},
        {"rule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"},
        {"rule": "FREQ=DAILY", "zone": "Mars/Olympus"},
        {"rule": "FREQ=DAILY;BYHOUR=9"},
        {"rule": ""},
        {"zone": "Europe/Berlin"},
    ],
)
def test_a_rule_that_is_refused_is_kept_in_extra_and_told(recurrence: dict[str, str]) -> None:
    draft, told = fitted(recurrence=recurrence, due_date=dt.date(2026, 12, 1), extra={"a": 1})
    assert draft.recurrence is None
    assert draft.extra == {"csv": {"a": 1, "recurrence": recurrence}}
    assert [each.field for each in told] == ["recurrence"]


def test_a_rule_without_a_due_begins_with_its_first_occurrence_from_today_on() -> None:
    draft, told = fitted(recurrence={"rule": "FREQ=WEEKLY;BYDAY=MO"})
    assert (draft.due_date, [each.field for each in told]) == (dt.date(2026, 11, 30), ["due_date"])
    draft, _ = fitted(recurrence={"rule": "FREQ=DAILY"})
    assert draft.due_date == dt.date(2026, 11, 28)


@pytest.mark.parametrize(
    ("rule", "due"),
    [
        ("FREQ=WEEKLY;BYDAY=MO;BYHOUR=9;BYMINUTE=0", dt.datetime(2026, 11, 30, 8, tzinfo=dt.UTC)),
        ("FREQ=DAILY;BYHOUR=18;BYMINUTE=30", dt.datetime(2026, 11, 28, 17, 30, tzinfo=dt.UTC)),
        ("FREQ=HOURLY", dt.datetime(2026, 11, 28, 13, tzinfo=dt.UTC)),
    ],
)
def test_a_rule_that_names_times_begins_with_the_next_one(rule: str, due: dt.datetime) -> None:
    draft, told = fitted(recurrence={"rule": rule})
    assert (draft.due_at, draft.due_date, draft.recurrence) == (due, None, {"rule": rule, "zone": "Europe/Berlin"})
    assert [each.field for each in told] == ["due_at"]


def test_extra_stays_within_its_bounds_member_by_member() -> None:
    deep: dict[str, Any] = {"a": {"b": {"c": {"d": 1}}}}
    draft, told = fitted(extra={"small": 1, "deep": deep, "huge": "x" * 9000, "big": 2**60, "nul": "a\0"})
    assert draft.extra == {
        "csv": {"small": 1, "deep": '{"a":{"b":{"c":{"d":1}}}}', "big": str(2**60), "nul": "a"},
    }
    assert [(each.field, each.to is None) for each in told] == [
        ("extra.deep", False), ("extra.huge", True), ("extra.big", False), ("extra.nul", False),
    ]  # fmt: skip


def test_of_thousands_of_members_the_others_are_left_out_in_one_note() -> None:
    """To try each of them beside what is kept already would take hours."""
    draft, told = fitted(extra={str(number): number for number in range(20_000)}, tags=["x"] * 20_000)
    assert len(draft.extra["csv"]) > 500
    assert len(told) <= 2 + 1000
    assert [(each.value, each.to) for each in told if each.field in ("extra", "tags")] == [("19,000 more", None)] * 2


def test_our_own_extra_is_the_rows() -> None:
    assert fitted("tickbase", extra={"a": 1})[0].extra == {"a": 1}
    assert fitted("tickbase")[0].extra == {}


def test_a_uid_that_cannot_be_stored_is_replaced_by_the_same_each_time() -> None:
    first, second = fitted(uid="x" * 300)[0], fitted(uid="x" * 300)[0]
    assert first.uid == second.uid
    assert len(first.uid) == 36


def test_of_two_rows_with_a_uid_the_second_is_skipped() -> None:
    document = Document(tasks=[TaskDraft(1, "é", title="1"), TaskDraft(2, "e\u0301", title="2")])
    fitting.fit(document, "csv", BERLIN, NOW)
    assert ([each.title for each in document.tasks], [each.row for each in document.skipped]) == (["1"], [2])


def test_projects_fit_as_well() -> None:
    document = Document(projects=[ProjectDraft(1, "p", name="n" * 130, description="d" * 10_001, color="#ABCDEF")])
    fitting.fit(document, "csv", BERLIN, NOW)
    (project,) = document.projects
    assert (len(project.name), len(project.description), project.color) == (120, 10_000, "#abcdef")
    assert {each.field for each in document.degraded} == {"name", "description", "color"}


# --- Trees ------------------------------------------------------------------------------------------


def planted(
    parents: dict[str, str | None], outside: Any = (), depth: int = 3, most: int = 2
) -> tuple[Planted, list[str]]:
    told: list[str] = []
    drafts = [Draft(number, uid, parent=parent) for number, (uid, parent) in enumerate(parents.items())]
    found = Planted(drafts, dict(outside), depth, most, lambda draft, *_: told.append(draft.uid))
    return found, told


def levels(found: Planted) -> list[list[str]]:
    return [[each.uid for each in level] for level in found.levels]


def test_parents_come_in_any_order() -> None:
    found, told = planted({"c": "b", "b": "a", "a": None})
    assert (levels(found), told) == ([["a"], ["b"], ["c"]], [])


def test_what_is_too_deep_moves_up_to_the_last_level() -> None:
    found, told = planted({"a": None, "b": "a", "c": "b", "d": "c", "e": "d"}, most=9)
    assert (levels(found), told) == ([["a"], ["b"], ["c", "d", "e"]], ["d", "e"])
    assert (found.parents["d"], found.parents["e"]) == ("b", "b")


@pytest.mark.parametrize("parents", [{"a": "a"}, {"a": "b", "b": "a"}, {"x": "a", "a": "c", "b": "a", "c": "b"}])
def test_a_cycle_is_cut_once(parents: dict[str, str | None]) -> None:
    found, told = planted(parents, depth=5)
    assert sorted(uid for level in levels(found) for uid in level) == sorted(parents)
    assert len(told) == 1
    assert [*found.parents.values()].count(None) == 1


def test_a_parent_that_is_nowhere_is_told() -> None:
    found, told = planted({"a": "nobody"})
    assert (levels(found)[0], told) == (["a"], ["a"])


def test_rows_of_the_account_take_what_they_have_room_for() -> None:
    outside = {"full": Outside(1, 2), "deep": Outside(3, 0), "room": Outside(2, 1)}
    found, told = planted({"a": "full", "b": "deep", "c": "room", "d": "room"}, outside.items())
    assert (levels(found), told) == ([["a", "b", "d"], [], ["c"]], ["a", "b", "d"])


def test_ten_thousand_levels_take_no_recursion() -> None:
    chain = {str(number): str(number + 1) if number < 9_999 else None for number in range(10_000)}
    found, told = planted(chain, depth=5, most=100_000)
    assert (sum(map(len, found.levels)), len(told)) == (10_000, 9_995)


# --- The report -------------------------------------------------------------------------------------


def test_lists_are_bounded_and_the_totals_told() -> None:
    degraded = [Degraded(1000 - row, "title", "x" * 999, None) for row in range(1000)]
    shown = Report.of(Document(degraded=degraded), "csv").as_json()
    assert (shown["counts"]["degraded"], len(shown["degraded"])) == (1000, MAX_LISTED)
    assert shown["degraded"][0] == {"row": 1, "field": "title", "from": f"{'x' * 200}…", "to": None}
