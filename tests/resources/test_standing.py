"""Every statement for a caller contains their standing: whoever may not act any more reads and changes nothing."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from config.errors import InvalidToken
from tests.callers import with_token
from tests.client import Api
from tests.factories import caller_of, head_of, make_token
from tests.problems import problem_of, stored
from tests.resources.declared import address, label, operations, rename, text_of
from users.models import PersonalToken, Session, User
from users.resources import writes
from users.resources.models import OwnedModel
from users.resources.resource import Resource, registered
from users.tokens import personal
from users.tokens.callers import TokenCaller

LOST: dict[str, Callable[[User], Any]] = {
    "session ended": lambda user: Session.objects.filter(user=user).delete(),
    "account deactivated": lambda user: User.objects.filter(pk=user.pk).update(is_active=False),
    "password changed": lambda user: User.objects.filter(pk=user.pk).update(token_version=user.token_version + 1),
}


TOKEN_LOST: dict[str, Callable[[User], Any]] = {
    "revoked": lambda user: PersonalToken.objects.filter(user=user).delete(),
    "expired": lambda user: PersonalToken.objects.filter(user=user).update(expires_at=timezone.now()),
    "account deactivated": LOST["account deactivated"],
}


def token_of(user: User) -> str:
    """With every scope."""
    return make_token(user, *(scope for each in registered() for scope in (each.read_scope, each.write_scope)))


@pytest.mark.parametrize("lose", TOKEN_LOST.values(), ids=TOKEN_LOST)
def test_without_its_token_nothing_is_read_or_changed(
    resource: Resource, alice: User, row: OwnedModel, lose: Callable[[User], Any]
) -> None:
    api = with_token(token_of(alice))
    assert api.get(address(resource)).status_code == 200
    known = {**personal._known}
    lose(alice)
    before = stored()
    for operation in operations(resource).values():
        personal._known |= known  # as a process that has not noticed
        answer = operation.call(api, resource, row.pk, "me")
        assert problem_of(answer, 401)["code"] == "invalid_token"
        assert text_of(resource, row).encode() not in answer.content
    assert stored() == before


def test_a_token_that_is_revoked_between_reading_and_writing_changes_nothing(
    resource: Resource, alice: User, row: OwnedModel
) -> None:
    caller = TokenCaller(personal.look_up(token_of(alice)))

    def changes(found: OwnedModel) -> dict[str, Any]:
        PersonalToken.objects.all().delete()
        return {label(resource): "too late"}

    before = text_of(resource, row), row.version, head_of(alice)
    with pytest.raises(InvalidToken):
        writes.change(caller, resource.model, row.pk, changes)
    assert (text_of(resource, row), row.version, head_of(alice)) == before


@pytest.mark.parametrize("lose", LOST.values(), ids=LOST)
def test_without_a_standing_nothing_is_read_or_changed(
    resource: Resource, alice: User, row: OwnedModel, lose: Callable[[User], Any]
) -> None:
    api = Api(alice)
    lose(alice)
    before = stored()
    for operation in operations(resource).values():
        answer = operation.call(api, resource, row.pk, "me")
        assert problem_of(answer, 401)["code"] == "invalid_token"
        assert text_of(resource, row).encode() not in answer.content
    assert problem_of(api.get(address(resource), if_none_match='"1"'), 401)
    assert stored() == before


def test_an_unverified_address_reads_and_changes_nothing_where_it_must_be_verified(
    resource: Resource, alice: User, row: OwnedModel, settings: Settings
) -> None:
    settings.EMAIL_VERIFICATION = "required"
    api, before = Api(alice), stored()
    for operation in operations(resource).values():
        assert problem_of(operation.call(api, resource, row.pk, "me"), 403)["code"] == "email_unverified"
    assert stored() == before


def test_a_session_that_ends_between_reading_and_writing_changes_nothing(
    resource: Resource, alice: User, row: OwnedModel
) -> None:
    caller = caller_of(alice)

    def changes(found: OwnedModel) -> dict[str, Any]:
        Session.objects.all().delete()
        return {label(resource): "too late"}

    before = text_of(resource, row), row.version, head_of(alice)
    with pytest.raises(InvalidToken):
        writes.change(caller, resource.model, row.pk, changes)
    assert (text_of(resource, row), row.version, head_of(alice)) == before


def test_a_race_that_is_lost_twice_is_decided_by_the_lock(resource: Resource, alice: User, row: OwnedModel) -> None:
    attempts: list[int] = []

    def changes(found: OwnedModel) -> dict[str, Any]:
        attempts.append(found.version)
        if len(attempts) <= writes.OPTIMISTIC_ATTEMPTS:
            rename(resource, row, f"theirs {len(attempts)}")
        return {label(resource): "mine"}

    changed = writes.change(alice, resource.model, row.pk, changes)
    assert (text_of(resource, row), row.version) == ("mine", changed.version)
    # Two changes of theirs, two lost attempts, and ours.
    assert attempts == [1, 2, 4] and changed.version == head_of(alice) == 6
