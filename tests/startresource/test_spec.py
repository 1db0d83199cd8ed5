"""Specs: what is read of them, and what is refused, with its line and one sentence."""

import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from django.core.management import CommandError, call_command
from django.db import connection

from tests.problems import cases
from tests.startresource.specs import HABIT, REFUSED, SAMPLES, WHOLE, parsed, with_fields
from users.management.startresource import documents, names, shorthand
from users.management.startresource.documents import SpecError


@pytest.mark.parametrize("case", cases(REFUSED))
def test_what_is_refused_is_said_in_one_sentence_with_its_line(case: tuple[str | bytes, int, str]) -> None:
    spec, line, reason = case
    with pytest.raises(SpecError) as refusal:
        parsed(spec)
    assert (refusal.value.line, reason in refusal.value.sentence) == (line, True), str(refusal.value)
    assert re.fullmatch(r"[^\n]+\.", refusal.value.sentence)
    assert len(refusal.value.sentence) < 300


def test_there_are_many() -> None:
    assert len(REFUSED) >= 60


def test_a_refusal_names_file_line_and_key_and_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "habit.yaml"
    path.write_text(with_fields("goal: {type: int, min: 9, max: 3, null: true}"))
    with pytest.raises(CommandError) as refusal:
        call_command("startresource", str(path))
    assert str(refusal.value) == (f"{path}: line 4, fields.goal.max: min is 9 and max is 3: nothing is between them.")
    assert [each.name for each in tmp_path.iterdir()] == ["habit.yaml"]


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        call_command("startresource", "nowhere.yaml")


def test_the_whole_of_a_spec_is_read() -> None:
    spec = parsed(WHOLE)
    assert (spec.name, spec.plural, spec.table) == ("reading_list", "reading_lists", "reading_lists_readinglist")
    assert [each.type for each in spec.columns][-3:] == ["uuid", "json", "text[]"]
    price = spec.column("price")
    assert price is not None and (price.min, price.max, price.default) == (0, Decimal("999999.99"), Decimal("1.50"))
    assert [(each.name, each.null, each.on_delete, each.is_tree) for each in spec.relations] == [
        ("parent", True, "trash", True), ("task", False, "refuse", False), ("project", True, "null", False),
        ("second_home", True, "trash", False),
    ]  # fmt: skip
    assert [each.kind for each in spec.filters][:5] == ["exact", "min", "max", "exact", "exact"]
    assert (spec.sorts, spec.limit) == (("name", "pages", "price", "bought", "due", "at"), 50)


@pytest.mark.parametrize("text", SAMPLES.values(), ids=SAMPLES)
def test_json_is_read_as_yaml_is(text: str) -> None:
    assert parsed(json.dumps(yaml.safe_load(text), indent="\t"), is_json=True) == parsed(text)


def test_a_refusal_of_json_names_its_line() -> None:
    with pytest.raises(SpecError, match="line 2: This is no JSON"):
        parsed('{\n"resource": }', is_json=True)


def test_the_short_form_is_a_spec() -> None:
    given = shorthand.read("habit", ["name:text!", "goal:int=3", "due:date?", "tags:text[]", "done:bool=true"])
    assert given.plain() == {
        "resource": "habit",
        "fields": {
            "name": {"type": "text", "required": True},
            "goal": {"type": "int", "default": 3},
            "due": {"type": "date", "null": True},
            "tags": {"type": "text[]"},
            "done": {"type": "bool", "default": True},
        },
    }


@pytest.mark.parametrize("fields", [[], ["name"], ["name:"], ["a:text!", "a:int?"], [":text"], ["a:text!?"]])
def test_a_short_form_that_is_none_is_refused(fields: list[str]) -> None:
    with pytest.raises(SpecError):
        shorthand.read("habit", fields)


def test_a_locked_spec_reads_as_the_one_it_was_made_of() -> None:
    spec = parsed(HABIT)
    assert parsed(json.dumps(spec.plain), is_json=True) == spec
    assert documents.of(spec.plain).plain() == spec.plain


@pytest.mark.django_db
def test_the_reserved_words_are_those_of_postgresql() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT word FROM pg_get_keywords() WHERE catcode IN ('R', 'T')")
        assert {word for (word,) in cursor.fetchall()} <= names.SQL


@pytest.mark.parametrize(
    ("name", "plural"),
    [("habit", "habits"), ("entry", "entries"), ("day", "days"), ("box", "boxes"), ("branch", "branches")],
)
def test_a_plural_is_guessed(name: str, plural: str) -> None:
    assert names.plural_of(name) == plural
