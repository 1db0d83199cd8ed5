"""What the admin writes stands in the log: one operation for each owner, of the member of the staff who did it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin import site
from django.test import Client

from tests.audited import events
from tests.pages import send, submit
from tests.resources.declared import make, typed, words
from users.admin.resources import ResourceAdmin
from users.audit import Action
from users.models import Change, User
from users.resources import undo
from users.resources.models import OwnedModel
from users.resources.resource import Resource

pytestmark = pytest.mark.thorough


def run(staff: Client, rows: str, action: str, *chosen: OwnedModel) -> str:
    """What the page says after an action upon these rows."""
    selected = [str(row.pk) for row in chosen]
    return send(staff, rows, {"action": action, "_selected_action": selected, "index": "0", "post": "yes"}).messages


def operations_of(user: User) -> list[tuple[str, list[int]]]:
    """Those of staff: who, and the rows."""
    found: dict[int, tuple[str, list[int]]] = {}
    for entry in Change.objects.for_user(user).filter(actor__startswith="staff:").order_by("version"):
        found.setdefault(entry.operation, (entry.actor, []))[1].append(entry.object_id)
    return list(found.values())


def test_adding_and_editing_are_operations_of_staff(
    resource: Resource, rows: str, staff: Client, alice: User, carol: User
) -> None:
    submit(staff, f"{rows}add/", user=str(alice.pk), **typed(resource, alice, "New"))
    row = resource.model.objects.get()
    submit(staff, f"{rows}{row.pk}/change/", **typed(resource, alice, "Newer"))
    send(staff, f"{rows}{row.pk}/delete/", {"post": "yes"})
    by = f"staff:{carol.pk}"
    assert operations_of(alice) == [(by, [row.pk])] * 3
    assert operations_of(carol) == []


@pytest.mark.parametrize("action", ["delete_selected", "restore"])
def test_an_action_is_one_operation_for_each_owner(
    resource: Resource, rows: str, staff: Client, alice: User, bob: User, carol: User, action: str
) -> None:
    chosen = [make(resource, owner) for owner in (alice, bob, alice)]
    if action == "restore":
        for owner in (alice, bob):
            resource.delete_many(owner, [row.pk for row in chosen if row.user == owner])
        rows = f"{rows}?deleted=yes"
    before = visible(resource)
    assert f"3 {words(resource, plural=True)}" in run(staff, rows, action, *chosen)
    by = f"staff:{carol.pk}"
    assert operations_of(alice) == [(by, [chosen[0].pk, chosen[2].pk])]
    assert operations_of(bob) == [(by, [chosen[1].pk])]
    for owner in (alice, bob):
        undo.undo(owner, Change.objects.for_user(owner).latest("version").operation)
    assert visible(resource) == before


def visible(resource: Resource) -> list[int]:
    return list(resource.model.objects.visible().order_by("pk").values_list("pk", flat=True))


def test_an_action_passes_over_what_has_changed_meanwhile(
    resource: Resource, rows: str, staff: Client, alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = [make(resource, owner) for owner in (alice, alice, bob)]
    admin = site.get_model_admin(resource.model)
    assert isinstance(admin, ResourceAdmin)
    call_many = admin.call_many

    def late(queryset: Any, service: Callable[..., Any]) -> list[Any]:
        def delete_first(owner: User, pks: Any) -> Any:
            resource.delete_many(owner, [chosen[0].pk, chosen[2].pk])
            return service(owner, pks)

        return call_many(queryset, delete_first)

    monkeypatch.setattr(admin, "call_many", late)
    assert f"Successfully deleted 1 {words(resource)}." in run(staff, rows, "delete_selected", *chosen)
    assert [found for _, found in operations_of(alice)] == [[chosen[0].pk], [chosen[1].pk]]
    assert [found for _, found in operations_of(bob)] == [[chosen[2].pk]]
    assert [event.object_id for event in events(action=Action.STAFF_DELETED)] == [str(chosen[1].pk)]


def test_what_was_changed_since_an_action_is_not_undone(
    resource: Resource, rows: str, staff: Client, alice: User
) -> None:
    chosen = [make(resource, alice), make(resource, alice)]
    run(staff, rows, "delete_selected", *chosen)
    resource.restore(alice, chosen[0].pk)
    with pytest.raises(undo.ChangedSince):
        undo.undo(alice, 4)
    assert visible(resource) == [chosen[0].pk]
