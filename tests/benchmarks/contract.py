"""Whether a server does what is to be measured: nobody's speed counts who answers wrong."""

from typing import Any

import httpx

from tests.benchmarks.callers import Caller
from tests.benchmarks.servers import Contestant


class WrongAnswerError(Exception):
    """A server does not keep the contract of the benchmark."""


def check(server: Contestant, callers: dict[int, Caller]) -> None:
    """Raises WrongAnswerError."""
    by_role = {caller.role: caller for caller in callers.values()}
    with httpx.Client(base_url=server.base, timeout=10) as client:
        tasks = _listed(server, client, callers[1])
        _check_nobody(server, client, callers[1], tasks[0]["id"])
        _check_others(server, client, callers[1], callers[2], tasks[0]["id"])
        _check_writes(server, client, by_role["create"], by_role["change"])
        if server.knows_etags:
            headers = _bearer(callers[1].token) | {"If-None-Match": callers[1].etag}
            _expect(server, client.get(callers[1].page, headers=headers), 304)


def _listed(server: Contestant, client: httpx.Client, caller: Caller) -> list[dict[str, Any]]:
    answer = client.get(caller.page, headers=_bearer(caller.token))
    _expect(server, answer, 200)
    tasks = _tasks(answer)
    members = {"id", server.owner, "title", "description", "status", *server.times}
    is_right = len(tasks) == 50 and all(
        members <= task.keys() and str(task[server.owner]) == caller.user and task["status"] == server.to_do
        for task in tasks
    )
    if not is_right:
        raise WrongAnswerError(f"{server.name} does not list 50 tasks that are {server.to_do}: {answer.text[:500]}")
    return tasks


def _check_nobody(server: Contestant, client: httpx.Client, caller: Caller, task: int | str) -> None:
    """Who has no valid token reads nothing."""
    for token in (None, "bad.bad.bad", caller.token[:-8] + "AAAAAAAA"):
        headers = _bearer(token) if token else {}
        _expect(server, client.get(f"{caller.tasks}/{task}", headers=headers), server.refusals.task)
        page = client.get(caller.page, headers=headers)
        _expect(server, page, server.refusals.page)
        if _tasks(page):
            raise WrongAnswerError(f"{server.name} shows tasks to somebody without a valid token: {page.text[:500]}")


def _check_others(server: Contestant, client: httpx.Client, owner: Caller, other: Caller, task: int | str) -> None:
    """A task is its owner's: others neither read nor change it, nor create any in the owner's name."""
    _expect(server, client.get(f"{owner.tasks}/{task}", headers=_bearer(owner.token)), 200)
    address, headers = f"{other.tasks}/{task}", _bearer(other.token)
    _expect(server, client.get(address, headers=headers), 404)
    _expect(server, client.patch(address, json={"title": "taken"}, headers=headers), 404)
    _expect(server, client.post(owner.tasks, json=owner.new, headers=headers), server.refusals.creation)
    if owner.tasks != other.tasks:
        _expect(server, client.get(owner.tasks, headers=headers), 403)


def _check_writes(server: Contestant, client: httpx.Client, creator: Caller, changer: Caller) -> None:
    created = client.post(creator.tasks, json=creator.new, headers=_bearer(creator.token))
    _expect(server, created, server.created)
    address, title = f"{changer.tasks}/{changer.ids[0]}", f"checked {created.json()['id']}"
    _expect(server, client.patch(address, json={"title": title}, headers=_bearer(changer.token)), 200)
    if client.get(address, headers=_bearer(changer.token)).json()["title"] != title:
        raise WrongAnswerError(f"{server.name} does not store what it is sent")


def _tasks(answer: httpx.Response) -> list[dict[str, Any]]:
    """Of a page, in whatever envelope."""
    body = answer.json()
    found: list[dict[str, Any]] = body if isinstance(body, list) else body.get("results") or body.get("items") or []
    return found


def _expect(server: Contestant, answer: httpx.Response, status: int) -> None:
    if answer.status_code != status:
        request = answer.request
        raise WrongAnswerError(
            f"{server.name}: {request.method} {request.url.path} answered {answer.status_code} instead of {status}: "
            f"{answer.text[:500]}\n{server.log.read_text()[-2000:]}"
        )


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
