"""Imports and exports through the API."""

import json
import time
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tasks.models import Task
from tasks.transfer import api as views
from tasks.transfer.models import Import
from tests.client import Answer, Api, next_page
from tests.factories import make_project, make_task
from tests.problems import places_of, problem_of, stored
from users.models import Change, User

IMPORTS = "/api/me/imports"
TODOIST = b"TYPE,CONTENT,PRIORITY,INDENT\ntask,Buy milk,1,1\ntask,Oat milk,4,2\n"


def tickbase(*tasks: dict[str, Any], projects: Any = ()) -> bytes:
    return json.dumps({"format": "tickbase", "version": 1, "projects": [*projects], "tasks": [*tasks]}).encode()


def post(api: Api, data: bytes, query: str = "", content_type: str = "text/csv", **headers: str) -> Answer:
    client: Any = api.client
    answer: Answer = client.generic("POST", f"{IMPORTS}{query}", data, content_type, **headers)
    return answer


def post_form(api: Api, **fields: Any) -> Answer:
    answer: Answer = api.client.post(IMPORTS, fields, format="multipart")
    return answer


def test_an_import_is_an_operation_that_undo_takes_back(as_alice: Api) -> None:
    answer = post(as_alice, TODOIST)
    assert answer.status_code == 201, answer.content
    report = answer.json()
    assert (report["format"], report["created"], report["counts"]["tasks"]) == ("todoist-csv", 2, 2)
    assert answer["Tickbase-Operation"] == str(report["operation"]) == "2"
    assert answer["Location"] == f"imports/{report['id']}"
    assert [*Task.objects.order_by("pk").values_list("title", "priority", "parent__title")] == [
        ("Buy milk", "high", None),
        ("Oat milk", "low", "Buy milk"),
    ]
    assert as_alice.post("/api/me/undo", {"operation": report["operation"]}).status_code == 200
    assert not Task.objects.visible()


def test_a_dry_run_answers_the_report_and_stores_nothing(as_alice: Api, alice: User) -> None:
    before = stored(alice.pk)
    answer = post(as_alice, TODOIST, "?dry_run=true&format=todoist-csv")
    assert answer.status_code == 200
    assert "Tickbase-Operation" not in answer
    assert stored(alice.pk) == before
    real = post(as_alice, TODOIST).json()
    assert answer.json() | {"id": real["id"], "operation": real["operation"]} == real


def test_a_form_has_the_file_and_its_name(as_alice: Api) -> None:
    answer = post_form(as_alice, file=SimpleUploadedFile("../../etc/todo.txt", b"(A) Call\n"))
    assert (answer.status_code, answer.json()["format"]) == (201, "todotxt")
    assert Task.objects.get().priority == "high"


def test_dates_without_a_zone_are_of_the_zone_that_is_asked_for(as_alice: Api) -> None:
    data = b"title,due_at\nCall,2026-12-01T09:00:00\n"
    assert post(as_alice, data, "?format=csv&zone=Asia/Karachi").status_code == 201
    assert str(Task.objects.get().due_at) == "2026-12-01 04:00:00+00:00"


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("?format=word", "format"),
        ("?zone=Mars/Olympus", "zone"),
        ("?dry_run=perhaps", "dry_run"),
        ("?limit=1", "limit"),
    ],
)
def test_bad_parameters_are_named(as_alice: Api, alice: User, query: str, place: str) -> None:
    before = stored(alice.pk)
    assert places_of(post(as_alice, TODOIST, query), "parameter") == [place]
    assert stored(alice.pk) == before


@pytest.mark.parametrize(
    ("data", "query"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(200), ""),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), "?format=tickbase"),
        (b"PK\x03\x04" + bytes(200), "?format=vikunja"),
        (b"{" * 9_000, "?format=tickbase"),
        (tickbase({"uid": "a", "title": "x"})[:-10], ""),
        (b"\xff\xfe\x00\xd8", "?format=csv"),
        (b"nothing that is known", "?format=todoist"),
    ],
)
def test_a_wrong_or_hostile_file_is_told_and_stores_nothing(
    as_alice: Api, alice: User, data: bytes, query: str
) -> None:
    before = stored(alice.pk)
    (error,) = problem_of(post(as_alice, data, query), 400)["errors"]
    assert (error["code"], error["pointer"]) == ("unreadable_file", "")
    assert stored(alice.pk) == before


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"note": "x"},
        {"file": SimpleUploadedFile("a.csv", TODOIST), "note": "x"},
        {"a": SimpleUploadedFile("a.csv", TODOIST), "b": SimpleUploadedFile("b.csv", TODOIST)},
        {"file": SimpleUploadedFile("a.csv", b"")},
    ],
)
def test_a_form_with_anything_else_is_refused(as_alice: Api, fields: dict[str, Any]) -> None:
    for each in fields.values():
        if not isinstance(each, str):
            each.seek(0)
    assert [error["code"] for error in problem_of(post_form(as_alice, **fields), 400)["errors"]] == ["invalid_file"]


def test_a_file_of_no_known_format_is_told_what_to_do(as_alice: Api) -> None:
    (error,) = problem_of(post(as_alice, b"Dear Sir, this is a letter."), 400)["errors"]
    assert error["detail"] == "It looks like no format that can be imported; if it is one, name it with `format`."


def test_an_empty_body_is_refused(as_alice: Api) -> None:
    assert problem_of(post(as_alice, b""), 400)["errors"][0]["code"] == "invalid_file"


def test_a_broken_form_is_refused(as_alice: Api) -> None:
    for content_type in ("multipart/form-data", "multipart/form-data; boundary=x"):
        assert post(as_alice, b"--x\r\nnothing", content_type=content_type).status_code == 400


def test_a_compressed_body_is_refused(as_alice: Api) -> None:
    assert problem_of(post(as_alice, TODOIST, HTTP_CONTENT_ENCODING="gzip"), 415)


def test_what_is_larger_than_a_file_may_be_is_refused(as_alice: Api) -> None:
    assert problem_of(post(as_alice, bytes(21 * 2**20)), 413)["code"] == "body_too_large"


@pytest.mark.parametrize("data", [b"a\n" * 200_000, tickbase() + b"{}" * 300_000])
def test_more_rows_than_fit_into_memory_are_refused_before_they_are_read(as_alice: Api, data: bytes) -> None:
    assert problem_of(post(as_alice, data), 413)["code"] == "import_too_large"


def test_the_same_key_imports_once(as_alice: Api) -> None:
    first = post(as_alice, TODOIST, HTTP_IDEMPOTENCY_KEY="k1")
    second = post(as_alice, TODOIST, HTTP_IDEMPOTENCY_KEY="k1")
    assert (first.status_code, second.status_code, second["Idempotency-Replayed"]) == (201, 201, "true")
    assert first.json() == second.json()
    assert Import.objects.count() == 1
    other = post(as_alice, TODOIST + b"task,More,1,1\n", HTTP_IDEMPOTENCY_KEY="k1")
    assert problem_of(other, 422)["code"] == "idempotency_key_reused"


def test_what_takes_too_long_says_what_to_do(as_alice: Api, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "SECONDS", -1)
    before = stored(alice.pk)
    problem = problem_of(post(as_alice, TODOIST), 413)
    assert problem["code"] == "import_too_large"
    assert "import_tasks" in problem["detail"]
    assert stored(alice.pk) == before


def test_rules_that_take_long_end_in_time(as_alice: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are looked at before anything is stored."""
    monkeypatch.setattr(views, "SECONDS", 0.2)
    rule = {"rule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO"}
    data = tickbase(*({"uid": str(number), "title": "a", "recurrence": rule} for number in range(12_000)))
    started = time.process_time()
    assert problem_of(post(as_alice, data), 413)["code"] == "import_too_large"
    assert time.process_time() - started < 2


def test_imports_are_listed_without_the_texts_of_the_report(as_alice: Api, alice: User) -> None:
    secret = "canary" * 50
    for number in range(3):
        assert post(as_alice, tickbase({"uid": f"a{number}", "title": secret})).status_code == 201
    page = as_alice.get(f"{IMPORTS}?limit=2")
    following = next_page(page)
    assert following is not None
    shown = [*page.json(), *as_alice.get(following).json()]
    assert [each["id"] for each in shown] == [*Import.objects.order_by("-pk").values_list("pk", flat=True)]
    assert as_alice.get(f"{IMPORTS}/{shown[0]['id']}").json() == shown[0]
    assert shown[0]["report"]["degraded"] == [{"row": 1, "field": "title"}]
    assert "canary" not in json.dumps(shown)
    assert all(as_alice.get(f"{IMPORTS}/{pk}").status_code == 404 for pk in ("0", "x", "9" * 30, 2**63))


def test_nobody_sees_the_imports_of_another(as_alice: Api, alice: User, bob: User) -> None:
    made = post(as_alice, TODOIST).json()["id"]
    assert Api(bob).get(IMPORTS).json() == []
    assert Api(bob).get(f"{IMPORTS}/{made}").status_code == 404
    assert problem_of(Api(bob).get(f"/api/{alice.public_id}/imports/{made}"), 403)


def test_uids_of_another_user_are_free(as_alice: Api, bob: User) -> None:
    make_task(bob, uid="a", title="Bob's")
    parent = make_project(bob, uid="p")
    answer = post(as_alice, tickbase({"uid": "a", "title": "Mine", "project_uid": "p", "parent_uid": "a"}))
    assert (answer.status_code, answer.json()["created"]) == (201, 1)
    assert Task.objects.filter(project=parent.pk).count() == 0
    assert {*Task.objects.values_list("title", flat=True)} == {"Bob's", "Mine"}


def test_the_log_says_who_has_imported(as_alice: Api) -> None:
    post(as_alice, TODOIST)
    assert {entry.actor.partition(":")[0] for entry in Change.objects.all()} == {"session"}


# --- Export -----------------------------------------------------------------------------------------


def export(api: Api, query: str) -> bytes:
    answer: Any = api.get(f"/api/me/export{query}")
    assert answer.status_code == 200, answer.content
    content: bytes = answer.getvalue()
    return content


def test_an_export_is_a_file_with_a_name(as_alice: Api, alice: User) -> None:
    make_task(alice, title="Call")
    answer: Any = as_alice.get("/api/me/export?format=csv")
    assert answer["Content-Disposition"] == 'attachment; filename="tasks.csv"'
    assert answer["Content-Type"].startswith("text/csv")
    assert answer["Cache-Control"] == "no-store"
    assert b"Call" in answer.getvalue()


def test_tasks_come_in_the_order_of_the_tree(as_alice: Api, alice: User) -> None:
    project = make_project(alice)
    first, last = make_task(alice, title="1"), make_task(alice, title="4")
    make_task(alice, title="5", project_id=project.pk)
    child = make_task(alice, title="2", parent_id=first.pk)
    make_task(alice, title="3", parent_id=child.pk)
    make_task(alice, title="4.1", parent_id=last.pk)
    shown = json.loads(export(as_alice, "?format=tickbase"))["tasks"]
    assert [each["title"] for each in shown] == ["1", "2", "3", "4", "4.1", "5"]


def test_a_project_is_exported_with_those_within_it(as_alice: Api, alice: User) -> None:
    outer = make_project(alice, uid="outer")
    inner = make_project(alice, uid="inner", parent_id=outer.pk)
    other = make_project(alice, uid="other", is_archived=True)
    for project in (outer, inner, other, None):
        make_task(alice, title=project.uid if project else "inbox", project_id=project and project.pk)
    make_task(alice, title="deleted")
    as_alice.delete(f"/api/me/tasks/{Task.objects.get(title='deleted').pk}")

    def titles(query: str) -> set[str]:
        return {each["title"] for each in json.loads(export(as_alice, f"?format=tickbase{query}"))["tasks"]}

    assert titles(f"&project={outer.pk}") == {"outer", "inner"}
    assert titles(f"&project={inner.pk}&project={other.pk}") == {"inner", "other"}
    assert titles("&project=inbox") == {"inbox"}
    assert titles("&project=active") == {"inbox", "outer", "inner"}
    assert titles("") == {"inbox", "outer", "inner", "other"}


def test_of_another_user_nothing_is_exported(as_alice: Api, alice: User, bob: User) -> None:
    foreign = make_project(bob)
    make_task(bob, project_id=foreign.pk)
    assert json.loads(export(as_alice, f"?format=tickbase&project={foreign.pk}"))["tasks"] == []
    assert problem_of(as_alice.get(f"/api/{bob.public_id}/export?format=csv"), 403)


@pytest.mark.parametrize(
    ("query", "place"),
    [("", "format"), ("?format=todoist", "format"), ("?format=csv&project=x", "project"), ("?format=csv&a=1", "a")],
)
def test_bad_parameters_of_an_export_are_named(as_alice: Api, query: str, place: str) -> None:
    assert places_of(as_alice.get(f"/api/me/export{query}"), "parameter") == [place]


def test_the_list_takes_as_many_queries_for_many_as_for_one(as_alice: Api) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            assert as_alice.get(IMPORTS).status_code == 200
        return len(found)

    post(as_alice, TODOIST)
    queries()
    one = queries()
    for _ in range(5):
        post(as_alice, TODOIST)
    assert queries() == one
