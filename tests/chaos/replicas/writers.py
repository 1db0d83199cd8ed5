"""What users do, at random, as requests: one by one, or several as a batch.

Each text is written by one request only, so that the log tells whose it is and how often it took effect.
"""

import random
from collections.abc import Callable
from typing import Any
from uuid import UUID

from tests.chaos.replicas.store import Request, Store

MOST = 150  # live tasks; beyond, more is deleted than created
Step = dict[str, Any]  # of a batch


class Writer:
    """Chooses what to do by what the device's copy has, which may be old."""

    def __init__(self, store: Store, chance: random.Random) -> None:
        self.store, self.random = store, chance

    def unique(self) -> str:
        return str(UUID(int=self.random.getrandbits(128), version=4))

    def request(self) -> Request:
        """The next one."""
        raise NotImplementedError

    def step(self) -> Step | None:
        """A write as a step of a batch; None if there is nothing to do it with."""
        acts = DELETING if self.store.count("task") > MOST else STEPS
        (act,) = self.random.choices(list(acts), list(acts.values()))
        return act(self)

    def _old(self, type_: str, op: str, body: Any = None, *, conditional: float = 0.5) -> Step | None:
        """A step about something that the device knows: by id or uid, and mostly only if it is as the device knows."""
        if (known := self.store.some_object(type_)) is None:
            return None
        named = {"uid": known["uid"]} if self.random.random() < 0.3 else {"id": known["id"]}
        expected = {"if_version": known["version"]} if self.random.random() < conditional else {}
        return {"op": op, "type": type_, **named, **expected, "body": body or {}}

    def _some_id(self, type_: str, share: float) -> int | None:
        known = self.store.some_object(type_) if self.random.random() < share else None
        return known["id"] if known else None

    def create_task(self) -> Step | None:
        body: dict[str, Any] = {"title": self.unique(), "uid": self.unique()}
        body["tags"] = self.random.sample(["home", "work", "café", "später"], self.random.randint(0, 3))
        if parent := self._some_id("task", 0.3):
            body["parent_id"] = parent
        elif project := self._some_id("project", 0.5):
            body["project_id"] = project
        if self.random.random() < 0.2:
            body |= {"due_at": "2026-01-31T10:30:00Z", "recurrence": {"rule": "FREQ=MONTHLY"}}
        return {"op": "create", "type": "task", "body": body}

    def create_project(self) -> Step | None:
        body = {"name": self.unique(), "uid": self.unique(), "parent_id": self._some_id("project", 0.2)}
        return {"op": "create", "type": "project", "body": body}

    def change_task(self) -> Step | None:
        others: list[Step] = [
            {},
            {"priority": "high"},
            {"description": self.unique()},
            {"extra": {"mood": self.random.random()}},
        ]
        return self._old("task", "update", {"title": self.unique(), **self.random.choice(others)})

    def change_project(self) -> Step | None:
        return self._old("project", "update", {"name": self.unique(), "color": self.random.choice(["#336699", None])})

    def complete_task(self) -> Step | None:
        return self._old("task", "complete", {"completed": self.random.random() < 0.6})

    def move_task(self) -> Step | None:
        places = [{"project_id": self._some_id("project", 0.7)}, {"parent_id": self._some_id("task", 0.5)}]
        return self._old("task", "move", self.random.choice(places))

    def delete_task(self) -> Step | None:
        return self._old("task", "delete")

    def delete_project(self) -> Step | None:
        return self._old("project", "delete", {"tasks": self.random.choice(["trash", "inbox"])})

    def restore(self) -> Step | None:
        type_ = self.random.choice(["task", "project"])
        found = self.store.some_tombstone(type_)
        return {"op": "restore", "type": type_, "id": found[0], "body": {}} if found else None


Act = Callable[[Writer], Step | None]
STEPS: dict[Act, float] = {
    Writer.create_task: 6, Writer.create_project: 1, Writer.change_task: 6, Writer.change_project: 1,
    Writer.complete_task: 3, Writer.move_task: 2, Writer.delete_task: 2, Writer.delete_project: 0.3,
    Writer.restore: 1.5,
}  # fmt: skip
DELETING: dict[Act, float] = {**STEPS, Writer.delete_task: 12}


class Batches(Writer):
    """Up to eight steps in a request; one may name by uid what another has created."""

    def request(self) -> Request:
        steps = [step for _ in range(self.random.randint(1, 8)) if (step := self.step())]
        created = [step["body"]["uid"] for step in steps if step["op"] == "create" and step["type"] == "task"]
        if created and self.random.random() < 0.5:
            renamed = {"title": self.unique()}
            steps.append({"op": "update", "type": "task", "uid": self.random.choice(created), "body": renamed})
        steps = steps or [{"op": "create", "type": "task", "body": {"title": self.unique()}}]
        body = {"atomic": self.random.random() < 0.5, "operations": steps}
        return Request("POST", "/batch", body, {"Idempotency-Key": self.unique()})


class Singles(Writer):
    """The same, each at its own address."""

    def request(self) -> Request:
        chosen = self.random.random()
        if chosen < 0.05:
            return Request("POST", "/undo", {}, self._key())
        if chosen < 0.08 and (found := self.store.some_tombstone("task")):
            return Request("DELETE", f"/trash/task/{found[0]}", None, self._key())
        if chosen < 0.12 and (known := self.store.some_object("task")):
            return Request("GET", f"/tasks/{known['id']}")
        if chosen < 0.15:
            return Request("GET", "/tasks?sort=-updated&limit=20")
        while (step := self.step()) is None:
            pass
        return self._single(**step)

    def _single(
        self,
        op: str,
        type: str,
        body: dict[str, Any],
        id: int | None = None,
        uid: str | None = None,
        if_version: int | None = None,
    ) -> Request:
        """The request that does what a step of a batch does."""
        place = f"/{type}s/{id}" if id else f"/{type}s/by-uid/{uid}"
        headers = self._key() | ({"If-Match": f'"{if_version}"'} if if_version else {})
        if op == "create":
            return self._creation(type, body, headers)
        if op == "delete":
            query = "".join(f"?{name}={value}" for name, value in body.items())
            return Request("DELETE", place + query, None, headers)
        if op == "update":
            return Request(self.random.choice(["PATCH", "PUT"]), place, body, headers)
        if uid:  # there is no address for it
            return Request("PATCH", place, {"title": self.unique()}, headers)
        return Request("PATCH" if op == "complete" else "POST", f"{place}/{op}", body, headers)

    def _creation(self, type_: str, body: dict[str, Any], headers: dict[str, str]) -> Request:
        """With a uid of the device's, or of the service's, which the key alone keeps from being made twice."""
        uid = body.pop("uid")
        if (chosen := self.random.random()) < 0.4:
            return Request("PUT", f"/{type_}s/by-uid/{uid}", body, headers)
        return Request("POST", f"/{type_}s", body | ({"uid": uid} if chosen < 0.7 else {}), headers)

    def _key(self) -> dict[str, str]:
        return {"Idempotency-Key": self.unique()}
