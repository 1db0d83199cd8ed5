"""The OpenAPI document: what it promises is what is answered, and what it needs is served from here."""

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.contrib.staticfiles import finders
from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]

from tasks.choices import Status
from tasks.services import delete_tasks
from tests.client import Answer, Api
from tests.factories import PASSWORD, make_task, make_user
from tests.problems import places_of
from users.models import User

Schema = dict[str, Any]


@cache
def document() -> Schema:
    loaded: Schema = yaml.safe_load((settings.BASE_DIR / "docs" / "openapi.yaml").read_text())
    return loaded


def operations() -> Iterator[tuple[str, str, Schema]]:
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def resolved(part: Schema, whole: Schema | None = None) -> Schema:
    """The part itself, or the component that it refers to, of our document or of another."""
    if "$ref" not in part:
        return part
    _, _, kind, name = part["$ref"].split("/")
    component: Schema = (whole or document())["components"][kind][name]
    return component


def complaints(value: Any, schema: Schema, whole: Schema | None = None) -> list[str]:
    components = (whole or document())["components"]
    validator = Draft202012Validator({**schema, "components": components}, format_checker=FormatChecker())
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def bodies(operation: Schema, whole: Schema | None = None) -> Iterator[Schema]:
    """Every media type object of the request and of the answers."""
    answers = [resolved(answer, whole) for answer in operation["responses"].values()]
    for holder in [operation.get("requestBody", {}), *answers]:
        yield from holder.get("content", {}).values()


JSON, YAML = "application/json", "application/yaml"
OLD_JSON, OLD_YAML = "application/vnd.oai.openapi+json", "application/vnd.oai.openapi"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("query", "accept", "media_type"),
    [
        ("", "*/*", JSON),
        ("", "", JSON),
        ("", JSON, JSON),
        ("", "application/json,*/*", JSON),
        ("", BROWSER, JSON),
        ("", "application/xml", JSON),
        ("", "application/*", JSON),
        ("", "a; b*=''", JSON),
        ("", OLD_JSON, OLD_JSON),
        ("", YAML, YAML),
        ("", "Application/YAML; charset=utf-8", YAML),
        ("", "application/json;q=0.5, text/yaml", "text/yaml"),
        ("", "application/yaml;q=0, */*", JSON),
        ("", "application/x-yaml", "application/x-yaml"),
        ("", f"{OLD_YAML};version=3.1", OLD_YAML),
        ("?format=json", YAML, JSON),
        ("?format=yaml", "*/*", YAML),
        ("?format=yaml", JSON, YAML),
    ],
)
def test_the_document_comes_in_the_format_that_is_asked_for(query: str, accept: str, media_type: str) -> None:
    answer = Api().get(f"/api/schema{query}", accept=accept)
    assert (answer.status_code, answer["Content-Type"]) == (200, media_type)
    is_json = media_type.endswith("json")
    assert (json.loads(answer.content) if is_json else yaml.safe_load(answer.content)) == document()
    assert is_json == answer.content.startswith(b"{")
    assert "accept" in answer["Vary"].lower()


def test_the_document_comes_as_json_to_who_sends_no_accept() -> None:
    answer = Api().get("/api/schema")
    assert (answer["Content-Type"], answer.json()["openapi"]) == (JSON, "3.1.0")


@pytest.mark.parametrize("query", ["format=xml", "format=", "format=" + "y" * 5000, "lang=en"])
def test_another_format_is_refused_by_name(query: str) -> None:
    assert places_of(Api().get(f"/api/schema?{query}"), "parameter") == [query.partition("=")[0]]


def test_an_unbounded_accept_is_refused_by_name() -> None:
    assert places_of(Api().get("/api/schema", accept="a/b," * 300), "header") == ["Accept"]


def test_docs_page_loads_nothing_from_elsewhere() -> None:
    stranger = Api()
    answer = stranger.get("/api/docs")
    page = answer.content.decode()
    assets = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert answer.status_code == 200
    assert assets.pop() == "/api/docs?script="
    assets.remove("/")  # a link
    assert len(assets) == 5
    assert [asset for asset in assets if not asset.startswith("/static/")] == []
    assert [asset for asset in assets if not finders.find(asset.removeprefix("/static/"))] == []
    assert re.findall(r"https?://\S+", page) == []
    assert list(stranger.client.cookies) == []


def test_operation_ids_name_good_client_functions() -> None:
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert {"listTasks", "createTask", "getTask", "updateTask", "deleteTask", "completeTask"} <= set(ids)
    assert [name for name in ids if not re.fullmatch(r"[a-z]+([A-Z][a-z]+)*", name)] == []
    assert len(set(ids)) == len(ids)


def test_every_operation_says_what_it_is_and_what_it_answers() -> None:
    for path, method, operation in operations():
        assert operation["summary"] and operation["tags"], (method, path)
        assert re.fullmatch(r"[A-Z`].{20,}[.]", operation["description"], re.DOTALL), (method, path)
        answers = {status: resolved(answer) for status, answer in operation["responses"].items()}
        assert [status for status, answer in answers.items() if not answer["description"]] == [], (method, path)
        problems = [answer for status, answer in answers.items() if status >= "400"]
        assert {media for answer in problems for media in answer["content"]} <= {"application/problem+json"}


def test_the_document_names_its_server() -> None:
    assert [server["url"] for server in document()["servers"]] == ["/"]


def test_status_is_an_array_of_an_enum_that_stays_one_parameter_on_the_wire(as_alice: Api, alice: User) -> None:
    (declared,) = [each for each in _operation(TASKS, "get")["parameters"] if each["name"] == "status"]
    assert (declared["style"], declared["explode"], declared["schema"]["type"]) == ("form", False, "array")
    values = declared["schema"]["items"]["enum"]
    assert values == [*Status.values, "all"]
    for wire in [*values, ",".join(Status.values)]:
        make_task(alice)
        assert as_alice.get(f"/api/me/tasks?status={wire}").status_code == 200


def test_no_extension_of_the_generator_is_left() -> None:
    assert re.findall(r"^\s*x-.*", (settings.BASE_DIR / "docs" / "openapi.yaml").read_text(), re.MULTILINE) == []


def test_every_example_is_valid() -> None:
    seen = 0
    for path, method, operation in operations():
        for media in bodies(operation):
            examples = [example["value"] for example in media.get("examples", {}).values()]
            examples += [media["example"]] if "example" in media else []
            for example in examples:
                seen += 1
                assert complaints(example, media["schema"]) == [], (method, path)
    assert seen > 30


def test_no_query_has_an_example_that_the_docs_would_send() -> None:
    """Swagger UI fills it in: who tries a list would get none of their rows."""
    for path, method, operation in operations():
        queries = [each for each in operation.get("parameters", ()) if each.get("in") == "query"]
        shown = [each["name"] for each in queries if {"example", "examples"} & {*each, *each["schema"]}]
        assert shown == [], (method, path)


def test_every_request_body_has_an_example() -> None:
    for path, method, operation in operations():
        for media in operation.get("requestBody", {}).get("content", {}).values():
            assert media.get("examples"), (method, path)


def test_every_operation_of_the_api_declares_its_rate_limits() -> None:
    for path, method, operation in operations():
        answers = {status: resolved(answer) for status, answer in operation["responses"].items()}
        told = [status for status, answer in answers.items() if RATE_LIMITS.issubset(answer.get("headers", {}))]
        telling = [status for status in answers if status < "400" or status == "429"]
        is_limited = path.startswith(("/api/", "/feeds/"))
        assert told == (telling if is_limited else []), (method, path)
        assert ("429" in answers) == is_limited


def test_a_refusal_for_its_rate_is_as_declared(limit: Callable[..., None], as_alice: Api) -> None:
    limit(user="1/min")
    answers = [as_alice.get("/api/me/tasks") for _ in range(2)]
    declared = resolved(_operation(TASKS, "get")["responses"]["429"])
    assert answers[1].status_code == 429
    assert [name for name in declared["headers"] if name not in answers[1]] == []
    assert _complaints_about_body(answers[1], declared) == []


def _operation(path: str, method: str) -> Schema:
    template = path.partition("?")[0].replace("nobody", "{user_id}").replace("/0", "/{task_id}").removesuffix("-new")
    operation: Schema = document()["paths"][template][method]
    return operation


def _promised(declared: Schema, path: str) -> set[str]:
    """The headers that this very answer must carry: some of a list depend on its parameters."""
    absent = {"ETag"} if "overdue" in path else set()
    absent |= set() if "limit=1&" in path else {"Link", "X-Total-Count"}
    absent |= {"Tickbase-Operation"} if "unchanged" in path else set()
    return set(declared.get("headers", {})) - absent


def _complaints_about_body(answer: Answer, declared: Schema) -> list[str]:
    if not answer.content or "content" not in declared:
        return [] if bool(answer.content) == ("content" in declared) else ["a body on one side only"]
    return complaints(answer.json(), declared["content"][answer["Content-Type"]]["schema"])


RATE_LIMITS = {"RateLimit", "RateLimit-Policy"}
HEADERS = ["ETag", "Link", "Location", "Retry-After", "Tickbase-Operation", "WWW-Authenticate", "X-Total-Count"]
TASKS, TASK = "/api/{user_id}/tasks", "/api/{user_id}/tasks/{task_id}"
BY_UID, TRASH = "/api/{user_id}/tasks/by-uid/{uid}", "/api/{user_id}/trash"
NEW_ACCOUNT = {"email": "new@example.com", "password": PASSWORD}


@pytest.mark.parametrize(
    ("path", "method", "body", "headers", "status"),
    [
        (TASKS, "get", None, {}, 200),
        (TASKS + "?limit=1&total=true", "get", None, {}, 200),
        (TASKS + "?overdue=true", "get", None, {}, 200),
        (TASKS, "get", None, {"if_none_match": "*"}, 304),
        (TASKS + "?colour=red", "get", None, {}, 400),
        (TASKS, "get", None, {}, 401),
        ("/api/nobody/tasks", "get", None, {}, 403),
        (TASKS, "post", {"title": "A", "priority": None, "due_at": "2026-12-01T09:00:00+05:00"}, {}, 201),
        (TASKS, "post", {"title": ""}, {}, 400),
        (TASKS, "post", {"title": "A", "uid": "taken"}, {}, 409),
        (TASKS, "post", {"title": "x" * 2**20}, {}, 413),
        (TASKS, "post", {"title": "A"}, {"content_type": "text/plain"}, 415),
        (TASK, "get", None, {}, 200),
        (TASK, "get", None, {"if_none_match": "*"}, 304),
        (TASK, "get", None, {"if_none_match": "5"}, 400),
        ("/api/{user_id}/tasks/0", "get", None, {}, 404),
        (TASK, "put", {"title": "B"}, {}, 200),
        (TASK, "patch", {"tags": ["new"]}, {}, 200),
        (TASK + "?unchanged", "patch", {"tags": None}, {}, 200),
        (TASK, "patch", {"tags": None}, {"if_match": '"99"'}, 412),
        (TASK, "delete", None, {}, 204),
        (TASK, "delete", None, {"if_match": '"99"'}, 412),
        (TASK + "/complete", "patch", {"completed": True}, {}, 200),
        (TASK + "/restore", "post", None, {}, 404),
        (BY_UID, "get", None, {}, 200),
        (BY_UID, "put", {"title": "B"}, {}, 200),
        (BY_UID, "put", {"title": "B", "uid": "other"}, {}, 400),
        (BY_UID + "-new", "put", {"title": "B"}, {}, 201),
        (BY_UID, "patch", {"title": "B"}, {"if_match": '"99"'}, 412),
        (BY_UID, "delete", None, {}, 204),
        (BY_UID + "-new", "delete", None, {}, 404),
        (TRASH, "get", None, {}, 200),
        (TRASH + "?limit=1&", "get", None, {}, 200),
        (TRASH + "?type=x", "get", None, {}, 400),
        (TRASH, "delete", None, {}, 204),
        (TRASH + "?type=x", "delete", None, {}, 400),
        (TRASH + "/task/{task_id}", "delete", None, {}, 404),
        ("/api/users/me", "get", None, {}, 200),
        ("/api/users/me", "patch", {"timezone": "Asia/Karachi"}, {}, 200),
        ("/api/auth/register", "post", NEW_ACCOUNT, {}, 201),
        ("/api/auth/register", "post", {**NEW_ACCOUNT, "email": "taken@example.com"}, {}, 409),
        ("/api/auth/login", "post", {**NEW_ACCOUNT, "email": "taken@example.com"}, {}, 200),
        ("/api/auth/login", "post", NEW_ACCOUNT, {}, 401),
        ("/api/auth/refresh", "post", {"refresh": "nonsense"}, {}, 401),
        ("/healthz", "get", None, {}, 200),
        ("/readyz", "get", None, {}, 200),
    ],
)
def test_answer_is_as_declared(
    as_alice: Api, alice: User, path: str, method: str, body: Any, headers: dict[str, str], status: int
) -> None:
    make_user(email="taken@example.com")
    task = make_task(alice, uid="taken")
    make_task(alice)
    delete_tasks(alice, [make_task(alice).pk, make_task(alice).pk])
    arguments = [path.format(user_id="me", task_id=task.pk, uid="taken"), *([] if body is None else [body])]
    caller = Api() if status == 401 else as_alice
    answer: Answer = getattr(caller, method)(*arguments, **headers)
    assert answer.status_code == status
    declared = resolved(_operation(path, method)["responses"][str(status)])
    assert [name for name in HEADERS if name in answer] == [
        name for name in HEADERS if name in _promised(declared, path)
    ]
    assert _complaints_about_body(answer, declared) == []
