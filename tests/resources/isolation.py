"""Checks that no user gets at another's rows, for the suite and for the resources that fail them."""

import json
from typing import Any, NamedTuple

from django.db import ProgrammingError, connection, transaction

from config.database import isolation
from config.database.isolation import as_user
from tests.callers import Caller
from tests.client import Api
from tests.config.test_openapi import complaints, resolved
from tests.factories import make_session, make_user
from tests.problems import exact, problem_of, rolled_back, stored
from tests.resources.declared import Operation, make, named, of_one, operations
from tests.resources.document import document_of
from users.models import User
from users.resources.models import OwnedModel
from users.resources.resource import Resource

WITHOUT_IDS = ("/occurrences",)  # actions whose answers name no row and no user
CANARY = "canary"  # in all texts that alice has
# Of what alice has: numbers that stand in no answer by chance.
USER_ID, FIRST_ROW_ID = 7_000_000_001, 8_000_000_001

# By kind of caller, the status and the code of every operation: of the owner, of another user in the owner's path, of a
# user of the external issuer who has the owner's id and so the owner's path, of who has no token, or a bad one.
COLUMNS = {
    "owner": "{status}",
    "another": "403 permission_denied",
    "namesake": "{status_of_own}",
    "nobody": "401 not_authenticated",
    "bad token": "401 invalid_token",
}


def expected(resource: Resource, operation: Operation, column: str) -> str:
    of_own = f"404 {resource.name}_not_found" if operation.is_of_one else str(operation.status)
    if operation.makes_rows:
        of_own = "201"
    return COLUMNS[column].format(status=operation.status, status_of_own=of_own)


class World(NamedTuple):
    """What alice has, and nobody else may see or change."""

    alice: User
    row: OwnedModel

    @classmethod
    def of(cls, resource: Resource) -> "World":
        alice = make_user(CANARY, email=f"{CANARY}@example.com", id=USER_ID)
        _count_ids_from(resource, FIRST_ROW_ID)
        row = make(resource, alice, **named(resource, CANARY), uid=f"{CANARY}-uid")
        _count_ids_from(resource, 1)
        make_session(alice, user_agent=CANARY)
        return cls(alice, row)


def _count_ids_from(resource: Resource, number: int) -> None:
    table = resource.model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # a table with checks that are still due cannot be altered
        cursor.execute("SELECT pg_get_serial_sequence(%s, 'id')", [table])
        cursor.execute(f"ALTER SEQUENCE {cursor.fetchone()[0]} RESTART WITH {number}")


def traces(answer: Any) -> list[str]:
    """Data of alice in an answer to another user, its headers included."""
    text = answer.content.decode() + str(dict(answer.items()))
    return [each for each in (CANARY, str(USER_ID), str(FIRST_ROW_ID)) if each in text]


# --- The checks -------------------------------------------------------------------------------------


def check_operations(resource: Resource, column: str, caller: Caller) -> None:
    """The answers to a caller in alice's path, and that they neither tell nor change what is hers."""
    world = World.of(resource)
    for name, operation in operations(resource).items():
        with rolled_back():
            operation.prepare(resource, world.row)
            _check_operation(resource, name, operation, column, caller(world.alice))


def _check_operation(resource: Resource, name: str, operation: Operation, column: str, api: Api) -> None:
    hers, everything = stored(USER_ID), stored()
    answer = operation.call(api, resource, FIRST_ROW_ID, USER_ID)
    status, _, code = expected(resource, operation, column).partition(" ")
    assert answer.status_code == int(status), (name, answer.content)
    if code:
        assert problem_of(answer, int(status))["code"] == code
        assert ("WWW-Authenticate" in answer) == (status == "401")
        assert stored() == everything
    else:
        check_is_as_declared(resource, name, answer)
    if column != "owner":
        # The namesake's public id is the owner's: it stands in the path and in the answer. So does a uid.
        sent = {str(USER_ID), *([CANARY] if operation.makes_rows else [])}
        assert set(traces(answer)) <= (sent if column == "namesake" else set())
        assert stored(USER_ID) == hers


def check_is_as_declared(resource: Resource, name: str, answer: Any) -> None:
    """The shape of an answer is what the OpenAPI document says."""
    document = document_of(resource)
    declared = resolved(document.operations[name]["responses"][str(answer.status_code)], document.schema)
    media = declared.get("content", {}).get("application/json")
    assert bool(answer.content) == (media is not None)
    assert media is None or complaints(json.loads(answer.content), media["schema"], document.schema) == []


def check_rows_of_another_are_as_none(resource: Resource) -> None:
    """In bob's own path, alice's row is answered as one that never existed, byte for byte, and bob's list lacks it."""
    world, bob = World.of(resource), Api(make_user("bob"))
    before = stored()
    for name, operation in of_one(resource).items():
        foreign = operation.call(bob, resource, world.row.pk)
        assert foreign.status_code == 404, name
        assert problem_of(foreign, 404)["code"] == f"{resource.name}_not_found"
        assert exact(operation.call(bob, resource, 2**62)) == exact(foreign), name
    listed = operations(resource)[f"list{resource.titles}"].call(bob, resource, None)
    assert (listed.status_code, listed.json()) == (200, [])
    assert stored() == before


def check_the_filter_alone_isolates(resource: Resource) -> None:
    """The first wall: without the second, row level security, nothing of another's is reached either."""
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {resource.model._meta.db_table} DISABLE ROW LEVEL SECURITY")
    check_rows_of_another_are_as_none(resource)


def check_the_policy_alone_isolates(resource: Resource) -> None:
    """The second wall: PostgreSQL shows and changes own rows only, whatever the code asks for."""
    table = resource.model._meta.db_table
    assert table not in isolation.exposed_tables()
    world, bob = World.of(resource), make_user("bob")
    make(resource, bob)
    with as_user(bob.pk):
        assert {row.user_id for row in resource.model.objects.all()} == {bob.pk}
        for sql in (f"SELECT id FROM {table}", f"UPDATE {table} SET uid = 'mine'", f"DELETE FROM {table}"):
            with connection.cursor() as cursor:
                cursor.execute(f"{sql} WHERE id = %s", [world.row.pk])
                assert cursor.rowcount == 0, sql
        assert not _may_execute(f"UPDATE {table} SET user_id = %s WHERE user_id = %s", USER_ID, bob.pk)
    assert resource.model.objects.filter(pk=world.row.pk, user=USER_ID).exists()


def _may_execute(sql: str, *params: Any) -> bool:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql, params)
    except ProgrammingError as error:
        assert "violates row-level security policy" in str(error)
        return False
    return True


def check_no_answer_tells_of_another(resource: Resource) -> None:
    """Alice is served first; whatever is remembered of her stands in no answer to bob."""
    world, bob = World.of(resource), make_user("bob")
    # What erases comes last.
    for name, operation in sorted(operations(resource).items(), key=lambda item: item[1].is_in_trash):
        operation.prepare(resource, world.row)
        hers = operation.call(Api(world.alice), resource, world.row.pk)
        assert hers.status_code == operation.status
        if operation.method == "GET" and operation.suffix not in WITHOUT_IDS:
            assert str(FIRST_ROW_ID) in traces(hers), "the check would not notice"
        elif operation.method == "DELETE" and not operation.is_in_trash:
            resource.restore(world.alice, world.row.pk)
        row = make(resource, bob)
        operation.prepare(resource, row)
        answer = operation.call(Api(bob), resource, row.pk)
        assert answer.status_code == operation.status
        assert traces(answer) == [], name
        if isinstance(shown := json.loads(answer.content or "[]"), dict):
            assert operation.suffix in WITHOUT_IDS or shown["user_id"] == bob.public_id
