"""The user id in the path: the caller's own, written exactly, or a 403 without a look-up."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.client import Api
from tests.factories import make_user
from tests.problems import exact, problem_of, rolled_back, stored
from tests.resources.declared import Operation, each, make, operations
from users.models import User
from users.resources.resource import Resource

pytestmark = pytest.mark.thorough

Path = Callable[[User], str]
NOBODY = str(2**62)


def encoded(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


def in_digits_from(zero: str) -> Path:
    return lambda user: encoded("".join(chr(ord(zero) + int(digit)) for digit in user.public_id))


OWN: dict[str, Path] = {
    "me": lambda user: "me",
    "own id": lambda user: user.public_id,
    "own id, percent-encoded": lambda user: encoded(user.public_id),
    "me, percent-encoded": lambda user: "%6D%65",
}
REFUSED: dict[str, Path] = {
    "another user": lambda user: make_user("bob").public_id,
    "staff": lambda user: make_user("carol", is_staff=True, is_superuser=True).public_id,
    "an external user": lambda user: User.objects.create(issuer="i", subject="auth0|1").public_id,
    "nobody": lambda user: NOBODY,
    "beyond a bigint": lambda user: "9" * 30,
    "zero": lambda user: "0",
    "negative": lambda user: f"-{user.public_id}",
    "garbage": lambda user: "garbage",
    "long": lambda user: "x" * 2000,
    "leading zeros": lambda user: f"00{user.public_id}",
    "plus": lambda user: f"+{user.public_id}",
    "plus, percent-encoded": lambda user: f"%2B{user.public_id}",
    "space before": lambda user: f"%20{user.public_id}",
    "space after": lambda user: f"{user.public_id}%20",
    "no-break space": lambda user: f"{user.public_id}%C2%A0",
    "zero-width space": lambda user: f"{user.public_id}%E2%80%8B",
    "line break": lambda user: f"{user.public_id}%0A",
    "NUL": lambda user: f"{user.public_id}%00",
    "Arabic digits": in_digits_from("٠"),
    "fullwidth digits": in_digits_from("０"),
    "mathematical digits": in_digits_from("𝟎"),
    "decimal": lambda user: f"{user.public_id}.0",
    "exponent": lambda user: f"{user.public_id}e0",
    "hexadecimal": lambda user: hex(user.pk),
    "underscore": lambda user: f"{user.public_id}_0",
    "list": lambda user: f"{user.public_id},{user.public_id}",
    "quoted": lambda user: f"%22{user.public_id}%22",
    "encoded twice": lambda user: encoded(user.public_id).replace("%", "%25"),
    "no UTF-8": lambda user: f"{user.public_id}%FF",
    "upper case": lambda user: "ME",
    "Me": lambda user: "Me",
    "me and a space": lambda user: "me%20",
    "fullwidth me": lambda user: encoded("ｍｅ"),
    "dots": lambda user: "..",
    "parameter": lambda user: f"{user.public_id};user=1",
    "SQL": lambda user: f"{user.public_id}%27%20OR%20%271%27=%271",
    "null": lambda user: "null",
    "e-mail": lambda user: user.email,
}
# No address of ours.
ELSEWHERE: dict[str, Path] = {
    "empty": lambda user: "",
    "slash after": lambda user: f"{user.public_id}%2F",
    "slash before": lambda user: f"%2F{user.public_id}",
    "path within": lambda user: f"{make_user('bob').public_id}/../{user.public_id}",
}


def without_queries(request: Callable[[], Any]) -> Any:
    """The answer to a request for which nothing was looked up."""
    with CaptureQueriesContext(connection) as queries:
        answer = request()
    assert len(queries) == 0
    return answer


@each(operations)
def test_the_own_path(resource: Resource, alice: User, as_alice: Api, case: Operation) -> None:
    row = make(resource, alice)
    case.prepare(resource, row)
    for spelling, path in OWN.items():
        with rolled_back():
            assert case.call(as_alice, resource, row.pk, path(alice)).status_code == case.status, spelling


@pytest.mark.parametrize("path", REFUSED.values(), ids=REFUSED)
def test_any_other_path_is_refused_before_anything_is_looked_up(
    resource: Resource, alice: User, as_alice: Api, path: Path
) -> None:
    row_id, user_id = make(resource, alice).pk, path(alice)
    before = stored()
    for operation in operations(resource).values():
        places = [operation.place(resource, row_id, name) for name in (user_id, NOBODY)]
        answer, nobodys = (partial(operation.at, place, as_alice, resource) for place in places)
        refused = without_queries(answer)
        assert problem_of(refused, 403)["code"] == "permission_denied"
        assert exact(refused) == exact(nobodys())
    assert stored() == before


@pytest.mark.parametrize("path", [*OWN.values(), *REFUSED.values()], ids=[*OWN, *REFUSED])
def test_who_has_no_token_is_told_the_same_of_every_path(resource: Resource, alice: User, path: Path) -> None:
    row_id, user_id = make(resource, alice).pk, path(alice)
    for operation in operations(resource).values():
        places = [operation.place(resource, row_id, name) for name in (user_id, NOBODY)]
        answer, nobodys = (partial(operation.at, place, Api(), resource) for place in places)
        refused = without_queries(answer)
        assert problem_of(refused, 401)["code"] == "not_authenticated"
        assert exact(refused) == exact(nobodys())


@pytest.mark.parametrize("path", ELSEWHERE.values(), ids=ELSEWHERE)
def test_what_is_no_user_leads_nowhere(resource: Resource, alice: User, as_alice: Api, path: Path) -> None:
    row_id, user_id = make(resource, alice).pk, path(alice)
    before = stored()
    for operation in operations(resource).values():
        problem_of(operation.call(as_alice, resource, row_id, user_id), 404)
    assert stored() == before


def test_what_is_past_a_limit_changes_and_looks_up_nothing(
    resource: Resource, alice: User, as_alice: Api, limit: Callable[..., None]
) -> None:
    row_id = make(resource, alice).pk
    limit(user="1/min")
    as_alice.post("/api/users/me")  # leases the only permit
    before = stored()
    for operation in operations(resource).values():
        for user_id in ("me", NOBODY):
            answer = partial(operation.at, operation.place(resource, row_id, user_id), as_alice, resource)
            assert problem_of(without_queries(answer), 429)["code"] == "throttled"
    assert stored() == before


@pytest.mark.django_db
def test_an_account_past_its_limit_is_not_read(as_alice: Api, limit: Callable[..., None]) -> None:
    limit(user="1/min")
    as_alice.get("/api/users/me")  # leases the only permit
    for path in ("/api/users/me", "/api/users/me/sessions", "/api/users/me/export"):
        assert problem_of(without_queries(partial(as_alice.get, path)), 429)["code"] == "throttled"
