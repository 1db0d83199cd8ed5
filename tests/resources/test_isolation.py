"""Every operation of a resource, for everybody who may call it in the name of a user, or tries to."""

from typing import Any

import pytest
from pytest_django import Settings

from tests.callers import ANOTHER, BAD_TOKEN, COLUMNS, Caller, every_caller
from tests.client import Api
from tests.factories import make_user
from tests.issuer import AUDIENCE, ISSUER, SECRET
from tests.problems import exact, problem_of, stored
from tests.resources import isolation
from tests.resources.declared import Operation, each, make, of_one, operations
from tests.resources.isolation import FIRST_ROW_ID, USER_ID, World
from users.resources.resource import Resource

pytestmark = pytest.mark.django_db

NO_IDS = ["0", "-1", "007", "+7", "7.0", "1e3", "x", "%20", "%00", "٣", str(2**62), str(2**63), str(10**30), "None"]


@pytest.fixture(autouse=True)
def external_issuer(settings: Settings) -> None:
    settings.JWT_EXTERNAL_ISSUER, settings.JWT_EXTERNAL_AUDIENCE = ISSUER, AUDIENCE
    settings.JWT_EXTERNAL_SECRET = SECRET


@pytest.mark.parametrize(("column", "caller"), every_caller())
def test_each_operation_for_each_caller(resource: Resource, column: str, caller: Caller) -> None:
    isolation.check_operations(resource, column, caller)


def test_the_row_of_another_is_as_one_that_never_was(resource: Resource) -> None:
    isolation.check_rows_of_another_are_as_none(resource)


def test_the_filter_isolates_without_the_policy(resource: Resource) -> None:
    isolation.check_the_filter_alone_isolates(resource)


def test_the_policy_isolates_without_the_filter(resource: Resource) -> None:
    isolation.check_the_policy_alone_isolates(resource)


def test_no_answer_tells_of_another(resource: Resource) -> None:
    isolation.check_no_answer_tells_of_another(resource)


def test_the_owner_sees_what_nobody_else_does(resource: Resource) -> None:
    """So that the table would notice it in the answer to another."""
    world = World.of(resource)
    for name in (f"list{resource.titles}", f"get{resource.title}"):
        answer = operations(resource)[name].call(Api(world.alice), resource, FIRST_ROW_ID)
        assert isolation.CANARY in answer.content.decode()


# --- What two answers must not tell apart -----------------------------------------------------------


@pytest.mark.thorough
@each(operations)
def test_every_bad_token_is_refused_alike(resource: Resource, case: Operation) -> None:
    """But for an expired one, which its signature shows to be ours, and which a refresh replaces."""
    alice = World.of(resource).alice
    callers = [caller(alice) for who, caller in BAD_TOKEN.items() if who not in {"deleted", "expired token"}]
    answers = [exact(case.call(api, resource, FIRST_ROW_ID, USER_ID)) for api in callers]
    assert [answer for answer in answers if answer != answers[0]] == []


@each(of_one)
def test_what_is_no_id_and_what_was_deleted_are_as_the_row_of_another(resource: Resource, case: Operation) -> None:
    world, bob = World.of(resource), make_user("bob")
    api, gone = Api(bob), make(resource, bob)
    resource.delete(bob, gone.pk)
    before = stored()
    foreign = case.call(api, resource, world.row.pk)
    assert problem_of(foreign, 404)["code"] == f"{resource.name}_not_found"
    for row_id in [*([] if case.finds_deleted else [gone.pk]), *NO_IDS]:
        assert exact(case.call(api, resource, row_id)) == exact(foreign), row_id
    assert stored() == before


def paths_of_another(resource: Resource) -> dict[str, tuple[Operation, Caller]]:
    return {
        f"{name}-{who}": (operation, caller)
        for name, operation in operations(resource).items()
        for who, caller in ANOTHER.items()
    }


@each(paths_of_another)
def test_the_path_of_another_is_as_that_of_nobody(resource: Resource, case: tuple[Operation, Caller]) -> None:
    operation, caller = case
    api = caller(World.of(resource).alice)
    foreign = exact(operation.call(api, resource, FIRST_ROW_ID, USER_ID))
    assert exact(operation.call(api, resource, FIRST_ROW_ID, 2**62)) == foreign
    assert exact(operation.call(api, resource, 2**62, 2**62)) == foreign
    assert foreign[0] == 403


# --- Two users with one public id -------------------------------------------------------------------


@each(of_one)
def test_a_namesake_has_rows_of_its_own_in_the_same_path(resource: Resource, case: Operation) -> None:
    world = World.of(resource)
    as_alice, api = Api(world.alice), COLUMNS["namesake"]["external namesake"](world.alice)
    assert api.user is not None
    own: Any = make(resource, api.user)
    if not case.is_of_trash:
        case.prepare(resource, own)
    hers = stored(USER_ID)
    refused = problem_of(case.call(as_alice, resource, own.pk, USER_ID), 404)
    assert refused["code"] == f"{resource.name}_not_found"
    assert case.call(api, resource, own.pk, USER_ID).status_code == case.status
    assert stored(USER_ID) == hers


@pytest.mark.usefixtures("unread_cookies")
@each(operations)
def test_no_operation_reads_a_cookie(resource: Resource, case: Operation) -> None:
    """So `credentials: "include"`, which CORS allows, brings nothing along that counts."""
    alice = World.of(resource).alice
    for api in (Api(alice), Api()):
        api.client.cookies["sessionid"] = api.client.cookies["csrftoken"] = "s" * 32
        case.call(api, resource, FIRST_ROW_ID, USER_ID)
