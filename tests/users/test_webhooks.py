"""The routes of webhooks."""

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from tests.audited import events
from tests.callers import with_token
from tests.client import Api
from tests.factories import head_of, make_project, make_task, make_token
from tests.problems import places_of, problem_of, stored
from tests.receiver import Receiver
from tests.webhooks import NOW, deliver
from users import exports
from users.audit import Action
from users.models import User
from users.resources import pruning
from users.resources.resource import registered
from users.services.pruning import kept_as_the_log
from users.webhooks import services
from users.webhooks.models import Endpoint, Event

HOOKS = "/api/me/webhooks"
URL = "https://1.1.1.1/hook?key=canary"


def make(api: Api, **body: Any) -> Any:
    answer = api.post(HOOKS, {"url": URL, **body})
    assert answer.status_code == 201, answer.content
    return answer.json()


def only() -> Endpoint:
    return Endpoint.objects.get()


def test_one_is_made_with_a_secret_that_is_shown_once(as_alice: Api, alice: User) -> None:
    make_task(alice)
    answer = as_alice.post(HOOKS, {"url": URL})
    made, row = answer.json(), only()
    assert (answer.status_code, answer["Location"], answer["ETag"]) == (201, f"webhooks/{row.pk}", '"1"')
    assert (made["url"], made["events"], made["project_ids"], made["active"]) == (URL, "*", None, True)
    assert (made["status"], made["failures"], made["last_error"], made["next_attempt_at"]) == ("active", 0, "", None)
    assert made["secret"] == row.secret and row.secret.startswith("whsec_")
    assert (row.user, row.cursor_version) == (alice, head_of(alice))
    listed, shown = as_alice.get(HOOKS).json(), as_alice.get(f"{HOOKS}/{row.pk}").json()
    assert listed == [shown] == [{name: value for name, value in made.items() if name != "secret"}]


REFUSED = {
    "nothing": ({}, ["/url"]),
    "unknown member": ({"url": URL, "name": "x"}, ["/name"]),
    "unknown event": ({"url": URL, "events": ["task.created", "task.exploded"]}, ["/events"]),
    "an event of no resource": ({"url": URL, "events": ["user.created"]}, ["/events"]),
    "no event": ({"url": URL, "events": []}, ["/events"]),
    "one event": ({"url": URL, "events": "task.created"}, ["/events"]),
    "null": ({"url": URL, "events": None}, ["/events"]),
    "the star among others": ({"url": URL, "events": ["*"]}, ["/events"]),
    "no project": ({"url": URL, "project_ids": []}, ["/project_ids"]),
    "not a number": ({"url": URL, "project_ids": ["1"]}, ["/project_ids"]),
    "unknown project": ({"url": URL, "project_ids": [999]}, ["/project_ids"]),
    "beyond bigint": ({"url": URL, "project_ids": [2**63]}, ["/project_ids"]),
    "active": ({"url": URL, "active": "yes"}, ["/active"]),
}


@pytest.mark.parametrize(("body", "places"), REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_is_named(as_alice: Api, body: Any, places: list[str]) -> None:
    before = stored()
    found = places_of(as_alice.post(HOOKS, body), "pointer")
    assert ["/" + place.split("/")[1] for place in found] == places
    assert stored() == before


def test_read_only_members_are_ignored(as_alice: Api) -> None:
    made = make(as_alice)
    answer = as_alice.patch(f"{HOOKS}/{made['id']}", {**as_alice.get(f"{HOOKS}/{made['id']}").json(), "failures": 7})
    assert (answer.status_code, answer["ETag"], only().failures) == (200, '"1"', 0)


def test_at_most_ten(as_alice: Api) -> None:
    for _ in range(10):
        make(as_alice)
    problem = problem_of(as_alice.post(HOOKS, {"url": URL}), 409)
    assert (problem["code"], problem["limit"], Endpoint.objects.count()) == ("limit_reached", 10, 10)


def test_another_users_project_is_as_one_that_is_not_there(as_alice: Api, bob: User) -> None:
    foreign = make_project(bob)
    refusal = as_alice.post(HOOKS, {"url": URL, "project_ids": [foreign.pk]})
    assert problem_of(refusal, 400)["errors"][0]["code"] == "unknown_project"


def test_members_are_changed_and_the_version_counts(as_alice: Api, alice: User) -> None:
    made, home = make(as_alice), make_project(alice)
    body = {"events": ["task.deleted", "task.created", "task.created"], "project_ids": [home.pk], "active": False}
    answer = as_alice.patch(f"{HOOKS}/{made['id']}", body)
    changed = answer.json()
    assert (answer.status_code, answer["ETag"], changed["version"]) == (200, '"2"', 2)
    assert (changed["events"], changed["status"]) == (["task.created", "task.deleted"], "paused")
    assert as_alice.patch(f"{HOOKS}/{made['id']}", {"events": "*", "project_ids": None}).json()["events"] == "*"


def test_a_project_that_was_deleted_since_may_stay_named(as_alice: Api, alice: User) -> None:
    home = make_project(alice)
    made = make(as_alice, project_ids=[home.pk])
    as_alice.delete(f"/api/me/projects/{home.pk}")
    assert as_alice.patch(f"{HOOKS}/{made['id']}", {"project_ids": [home.pk], "active": False}).status_code == 200


@pytest.mark.parametrize("method", ["patch", "delete"])
def test_a_stale_if_match_is_answered_with_the_current_one(as_alice: Api, method: str) -> None:
    made = make(as_alice)
    as_alice.patch(f"{HOOKS}/{made['id']}", {"active": False})
    path, before = f"{HOOKS}/{made['id']}", stored()
    problem = problem_of(getattr(as_alice, method)(path, {}, if_match='"1"'), 412)
    assert (problem["code"], problem["current"]["version"]) == ("stale_version", 2)
    assert "secret" not in problem["current"] and stored() == before
    assert getattr(as_alice, method)(path, {}, if_match='"2"').status_code in (200, 204)


def test_one_is_deleted_with_its_deliveries(as_alice: Api) -> None:
    made = make(as_alice)
    assert as_alice.post(f"{HOOKS}/{made['id']}/test").status_code == 202
    assert as_alice.delete(f"{HOOKS}/{made['id']}").status_code == 204
    assert (Endpoint.objects.count(), Event.objects.count()) == (0, 0)
    assert problem_of(as_alice.get(f"{HOOKS}/{made['id']}"), 404)["code"] == "webhook_not_found"


def test_a_secret_is_rotated(alice: User, clock: Any) -> None:
    as_alice = Api(alice)
    made = make(as_alice)
    answer = as_alice.post(f"{HOOKS}/{made['id']}/rotate-secret")
    rotated, row = answer.json(), only()
    assert rotated["secret"] == row.secret != made["secret"] == row.old_secret
    assert rotated["old_secret_until"] == "2026-11-30T12:00:00Z"
    assert row.secrets(timezone.now()) == [row.secret, made["secret"]]
    clock.shift(dt.timedelta(days=1))
    assert row.secrets(timezone.now()) == [row.secret]


def test_one_that_is_not_active_gets_no_test(as_alice: Api) -> None:
    made = make(as_alice, active=False)
    assert problem_of(as_alice.post(f"{HOOKS}/{made['id']}/test"), 409)["code"] == "webhook_inactive"
    assert not Event.objects.exists()


def test_the_deliveries_are_listed(as_alice: Api, receiver: Receiver) -> None:
    made = make(as_alice, url=receiver.url)
    as_alice.post(f"{HOOKS}/{made['id']}/test")
    assert deliver() == 1
    (delivery,) = as_alice.get(f"{HOOKS}/{made['id']}/deliveries").json()
    assert (delivery["event"], delivery["status"], delivery["reason"]) == ("webhook.test", 204, "")
    assert [delivery["webhook_id"]] == receiver.ids


# --- Replay -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", [{}, {"version": 1, "since": "2026-11-29T00:00:00Z"}, {"version": -1}, {"version": "1"}]
)
def test_a_replay_names_one_place(as_alice: Api, body: Any) -> None:
    made = make(as_alice)
    before = stored()
    problem_of(as_alice.post(f"{HOOKS}/{made['id']}/replay", body), 400)
    assert stored() == before


def test_a_replay_moves_the_cursor(as_alice: Api, alice: User) -> None:
    made = make(as_alice)
    for _ in range(3):
        make_task(alice)
    answer = as_alice.post(f"{HOOKS}/{made['id']}/replay", {"version": 1})
    assert (answer.status_code, only().cursor_version, answer.json()["version"]) == (202, 1, 2)
    as_alice.post(f"{HOOKS}/{made['id']}/replay", {"version": 999})
    assert only().cursor_version == 3
    as_alice.post(f"{HOOKS}/{made['id']}/replay", {"since": "2020-01-01T00:00:00Z"})
    assert only().cursor_version == 0


def test_what_is_no_longer_kept_cannot_be_replayed(alice: User, clock: Any) -> None:
    make_task(alice)
    make_task(alice)
    clock.shift(dt.timedelta(days=100))
    list(pruning.cut_log(timezone.now()))
    made = make(Api(alice))
    path = f"{HOOKS}/{made['id']}/replay"
    assert problem_of(Api(alice).post(path, {"version": 1}), 410)["code"] == "cursor_expired"
    assert Api(alice).post(path, {"version": 2}).status_code == 202


# --- Tokens -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scopes", "body", "missing"),
    [
        (["webhooks"], {}, "projects:read and tasks:read"),
        (["webhooks", "tasks:read"], {}, "projects:read"),
        (["webhooks"], {"events": ["task.created"]}, "tasks:read"),
        (["webhooks", "tasks:read"], {"events": ["task.created", "project.created"]}, "projects:read"),
        (["webhooks", "tasks:read"], {"events": ["task.created"]}, None),
        (["webhooks"], {"events": ["import.done"]}, None),
        (["webhooks"], {"events": ["reminder.due"]}, "tasks:read"),
        (["webhooks", *(f"{each.plural}:read" for each in registered())], {}, None),
    ],
)
def test_a_token_gets_no_more_than_it_may_read(
    as_alice: Api, alice: User, scopes: list[str], body: Any, missing: str | None
) -> None:
    api, made = with_token(make_token(alice, *scopes)), make(as_alice, **body)
    for answer in (api.post(HOOKS, {"url": URL, **body}), api.patch(f"{HOOKS}/{made['id']}", {"url": f"{URL}2"})):
        if missing:
            assert missing in problem_of(answer, 403)["detail"]
        else:
            assert answer.status_code in (200, 201)
    assert api.patch(f"{HOOKS}/{made['id']}", {"active": False}).status_code == 200


# --- What is told of them ---------------------------------------------------------------------------


def test_the_audit_tells_of_each_change_with_the_host_alone(as_alice: Api, alice: User) -> None:
    made = make(as_alice)
    path = f"{HOOKS}/{made['id']}"
    as_alice.patch(path, {"active": False})
    as_alice.post(f"{path}/rotate-secret")
    as_alice.delete(path)
    told = events(object_type="webhooks.endpoint")
    assert [each.action for each in told] == [
        Action.WEBHOOK_CREATED, Action.WEBHOOK_CHANGED, Action.WEBHOOK_ROTATED, Action.WEBHOOK_DELETED,
    ]  # fmt: skip
    for each in told:
        assert (each.actor, each.subject, each.details["host"]) == (alice, alice, "1.1.1.1")
        assert "canary" not in str(each.details) and "whsec_" not in str(each.details)


def test_the_export_has_them_without_secrets(as_alice: Api, alice: User) -> None:
    made = make(as_alice)
    services.notify(alice, "import.done", {"id": 3})
    document = b"".join(exports.stream(alice)).decode()
    assert URL in document and '"import.done"' in document
    assert made["secret"] not in document and "whsec_" not in document


def test_events_are_pruned_with_the_log(alice: User, clock: Any) -> None:
    make(Api(alice))
    services.notify(alice, "import.done", {})
    rows = kept_as_the_log["webhook events"]
    assert (rows(NOW).count(), rows(NOW + dt.timedelta(seconds=1)).count()) == (0, 1)


def test_the_list_is_read_in_a_constant_number_of_queries(as_alice: Api, django_assert_num_queries: Any) -> None:
    make(as_alice)
    with django_assert_num_queries(2):
        as_alice.get(HOOKS)
    for _ in range(5):
        make(as_alice)
    with django_assert_num_queries(2):
        as_alice.get(HOOKS)
