"""Whether a server does what is to be measured: nobody's speed counts who answers wrong."""

from typing import Any

import httpx

from tests.benchmarks.callers import role
from tests.benchmarks.data import Size
from tests.benchmarks.servers import Contestant


class WrongAnswerError(Exception):
    """A server does not keep the contract of the benchmark."""


def check(server: Contestant, tokens: dict[int, str], size: Size) -> None:
    """Raises WrongAnswerError."""
    writers = {role(user, size): user for user in tokens}
    with httpx.Client(base_url=server.base, timeout=10) as client:
        tasks = _listed(server, client, tokens[1])
        _check_refusals(server, client, tokens, tasks[0]["id"])
        _check_writes(server, client, tokens, writers, size)
        if server.knows_etags:
            headers = _bearer(tokens[1]) | {"If-None-Match": f'"{size.head(1)}"'}
            answer = client.get("/api/1/tasks", params={"status": server.to_do, "limit": 50}, headers=headers)
            _expect(server, answer, 304)


def _listed(server: Contestant, client: httpx.Client, token: str) -> list[dict[str, Any]]:
    answer = client.get("/api/1/tasks", params={"status": server.to_do, "limit": 50}, headers=_bearer(token))
    _expect(server, answer, 200)
    body = answer.json()
    tasks: list[dict[str, Any]] = body["results"] if isinstance(body, dict) else body
    members = {"id", "user_id", "title", "description", "status", "created_at", "updated_at"}
    is_right = len(tasks) == 50 and all(
        members <= task.keys() and str(task["user_id"]) == "1" and task["status"] == server.to_do for task in tasks
    )
    if not is_right:
        raise WrongAnswerError(f"{server.name} does not list 50 tasks that are {server.to_do}: {answer.text[:500]}")
    return tasks


def _check_refusals(server: Contestant, client: httpx.Client, tokens: dict[int, str], task: int) -> None:
    for path, token, status in [
        ("/api/1/tasks", None, 401),
        ("/api/1/tasks", "bad.bad.bad", 401),
        ("/api/1/tasks", tokens[1][:-8] + "AAAAAAAA", 401),
        ("/api/2/tasks", tokens[1], 403),
        (f"/api/2/tasks/{task}", tokens[2], 404),
        (f"/api/1/tasks/{task}", tokens[1], 200),
    ]:
        _expect(server, client.get(path, headers=_bearer(token) if token else {}), status)


def _check_writes(
    server: Contestant, client: httpx.Client, tokens: dict[int, str], writers: dict[str, int], size: Size
) -> None:
    user = writers["create"]
    body = {"title": "check", "status": server.to_do}
    created = client.post(f"/api/{user}/tasks", json=body, headers=_bearer(tokens[user]))
    _expect(server, created, 201)
    user = writers["change"]
    address = f"/api/{user}/tasks/{size.first_task(user)}"
    changed = client.patch(address, json={"title": f"checked {created.json()['id']}"}, headers=_bearer(tokens[user]))
    _expect(server, changed, 200)
    if client.get(address, headers=_bearer(tokens[user])).json()["title"] != changed.json()["title"]:
        raise WrongAnswerError(f"{server.name} does not store what it is sent")


def _expect(server: Contestant, answer: httpx.Response, status: int) -> None:
    if answer.status_code != status:
        request = answer.request
        raise WrongAnswerError(
            f"{server.name}: {request.method} {request.url.path} answered {answer.status_code} instead of {status}: "
            f"{answer.text[:500]}\n{server.log.read_text()[-2000:]}"
        )


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
