"""Leaving: an account can be taken along as one document, and deleted for good."""

import datetime as dt
import json
from typing import Any

import pytest
import time_machine
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from tasks import services as tasks
from tasks.completions import Completion
from tasks.formats.drafts import Document
from tasks.models import Task, TaskTag
from tasks.reminders.models import Digest, Reminder
from tasks.transfer.models import Import
from tasks.transfer.services import import_document
from tests.client import Api
from tests.factories import PASSWORD, make_session, make_task, make_user
from tests.notes.models import Remark
from tests.pages import signed_in, submit
from tests.problems import places_of, problem_of, stored
from tests.resources.declared import RESOURCES
from users import exports
from users.mail.models import Mail
from users.models import (
    AccountNote,
    AuditEvent,
    AuditSubject,
    Change,
    EmailChange,
    Feed,
    IdempotencyKey,
    PersonalToken,
    Session,
    User,
)  # fmt: skip
from users.resources.pairs import Pair
from users.webhooks.models import Delivery, Endpoint, Event

LONG_AGO = dt.timedelta(minutes=6)

NOT_EXPORTED = {"user_id", *Task.derived}  # the rest is everything that we hold of a task


def aged(user: User) -> Api:
    """A client that signed in more than five minutes ago."""
    with time_machine.travel(dt.datetime.now(dt.UTC) - LONG_AGO):
        return Api(user)


def close(api: Api, body: dict[str, Any] | None = None) -> Any:
    client: Any = api.client
    return client.delete("/api/users/me", body, format="json")


# --- Deleting ---------------------------------------------------------------------------------------


def everything_of(user: User) -> list[int]:
    models: list[Any] = [Task, Feed, Change, Session, IdempotencyKey]
    return [*(model.objects.filter(user=user).count() for model in models), User.objects.filter(pk=user.pk).count()]


def test_the_password_deletes_the_account_with_all_that_belongs_to_it(alice: User, bob: User) -> None:
    api = aged(alice)
    api.post("/api/me/tasks", {"title": "A"}, idempotency_key="k1")
    Api(bob).post("/api/me/tasks", {"title": "B"}, idempotency_key="k1")
    assert close(api, {"password": PASSWORD}).status_code == 204
    assert (everything_of(alice), everything_of(bob)) == ([0] * 6, [1] * 6)
    assert api.get("/api/users/me").status_code == 401
    assert Api().post("/api/auth/refresh", {"refresh": api.tokens.refresh}).status_code == 401


def test_right_after_signing_in_no_password_is_needed(as_alice: Api, alice: User) -> None:
    assert close(as_alice).status_code == 204
    assert everything_of(alice) == [0] * 6


@pytest.mark.parametrize("refreshed", [False, True])
def test_an_older_sign_in_deletes_nothing_also_with_new_tokens(alice: User, refreshed: bool) -> None:
    api = aged(alice)
    if refreshed:
        access = Api().post("/api/auth/refresh", {"refresh": api.tokens.refresh}).json()["access"]
        api.client.credentials(HTTP_AUTHORIZATION=f"Bearer {access}")
    before = stored()
    assert problem_of(close(api), 403)["code"] == "sign_in_again"
    assert stored() == before


def test_a_wrong_password_deletes_nothing_however_fresh(as_alice: Api) -> None:
    before = stored()
    assert places_of(close(as_alice, {"password": "wrong"}), "pointer") == ["/password"]
    assert stored() == before


@pytest.mark.parametrize("body", [{"password": None}, {"password": 1}, {"pasword": PASSWORD}, [], "x"])
def test_a_body_that_is_none_deletes_nothing(as_alice: Api, body: Any) -> None:
    before = stored()
    problem_of(close(as_alice, body), 400)
    assert stored() == before


def test_the_audit_outlives_the_account(as_alice: Api, alice: User) -> None:
    close(as_alice)
    event = AuditEvent.objects.get(action="account.deleted")
    assert (event.actor_id, event.subject_id, event.subject_email) == (alice.pk, alice.pk, alice.email)


def test_the_address_is_free_again(as_alice: Api, alice: User) -> None:
    close(as_alice)
    answer = Api().post("/api/auth/register", {"email": alice.email, "password": PASSWORD})
    assert answer.status_code == 201
    assert Api().get("/api/me/tasks", authorization=f"Bearer {answer.json()['access']}").json() == []


# --- Exporting --------------------------------------------------------------------------------------


def export(api: Api) -> dict[str, Any]:
    client: Any = api.client
    answer = client.get("/api/users/me/export")
    assert (answer.status_code, answer["Content-Type"], answer["Cache-Control"]) == (
        200,
        "application/json",
        "no-store",
    )
    assert answer["Content-Disposition"] == 'attachment; filename="tickbase-export.json"'
    assert answer.streaming
    document: dict[str, Any] = json.loads(b"".join(answer.streaming_content))
    return document


def test_the_export_holds_all_and_only_the_callers_own(alice: User, bob: User) -> None:
    make_task(bob, title="of bob")
    make_session(bob)
    kept, gone = make_task(alice, title="完成", tags=["a"], due_date=dt.date(2026, 12, 1)), make_task(alice)
    tasks.delete_task(alice, gone.pk)
    api = Api(alice)
    api.post("/api/me/tasks", {"title": "keyed"}, idempotency_key="k1")
    document = export(api)
    assert (document["account"]["public_id"], document["account"]["email"]) == (alice.public_id, alice.email)
    assert [task["title"] for task in document["tasks"]] == ["完成", gone.title, "keyed"]
    assert [task["deleted_at"] is None for task in document["tasks"]] == [True, False, True]
    assert (document["tasks"][0]["uid"], document["tasks"][0]["due_date"]) == (kept.uid, "2026-12-01")
    assert document["tasks"][0]["created_at"].endswith("Z")
    assert [len(document[name]) for name in ("sessions", "idempotency_keys", "feed")] == [1, 1, 1]
    assert "of bob" not in json.dumps(document, ensure_ascii=False)


def test_the_export_tells_no_secret(as_alice: Api, alice: User) -> None:
    text = json.dumps(export(as_alice))
    assert alice.password not in text
    assert as_alice.tokens.refresh not in text


def test_the_export_of_staff_does_not_name_others(carol: User, alice: User) -> None:
    carol.groups.add(Group.objects.create(name="helpers"))
    submit(signed_in(carol), f"/admin/users/user/{alice.pk}/change/", name="Alicia")
    document = export(Api(carol))
    assert [action["action"] for action in document["staff_actions"]] == ["staff.changed"]
    assert document["account"]["groups"] == ["helpers"]
    assert not any(text in json.dumps(document) for text in (alice.email, "Alicia"))


def test_the_export_tells_what_staff_did_but_not_who(carol: User, alice: User) -> None:
    submit(signed_in(carol), f"/admin/users/user/{alice.pk}/change/", name="Alicia")
    changed, exported = export(Api(alice))["events"]
    assert (changed["action"], changed["actor"], changed["address"]) == ("staff.changed", "staff", None)
    assert changed["details"] == {"fields": {"name": ["alice", "Alicia"]}}
    assert (exported["action"], exported["actor"], exported["address"]) == ("account.exported", alice.pk, "127.0.0.1")


def test_a_long_export_is_read_in_batches(as_alice: Api, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "BATCH", 2)
    made = [make_task(alice).pk for _ in range(5)]
    with CaptureQueriesContext(connection) as captured:
        assert [task["id"] for task in export(as_alice)["tasks"]] == made
    batches = [query["sql"] for query in captured if 'FROM "tasks_task"' in query["sql"]]
    assert len(batches) == 4
    assert all("LIMIT 2" in sql for sql in batches)


# What a field of a row is left out for.
LEFT_OUT = {
    User: {"password": "a secret", "email_canonical": "follows from email"},
    Import: {
        "user": "the account",
        "data": "the user's own file, for as long as it waits",
        **dict.fromkeys(("file_name", "zone", "operation"), "of no use without the file"),
        **dict.fromkeys(("due_at", "leased_until", "attempts"), "of the worker"),
    },
    Task: {
        "user": "the account",
        "search_text": "follows from the text",
        "tag_keys": "follows from the tags",
        "title_key": "follows from the title",
        "remind_from": "follows from the due and the settings",
    },
    Completion: {"user": "the account"},
    Reminder: {
        "id": "the uid names it",
        "user": "the account",
        "planned_at": "remind_at tells it",
        "is_muted": "remind_at tells it",
        "settled_for": "of the worker",
        **dict.fromkeys(("due_at", "leased_until", "attempts"), "of the worker"),
    },
    Session: {"user": "the account"},
    IdempotencyKey: {
        "user": "the account",
        "session": "in sessions",
        "generation": "in sessions",
        "digest": "of secrets",
        "fingerprint": "of secrets",
    },
    Feed: {"user": "the account"},
    AuditEvent: {
        "subject": "the account",
        "actor_email": "of staff, else the account's",
        "subject_email": "the account's",
        "id": "tells how many others there are",
    },
}


def test_the_export_leaves_no_field_out_without_a_reason(as_alice: Api, alice: User) -> None:
    make_task(alice, status="completed", reminders=[{"minutes_before": 30}])
    as_alice.post("/api/me/tasks", {"title": "keyed"}, idempotency_key="k1")
    import_document(alice, Document(), "csv")
    document = export(as_alice)
    told = {
        User: document["account"],
        Task: document["tasks"][0],
        Completion: document["completions"][0],
        Reminder: document["reminders"][0],
        Session: document["sessions"][0],
        IdempotencyKey: document["idempotency_keys"][0],
        Feed: document["feed"][0],
        AuditEvent: document["events"][0],
        Import: document["imports"][0],
    }
    for model, left_out in LEFT_OUT.items():
        assert not set(left_out) & set(told[model]), model
        named = {*told[model], *(name.removesuffix("_id") for name in told[model])}  # references by their id
        assert {field.name for field in model._meta.fields} - set(left_out) <= named, model
    assert set(document["tasks"][0]) == {column.attname for column in Task._meta.concrete_fields} - NOT_EXPORTED


def test_every_table_that_belongs_to_a_user_has_its_section() -> None:
    exported = {Change, Completion, Feed, Import, Session, PersonalToken, IdempotencyKey, AuditEvent, AccountNote}
    exported |= {EmailChange, Mail, Reminder, TOTPDevice, StaticDevice, Endpoint, Event, Delivery}
    exported |= {resource.model for resource in RESOURCES}  # whose exports tests/resources looks at
    exported |= {TaskTag, AuditSubject}  # indexes of tags, which the tasks have, and of events
    exported |= {Remark}  # of the tests, and never registered
    exported |= {Digest}  # which follows from the account's digest_time
    exported |= {LogEntry}  # Django's, into which nothing is written any more
    owned = {
        model
        for model in apps.get_models()
        if any(field.related_model is User for field in model._meta.fields if field.is_relation)
        and not issubclass(model, Pair)  # whose ids stand in the rows
    }
    assert owned == exported


def test_an_empty_account_can_be_exported(transactional_db: None) -> None:
    assert export(Api(make_user()))["tasks"] == []


def test_the_export_has_the_lists_that_staff_read_with_its_own_rows_alone(alice: User, bob: User, carol: User) -> None:
    own, others = [make_task(alice).pk, make_task(alice).pk], make_task(bob).pk
    signed_in(carol).get("/admin/tasks/task/")
    read, _ = export(Api(alice))["events"]
    assert (read["action"], read["actor"]) == ("staff.read_text", "staff")
    assert read["details"] == {"page": "list", "tasks": [*reversed(own)]}
    assert [event["details"].get("tasks") for event in export(Api(bob))["events"]] == [[others], None]
