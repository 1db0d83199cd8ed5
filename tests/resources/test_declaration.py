"""What follows from a declaration beyond the requests: its table, and its part of the OpenAPI document."""

from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.db.models import UniqueConstraint
from django.db.models.functions import Lower
from django.utils import timezone

from tests.config.test_openapi import bodies, complaints
from tests.factories import make_project, make_task
from tests.notes import services
from tests.notes.models import Note
from tests.notes.resource import NOTES, REMARKS
from tests.resources import tables
from tests.resources.declared import RESOURCES, installed, operations
from tests.resources.document import document_of
from users.models import User
from users.resources import errors, pruning
from users.resources.models import OwnedModel
from users.resources.resource import Resource, register, registered


def test_every_table_of_users_rows_has_a_resource() -> None:
    owned = {model for model in apps.get_models() if issubclass(model, OwnedModel)}
    assert owned == {resource.model for resource in (*RESOURCES, REMARKS)}


@pytest.mark.django_db
def test_every_row_is_isolated(resource: Resource) -> None:
    tables.check_every_row_is_isolated(resource)


@pytest.mark.django_db
def test_what_is_unique_is_so_for_a_user(resource: Resource) -> None:
    tables.check_what_is_unique_is_so_for_a_user(resource)


@pytest.mark.parametrize(
    ("unique", "told"),
    [
        ({"fields": ["user", "title"]}, ("You have a note with this title.", "/title")),
        ({"fields": ["user", "project"]}, ("You have a note with this project.", "/project_id")),
        ({"fields": ["user"]}, ("You have such a note; change that one.", None)),
        ({"expressions": ["user", Lower("title")]}, ("You have such a note; change that one.", None)),
    ],
)
def test_what_is_unique_is_told_wherever_its_constraint_stands(
    unique: dict[str, Any], told: tuple[str, str | None], alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    constraint = UniqueConstraint(*unique.pop("expressions", ()), **unique, name="notes_note_only")
    monkeypatch.setattr(Note._meta, "constraints", [constraint, *Note._meta.constraints])
    with connection.schema_editor() as editor:
        editor.add_constraint(Note, constraint)
    project = make_project(alice)
    with installed(NOTES):
        services.create_note(alice, title="Groceries", project_id=project.pk)
        with pytest.raises(errors.Taken) as caught:
            services.create_note(alice, title="Groceries", project_id=project.pk)
    assert (caught.value.detail, caught.value.pointer) == told


def test_what_is_declared_are_members(resource: Resource) -> None:
    writable = {name for name, field in resource.serializer().fields.items() if not field.read_only}
    assert {*resource.text, *resource.example} <= writable


def test_every_operation_is_documented_with_valid_examples(resource: Resource) -> None:
    document = document_of(resource)
    for name in operations(resource):
        media = list(bodies(document.operations[name], document.schema))
        examples = [
            (example["value"], each["schema"]) for each in media for example in each.get("examples", {}).values()
        ]
        assert [found for value, schema in examples for found in complaints(value, schema, document.schema)] == []
        assert document.operations[name]["tags"] == [resource.plural]
        assert len(examples) > 0 or name.startswith(("delete", "erase"))


def test_a_second_model_that_the_feed_counts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The change counter has one count of rows."""
    monkeypatch.setattr(Note, "is_counted", True)
    with pytest.raises(ImproperlyConfigured, match="note and task are both counted"):
        register(NOTES)
    assert NOTES not in registered()


def test_pruning_rows_without_a_limit_leaves_the_count_of_those_with_one(alice: User) -> None:
    make_task(alice)
    note = services.create_note(alice, title="Groceries")
    services.delete_note(alice, note.pk)
    assert sum(pruning.empty_trash(Note, timezone.now())) == 1
    assert sum(pruning.cut_log(timezone.now())) == 4
    assert sum(pruning.prune_tombstones(Note)) == 1
    assert (alice.feed.live, alice.feed.stored) == (1, 1)


def test_an_instance_made_of_columns_has_the_defaults_of_the_model(resource: Resource) -> None:
    made, ordinary = (make() for make in (resource.model.made_of, resource.model))
    differing = {"uid", "_state"}
    assert {name: value for name, value in vars(made).items() if name not in differing} == {
        name: value for name, value in vars(ordinary).items() if name not in differing
    }
    assert made._state.adding and made.uid != resource.model.made_of().uid
