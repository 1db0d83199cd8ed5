"""If-Match and If-None-Match: versions as entity tags."""

from typing import Any

import pytest

from tasks import services
from tests.client import Api
from tests.factories import head_of, make_task, make_user
from tests.problems import places_of, problem_of
from tests.races import at_once, short_and_full
from users.models import User

WRITES: list[tuple[str, str, Any]] = [
    ("put", "", {"title": "New"}),
    ("patch", "", {"title": "New"}),
    ("patch", "/complete", {}),
    ("delete", "", None),
]


def send(api: Api, method: str, path: str, body: Any, **headers: str) -> Any:
    return api.delete(path, **headers) if method == "delete" else getattr(api, method)(path, body, **headers)


@pytest.mark.parametrize(("method", "suffix", "body"), WRITES)
def test_the_current_version_may_write(as_alice: Api, alice: User, method: str, suffix: str, body: Any) -> None:
    task = make_task(alice)
    answer = send(as_alice, method, f"/api/me/tasks/{task.pk}{suffix}", body, if_match='"1"')
    task.refresh_from_db()
    assert (answer.status_code in (200, 204), task.version) == (True, 2)


@pytest.mark.parametrize(
    "tag", ['"1"', 'W/"1"', '"1-gzip"', '"2-"', '"2-tar"', '"x"', '""', '"-gzip"', '"1", "3"', '"99999999999999999999"']
)
@pytest.mark.parametrize(("method", "suffix", "body"), WRITES)
def test_a_stale_version_returns_the_current_task(
    as_alice: Api, alice: User, method: str, suffix: str, body: Any, tag: str
) -> None:
    task = make_task(alice, title="Old")
    services.update_task(alice, task.pk, {"description": "changed meanwhile"})
    answer = send(as_alice, method, f"/api/me/tasks/{task.pk}{suffix}", body, if_match=tag)
    task.refresh_from_db()
    assert (answer.status_code, answer.json()["code"]) == (412, "stale_version")
    assert answer.json()["current"] == as_alice.get(f"/api/me/tasks/{task.pk}").json()
    assert (task.title, task.version, task.deleted_at) == ("Old", 2, None)


@pytest.mark.parametrize("tag", ["*", '"1"', '"7", "1"', '"1" , W/"7"', 'W/"7",W/"1"'])
def test_any_of_several_versions_may_match(as_alice: Api, alice: User, tag: str) -> None:
    task = make_task(alice)
    assert as_alice.patch(f"/api/me/tasks/{task.pk}", {"title": "New"}, if_match=tag).status_code == 200


# What nginx, Apache and Caddy make of "1" when they compress the answer that carries it.
ALTERED = ['W/"1"', '"1-gzip"', '"1-br"', '"1-zstd"', 'W/"1-deflate"']


@pytest.mark.parametrize("tag", ALTERED)
@pytest.mark.parametrize(("method", "suffix", "body"), WRITES)
def test_a_tag_that_a_compressing_proxy_altered_may_write(
    as_alice: Api, alice: User, method: str, suffix: str, body: Any, tag: str
) -> None:
    task = make_task(alice)
    answer = send(as_alice, method, f"/api/me/tasks/{task.pk}{suffix}", body, if_match=tag)
    task.refresh_from_db()
    assert (answer.status_code in (200, 204), task.version) == (True, 2)


def test_a_missing_task_is_404_whatever_if_match_says(as_alice: Api, alice: User) -> None:
    assert as_alice.patch("/api/me/tasks/1", {"title": "New"}, if_match="*").status_code == 404
    assert as_alice.delete("/api/me/tasks/1", if_match='"1"').status_code == 404


@pytest.mark.parametrize("tag", ['"1"', "*", '"7", "1"', *ALTERED])
def test_an_unchanged_task_is_304_without_a_body(as_alice: Api, alice: User, tag: str) -> None:
    task = make_task(alice)
    answer = as_alice.get(f"/api/me/tasks/{task.pk}", if_none_match=tag)
    assert (answer.status_code, answer.content, answer["ETag"]) == (304, b"", '"1"')
    assert "Content-Length" not in answer


def test_a_changed_task_is_sent_anew(as_alice: Api, alice: User) -> None:
    task = make_task(alice)
    services.complete_task(alice, task.pk)
    answer = as_alice.get(f"/api/me/tasks/{task.pk}", if_none_match='"1"')
    assert (answer.status_code, answer["ETag"], answer.json()["completed"]) == (200, '"2"', True)


def test_an_unchanged_list_is_304_until_anything_changes(as_alice: Api, alice: User, bob: User) -> None:
    task = make_task(alice)
    tag = as_alice.get("/api/me/tasks?status=pending")["ETag"]
    make_task(bob)
    unchanged = as_alice.get("/api/me/tasks?status=pending", if_none_match=tag)
    assert (unchanged.status_code, unchanged.content, unchanged["ETag"]) == (304, b"", tag)
    services.delete_task(alice, task.pk)
    changed = as_alice.get("/api/me/tasks?status=pending", if_none_match=tag)
    assert (changed.status_code, changed.json()) == (200, [])
    assert changed["ETag"] != tag


def test_the_empty_list_of_a_new_user_has_a_tag(as_alice: Api) -> None:
    tag = as_alice.get("/api/me/tasks")["ETag"]
    assert as_alice.get("/api/me/tasks", if_none_match=tag).status_code == 304


def test_a_list_that_depends_on_the_clock_has_no_tag(as_alice: Api, alice: User) -> None:
    make_task(alice)
    answer = as_alice.get("/api/me/tasks?overdue=true", if_none_match="*")
    assert (answer.status_code, "ETag" in answer) == (200, False)


@pytest.mark.parametrize("query", ["", "?overdue=true"])
def test_what_is_no_list_of_tags_is_refused_whether_or_not_one_could_match(as_alice: Api, query: str) -> None:
    assert places_of(as_alice.get(f"/api/me/tasks{query}", if_none_match="5"), "header") == ["If-None-Match"]


@pytest.mark.parametrize("tag", ['"' + "5" * 1000 + '"', '"1"' + " " * 1000, ",".join(['"1"'] * 300)])
def test_an_unbounded_list_of_tags_is_refused_by_name(as_alice: Api, alice: User, tag: str) -> None:
    path = f"/api/me/tasks/{make_task(alice).pk}"
    assert places_of(as_alice.get(path, if_none_match=tag), "header") == ["If-None-Match"]
    assert places_of(as_alice.delete(path, if_match=tag), "header") == ["If-Match"]


def test_a_shared_browser_keeps_the_lists_of_two_users_apart(as_alice: Api, alice: User, bob: User) -> None:
    make_task(alice)
    make_task(bob)
    mine, own = as_alice.get("/api/me/tasks"), as_alice.get(f"/api/{alice.pk}/tasks")
    assert mine["ETag"] == Api(bob).get("/api/me/tasks")["ETag"] == own["ETag"]
    assert "authorization" in mine["Vary"].lower() and "authorization" in own["Vary"].lower()
    assert (mine["Cache-Control"], own["Cache-Control"]) == ("no-store", "private, no-cache")
    assert as_alice.get("/api/users/me")["Cache-Control"] == "no-store"


@pytest.mark.parametrize("attempts", short_and_full(15, 100))
def test_increments_by_8_threads_lose_no_update(wide_pool: None, attempts: int) -> None:
    """So many attempts each; who is refused begins anew from `current`."""
    user = make_user()
    path = f"/api/me/tasks/{make_task(user, description='0').pk}"

    def attempt_increments() -> list[int]:
        api, statuses = Api(user), []
        current = api.get(path).json()
        for _ in range(attempts):
            body = {"description": str(int(current["description"]) + 1)}
            answer = api.patch(path, body, if_match=f'"{current["version"]}"')
            statuses.append(answer.status_code)
            current = answer.json() if answer.status_code == 200 else problem_of(answer, 412)["current"]
        return statuses

    statuses = [status for made in at_once([attempt_increments] * 8) for status in made]
    successes, task = statuses.count(200), user.tasks.get()
    assert (task.description, task.version - 1, head_of(user) - 1) == (str(successes), successes, successes)
    assert successes + statuses.count(412) == 8 * attempts
    assert 0 < successes < 8 * attempts  # else nobody was in anybody's way
