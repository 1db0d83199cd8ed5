"""Length comes first: what is far too long is refused by name, before anything looks at it."""

import json
import unicodedata
from collections.abc import Iterator
from itertools import product
from typing import Any
from unittest.mock import Mock
from urllib.parse import quote

import jwt
import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.urls import get_resolver
from pytest_django import Settings
from rest_framework import serializers

from config import wsgi
from config.http import fields, request
from config.http.serializers import QuerySerializer, StrictSerializer
from tasks.projects.services import create_project
from tests.client import Answer, Api
from tests.config.test_openapi import operations, resolved
from tests.factories import make_task
from tests.problems import places_of, problem_of, send, stored
from users.models import User
from users.resources.resource import registered

LIGATURE = "\ufdfa"  # which NFKC makes eighteen characters of
MANY = 2**20 // 6 - 200  # of them are nearly as much as a body may have, where bytes beyond ASCII count twice
LONGEST = 30_000  # of the texts that are taken


# --- Fields -----------------------------------------------------------------------------------------


class Untouched(str):
    """A text that must not be looked at, but for its length; `==` sees to that by itself."""


def _look(*arguments: Any, **options: Any) -> Any:
    raise AssertionError("the text was looked at before its length")


for _name in set(dir(str)) - set(dir(object)) - {"__len__", "__getnewargs__"} | {"__hash__", "__format__"}:
    setattr(Untouched, _name, _look)


def of_family(base: Any) -> Iterator[Any]:
    for kind in base.__subclasses__():
        yield kind
        yield from of_family(kind)


def sent_fields() -> Iterator[Any]:
    """Every field that a client fills, by the name of its serializer, and whether it takes a list."""
    assert get_resolver().url_patterns  # loads every serializer
    for kind in sorted({*of_family(StrictSerializer), *of_family(QuerySerializer)}, key=lambda each: each.__name__):
        for name, field in kind().fields.items():
            if not field.read_only and not isinstance(field, serializers.BooleanField):
                is_list = name in getattr(kind, "repeatable", ()) or hasattr(field, "child")
                yield pytest.param(field, is_list, id=f"{kind.__name__}.{name}")


@pytest.mark.parametrize(("field", "is_list"), list(sent_fields()))
def test_a_field_looks_at_no_text_that_is_far_too_long(
    monkeypatch: pytest.MonkeyPatch, field: Any, is_list: bool
) -> None:
    """A million characters; the patterns are taken away, since they read a text without its methods."""
    monkeypatch.setattr(fields, "_DATE", None)
    monkeypatch.setattr(fields, "_INSTANT", None)
    text = Untouched("a" * 2**20)
    with pytest.raises(serializers.ValidationError) as refusal:
        field.run_validation([text] if is_list else text)
    codes: Any = refusal.value.get_codes()
    named = next(iter(codes.values())) if isinstance(codes, dict) else codes  # of the first element or of the object
    allowed = {"max_length", "invalid", "invalid_choice", "invalid_project", "not_a_dict", "not_an_object"}
    assert {*named} <= allowed | {"non_field_errors"}


def test_spaces_around_a_text_do_not_count_as_far_as_there_is_room_for_them() -> None:
    field = fields.TextField(max_length=5)
    assert field.run_validation(" " * 500 + "abcde" + " " * 500) == "abcde"
    for text in ("abcdef", " abcdef ", "a" + " " * 1005, " " * 1006):
        with pytest.raises(serializers.ValidationError, match="no more than 5 characters"):
            field.run_validation(text)


# --- Requests ---------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def normalises_only_what_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever normalises more than LONGEST characters, or looks at so many one by one, fails."""
    normalize, category, seen = unicodedata.normalize, unicodedata.category, 0

    def bounded_normalize(form: Any, text: str) -> str:
        assert len(text) <= LONGEST
        return normalize(form, text)

    def bounded_category(character: str) -> str:
        nonlocal seen
        seen += 1
        assert seen <= LONGEST
        return category(character)

    monkeypatch.setattr(unicodedata, "normalize", bounded_normalize)
    monkeypatch.setattr(unicodedata, "category", bounded_category)


def bodies() -> Iterator[Any]:
    """Each body with the members that take a text, and whether a text gets there in a list."""
    for path, method, operation in operations():
        for number, media in enumerate(operation.get("requestBody", {}).get("content", {}).values()):
            members = {
                name: schema.get("type") == "array" or "items" in schema
                for name, schema in resolved(media["schema"]).get("properties", {}).items()
                if "contentMediaType" not in schema  # a file
            }
            yield pytest.param(method.upper(), path, members, id=f"{operation['operationId']} {number}")


@pytest.mark.thorough
@pytest.mark.parametrize(("method", "path", "members"), list(bodies()))
def test_a_member_of_a_megabyte_is_named(
    as_alice: Api, alice: User, method: str, path: str, members: dict[str, bool]
) -> None:
    task = make_task(alice)
    project = create_project(alice, name="Home", uid=task.uid)
    ids = {f"{each.name}_id": 1 for each in registered()} | {
        "task_id": task.pk,
        "project_id": project.pk,
        "webhook_id": 1,
    }
    target = path.format(user_id="me", uid=task.uid, token_id="none", **ids)
    before = stored()
    for (member, is_list), text in product(members.items(), (LIGATURE * MANY, " " * (3 * MANY), "\u0301" * MANY)):
        body = json.dumps({member: [text] if is_list else text}, ensure_ascii=False).encode()
        answer = send(as_alice, method, target, body)
        assert f"/{member}" in {place.removesuffix("/0") for place in places_of(answer, "pointer")}, text[0]
    assert stored() == before


def test_a_name_of_a_megabyte_is_named_in_part(as_alice: Api) -> None:
    (error,) = problem_of(as_alice.post("/api/me/tasks", {"title": "A", "~" * 500_000: 1}), 400)["errors"]
    assert error["pointer"].startswith("/~0~0") and len(error["pointer"]) <= 501


def parameters(place: str) -> set[str]:
    return {
        parameter["name"]
        for _, _, operation in operations()
        for parameter in operation.get("parameters", [])
        if parameter["in"] == place
    }


@pytest.mark.parametrize("text", [quote(LIGATURE) * 20_000, "%20" * 20_000, ",".join("a" * 20_000)], ids=len)
def test_a_long_parameter_is_named(as_alice: Api, text: str) -> None:
    for name in sorted(parameters("query")):
        path = "/api/me/trash" if name == "type" else "/api/me/tasks"
        assert set(places_of(as_alice.get(f"{path}?{name}={text}"), "parameter")) == {name}


@pytest.mark.parametrize(
    "value", ['"' + "5" * 100_000 + '"', " " * 100_000, '"1",' * 30_000], ids=["one", "spaces", "many"]
)
@pytest.mark.parametrize("name", sorted(parameters("header")))
def test_a_long_header_is_named(as_alice: Api, alice: User, name: str, value: str) -> None:
    method = "get" if name in ("If-None-Match", "Last-Event-ID") else "patch"
    path = "/api/me/stream" if name == "Last-Event-ID" else f"/api/me/tasks/{make_task(alice).pk}"
    answer: Answer = getattr(as_alice, method)(path, **{name: value})
    assert places_of(answer, "header") == [name]


@pytest.mark.thorough
@pytest.mark.parametrize(
    "segment", ["a" * 2**20, "1" * 2**20, "-" * 2**20, quote(LIGATURE) * 100_000], ids=lambda text: text[:3]
)
def test_a_long_segment_of_a_path_is_nobodys(as_alice: Api, segment: str) -> None:
    assert problem_of(as_alice.get(f"/api/{segment}/tasks"), 403)["code"] == "permission_denied"
    for path in (f"/api/me/tasks/{segment}", f"/api/me/tasks/by-uid/{segment}"):
        assert problem_of(as_alice.get(path), 404)["code"] == "task_not_found"
    assert problem_of(as_alice.delete(f"/api/users/me/sessions/{segment}"), 404)["code"] == "session_not_found"
    assert problem_of(as_alice.get(f"/api/{segment}/"), 404)["code"] == "not_found"


# --- Headers that the contract does not name ----------------------------------------------------------


@pytest.mark.parametrize(
    "token", ["a" * 100_000, "." * 100_000, "W1tb" * 25_000 + ".e30.AA"], ids=["word", "dots", "header"]
)
def test_a_long_token_is_not_decoded(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setattr(jwt, "get_unverified_header", _look)
    assert problem_of(Api().get("/api/me/tasks", authorization=f"Bearer {token}"), 401)["code"] == "invalid_token"


def test_a_long_address_in_x_forwarded_for_is_not_parsed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.TRUSTED_PROXIES = 1
    monkeypatch.setattr(request, "_normalised", _look)  # which also remembers what it saw
    for forwarded in (":" * 100_000, "192.0.2.7," + " " * 1000 + "192.0.2.7"):
        assert request._forwarded_address({"HTTP_X_FORWARDED_FOR": forwarded}) == ""


def test_a_long_content_type_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    environ: dict[str, Any] = {"REQUEST_METHOD": "GET", "CONTENT_TYPE": 'a;b="' + ";" * 60_000}
    parsed: list[str] = []
    monkeypatch.setattr(wsgi, "parse_header_parameters", parsed.append)
    monkeypatch.setattr(WSGIHandler, "__call__", lambda *arguments: HttpResponse())
    wsgi.application(environ, Mock())
    assert (environ["CONTENT_TYPE"], parsed) == ("", [""])


def test_staff_who_sign_in_with_a_long_address_are_refused_before_it_is_normalised(db: None) -> None:
    answer: Any = Api().client.post("/admin/login/", {"username": LIGATURE * 100_000, "password": "x"})
    assert (answer.status_code, "at most 254 characters" in answer.content.decode()) == (200, True)
