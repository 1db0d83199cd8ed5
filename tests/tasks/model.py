"""What one user's tasks must be, as plain data: the contract told a second time, without a database."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

JSONObject = dict[str, Any]

PRIORITIES = ["low", "medium", "high"]
STATUSES = ["pending", "in_progress", "completed", "cancelled"]
DEFAULTS: JSONObject = {"description": "", "priority": "medium", "tags": [], "extra": {}, "reminders": []}
OPEN = {"pending", "in_progress"}
MAX_DEPTH = 5
READ_ONLY = {"id", "user_id", "completed_at", "created_at", "updated_at", "version"}


class Request(NamedTuple):
    method: str
    body: JSONObject
    task_id: int | None = None
    action: str = ""  # the part of the path behind the task
    key: str | None = None
    if_match: str | None = None

    @property
    def path(self) -> str:
        return "/api/me/tasks" + ("" if self.task_id is None else f"/{self.task_id}{self.action}")

    @property
    def headers(self) -> dict[str, str]:
        headers = {"idempotency_key": self.key, "if_match": self.if_match}
        return {name: value for name, value in headers.items() if value is not None}


class Expected(NamedTuple):
    """What is answered: the task, or for a problem the task that it carries as `current`."""

    status: int
    task: JSONObject | None = None
    replayed: bool = False


@dataclass
class Model:
    user_id: str
    head: int = 0
    tasks: dict[int, JSONObject] = field(default_factory=dict)
    projects: set[int] = field(default_factory=set)
    uids: set[str] = field(default_factory=set)  # also those of deleted tasks
    answers: dict[Any, tuple[JSONObject, Expected]] = field(default_factory=dict)

    def expect(self, request: Request, is_valid: bool, now: str, made: JSONObject | None) -> Expected:
        """The answer to a request; `made` is the new task as answered, of which only id and uid are unforeseeable."""
        slot = (request.key, request.method, request.task_id, request.action)
        if request.key is not None and slot in self.answers:
            body, answer = self.answers[slot]
            return answer._replace(replayed=True) if body == request.body else Expected(422)
        expected = self._answer(request, now, made) if is_valid else Expected(400)
        if request.key is not None and expected.status < 400:
            self.answers[slot] = (request.body, expected)
        return expected

    def _answer(self, request: Request, now: str, made: JSONObject | None) -> Expected:
        if request.task_id is None:
            return self._create(request.body, now, made)
        task = self.tasks.get(request.task_id)
        if task is None:
            return Expected(404)
        if request.if_match is not None and not _matches(request.if_match, task["version"]):
            return Expected(412, task)
        if request.method == "delete":
            for each in [task, *self._below(task)]:
                self.head += 1
                del self.tasks[each["id"]]
            return Expected(204)
        body = request.body
        if body.get("uid", task["uid"]) != task["uid"] or _contradicts(body, task) or not self._fits(body, task):
            return Expected(400)
        if request.action and "completed" not in body:
            body = {"completed": not task["completed"]}
        return Expected(200, self._change(task, body, now))

    def _create(self, body: JSONObject, now: str, made: JSONObject | None) -> Expected:
        if _contradicts(body, {"status": None, "completed": None}) or not self._fits(body, None):
            return Expected(400)
        if body.get("uid") in self.uids:
            return Expected(409, next((task for task in self.tasks.values() if task["uid"] == body["uid"]), None))
        assert made is not None
        nowhere = {"project_id": None, "parent_id": None, "position": made["position"]}
        new = {
            **DEFAULTS,
            **nowhere,
            "status": "pending",
            "due_date": None,
            "due_at": None,
            "completed_at": None,
            "version": None,
        }
        fixed = {"id": made["id"], "uid": body.get("uid", made["uid"]), "user_id": self.user_id, "created_at": now}
        self.uids.add(fixed["uid"])
        return Expected(201, self._change({**new, **fixed}, body, now))

    def _change(self, task: JSONObject, sent: JSONObject, now: str) -> JSONObject:
        sent = {name: value for name, value in sent.items() if name not in READ_ONLY}
        if _disagree(sent):  # the one that has changed counts
            del sent["status" if sent["status"] == task["status"] else "completed"]
        if sent.get("parent_id"):
            sent["project_id"] = self.tasks[sent["parent_id"]]["project_id"]
        changed = _settled({**task, **_meant(sent)}, now)
        if changed == task:
            return task
        operation = {task["id"]: changed, **self._consequences(task, changed, now)}
        for task_id, each in sorted(operation.items()):
            self.head += 1
            self.tasks[task_id] = each | {"version": self.head, "updated_at": now}
        return self.tasks[task["id"]]

    # --- The tree ---

    def _consequences(self, task: JSONObject, changed: JSONObject, now: str) -> dict[int, JSONObject]:
        """The others of its tree that change along."""
        others = {}
        for each in self._below(task):
            is_completed = changed["status"] == "completed" != task["status"] and each["status"] in OPEN
            status = "completed" if is_completed else each["status"]
            others[each["id"]] = _settled({**each, "status": status, "project_id": changed["project_id"]}, now)
        if changed["status"] in OPEN and task["status"] not in OPEN:
            closed = [each for each in self._above(changed) if each["status"] not in OPEN]
            others |= {each["id"]: _settled({**each, "status": "pending"}, now) for each in closed}
        return {task_id: each for task_id, each in others.items() if each != self.tasks[task_id]}

    def _above(self, task: JSONObject) -> list[JSONObject]:
        parent = self.tasks.get(task["parent_id"])
        return [parent, *self._above(parent)] if parent else []

    def _below(self, task: JSONObject) -> list[JSONObject]:
        children = [each for each in self.tasks.values() if each["parent_id"] == task["id"]]
        return [each for child in children for each in (child, *self._below(child))]

    def _height(self, task: JSONObject | None) -> int:
        """In levels."""
        children = [each for each in self.tasks.values() if task and each["parent_id"] == task["id"]]
        return 1 + max(map(self._height, children), default=0)

    def _fits(self, body: JSONObject, task: JSONObject | None) -> bool:
        """Whether it may be in this place."""
        parent_id = body.get("parent_id", task and task["parent_id"])
        parent, project_id = parent_id and self.tasks.get(parent_id), body.get("project_id")
        if (parent_id and not parent) or (project_id and project_id not in self.projects):
            return False
        if not parent:
            return True
        line = [parent, *self._above(parent)]
        is_cycle = task is not None and task["id"] in {each["id"] for each in line}
        follows = "project_id" not in body or project_id == parent["project_id"]
        return not is_cycle and follows and len(line) + self._height(task) <= MAX_DEPTH


def _matches(if_match: str, version: int) -> bool:
    return if_match == "*" or f'"{version}"' in if_match.split(", ")


def _contradicts(sent: JSONObject, task: JSONObject) -> bool:
    """Whether status and completed have both changed, and do not agree."""
    return _disagree(sent) and sent["status"] != task["status"] and sent["completed"] != task["completed"]


def _disagree(sent: JSONObject) -> bool:
    return {"status", "completed"} <= sent.keys() and sent["completed"] != (sent["status"] == "completed")


def _meant(sent: JSONObject) -> JSONObject:
    """The members of a task that a body sets."""
    meant = {name: DEFAULTS[name] if value is None and name in DEFAULTS else value for name, value in sent.items()}
    if "title" in meant:
        meant["title"] = meant["title"].strip()
    if "tags" in meant:
        tags = [tag.strip() for tag in meant["tags"]]
        meant["tags"] = [tag for place, tag in enumerate(tags) if tag.lower() not in map(str.lower, tags[:place])]
    if "completed" in meant:
        meant.setdefault("status", "completed" if meant["completed"] else "pending")
    if meant.get("due_at"):
        meant["due_date"] = meant["due_at"][:10]  # their time zone is UTC
    elif "due_date" in meant:
        meant["due_at"] = None
    return meant


def _settled(task: JSONObject, now: str) -> JSONObject:
    completed = task["status"] == "completed"
    return {**task, "completed": completed, "completed_at": (task["completed_at"] or now) if completed else None}


# --- The list ---------------------------------------------------------------------------------------


def plain(text: str) -> str:
    """As the words of these tests are searched and sorted."""
    return text.lower().replace("é", "e")


def _texts(task: JSONObject) -> str:
    return plain("\n".join([task["title"], task["description"], *task["tags"]]))


FILTERS: dict[str, Callable[[JSONObject, Any], bool]] = {
    "status": lambda task, wanted: wanted == "all" or task["status"] in wanted.split(","),
    "completed": lambda task, wanted: task["completed"] == (wanted == "true"),
    "priority": lambda task, wanted: bool(task["priority"] == wanted),
    "tag": lambda task, wanted: {*map(str.lower, wanted)} <= {*map(str.lower, task["tags"])},
    "due_before": lambda task, wanted: bool(task["due_date"] and task["due_date"] < wanted),
    "due_after": lambda task, wanted: bool(task["due_date"] and task["due_date"] > wanted),
    "search": lambda task, wanted: all(word in _texts(task) for word in plain(wanted).split()),
    "updated_since": lambda task, wanted: bool(task["updated_at"] >= wanted),
}
SORTS: dict[str, Callable[[JSONObject], Any]] = {
    "created": lambda task: task["created_at"],
    "updated": lambda task: task["updated_at"],
    "due_date": lambda task: task["due_date"] and (task["due_date"], task["due_at"] or "9999"),
    "priority": lambda task: PRIORITIES.index(task["priority"]),
    "title": lambda task: plain(task["title"]),
}


def selected(tasks: list[JSONObject], query: JSONObject) -> list[JSONObject]:
    """What the list answers, all pages together."""
    wanted = {name: value for name, value in query.items() if name in FILTERS}
    found = [task for task in tasks if all(FILTERS[name](task, value) for name, value in wanted.items())]
    sort = query.get("sort", "-created")
    key = SORTS[sort.removeprefix("-")]
    dated = [task for task in found if key(task) is not None]
    undated = [task for task in found if key(task) is None]
    backwards = sort.startswith("-")
    return [
        *sorted(dated, key=lambda task: (key(task), task["id"]), reverse=backwards),
        *sorted(undated, key=lambda task: int(task["id"]), reverse=backwards),
    ]


def instant(moment: dt.datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
