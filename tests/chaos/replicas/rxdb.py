"""A device that is an RxDB client: it pulls and pushes documents, as docs/guide/offline/tickbase-rxdb.js lets RxDB do.

https://rxdb.info/replication.html: what was written here waits until it is pushed with the server's document as it is
known; the answer has those that are another meanwhile, and the server's wins. Pulling leaves alone what waits.
"""

import random
import threading
from typing import Any

from tests.chaos.replicas.line import Line
from tests.chaos.replicas.readers import PLURALS, RESYNC, listen
from tests.chaos.replicas.store import Document, Objects, Request, Store

PUSHED, LIMITS = 10, (5, 100)
DELETED = "_deleted"
OWN_MEMBERS = {DELETED, "project_uid", "parent_uid"}  # which only documents have


class Client:
    """Two collections, of which pull and push are never under way at the same time."""

    queue = threading.Lock()  # of both threads of the device

    def __init__(self, store: Store, line: Line, chance: random.Random) -> None:
        self.store, self.line, self.random = store, line, chance

    # --- Down -----------------------------------------------------------------------------------------

    def read(self) -> bool:
        return not self.resync() or listen(self.line, "/sync/tasks/0/pullStream", RESYNC, self.resync)

    def resync(self) -> bool:
        """Pull both collections to the end; False without an answer."""
        with self.queue:
            heads = [self._pull_all(type_) for type_ in PLURALS]
            if None not in heads:
                self.store.keep("head", str(min(head or 0 for head in heads)))
            return None not in heads

    def _pull_all(self, type_: str) -> int | None:
        while (found := self._pull(type_)) is not None:
            lwt, is_end = found
            if is_end:
                return lwt
        return None

    def _pull(self, type_: str) -> tuple[int, bool] | None:
        """One page; returns the number of its checkpoint, and whether it is the last one."""
        lwt, _, id_ = (self.store.kept(f"checkpoint {type_}") or "0 ").partition(" ")
        limit = self.random.choice(LIMITS)
        answer = self.line.ask(Request("GET", f"/sync/{PLURALS[type_]}/0/pull?limit={limit}&lwt={lwt}&id={id_}"))
        if answer is None:
            return None
        with self.store.transaction():
            self.store.note(answer)
            if answer.status == 410:
                self.store.drop_known_documents(type_)
                self.store.keep(f"checkpoint {type_}", "0 ")
                self.store.keep("head", "")
                return 0, False
            if answer.status != 200:
                return None
            known = {each.own["uid"]: each for each in self.store.documents(type_)}
            for master in answer.body["documents"]:
                if master["uid"] not in known or not known[master["uid"]].is_pending:
                    self.store.put_document(Document(type_, master, master))
            checkpoint = answer.body["checkpoint"]
            self.store.keep(f"checkpoint {type_}", f"{checkpoint['lwt']} {checkpoint['id']}")
        return checkpoint["lwt"], len(answer.body["documents"]) < limit

    # --- Up -------------------------------------------------------------------------------------------

    def push(self) -> None:
        """What waits, projects first, since tasks refer to them."""
        with self.queue:
            for type_ in reversed(PLURALS):
                pending = [each for each in self.store.documents(type_) if each.is_pending]
                if pending and not self._push(type_, pending[:PUSHED]):
                    return

    def _push(self, type_: str, pending: list[Document]) -> bool:
        pending = [each._replace(attempts=each.attempts + 1) for each in pending]
        with self.store.transaction():
            for document in pending:
                self.store.put_document(document)
        rows = [{"newDocumentState": each.own, "assumedMasterState": each.assumed} for each in pending]
        request = Request("POST", f"/sync/{PLURALS[type_]}/0/push", rows)
        answer = self.line.ask(request, max(each.attempts for each in pending))
        if answer is None:
            return False
        masters = {master["uid"]: master for master in answer.body} if answer.status == 200 else {}
        with self.store.transaction():
            self.store.note(answer)
            if answer.status == 409:
                self.store.put_document(without_reference(pending, answer.body))
            for document in pending if answer.status == 200 else ():
                master = masters.get(document.own["uid"], document.own)
                self.store.put_document(Document(type_, master, master))
        return answer.status == 200

    # --- Writes ---------------------------------------------------------------------------------------

    def write(self) -> None:
        with self.queue, self.store.transaction():
            type_ = self.random.choices(["task", "project"], [8, 1])[0]
            live = [each for each in self.store.documents(type_) if not each.own[DELETED]]
            if not live or self.random.random() < 20 / (20 + len(live)):
                self.store.put_document(Document(type_, self._new(type_), None))
            else:
                chosen = self.random.choice(live)
                self.store.put_document(waiting(chosen, self._change(type_)))

    def _new(self, type_: str) -> dict[str, Any]:
        document: dict[str, Any] = {"uid": self._unique(), DELETED: False}
        if type_ == "project":
            return {**document, "name": self._unique()}
        return {**document, "title": self._unique(), "tags": ["home"], "project_uid": self._some_project()}

    def _change(self, type_: str) -> dict[str, Any]:
        chosen = self.random.random()
        if chosen < (0.15 if type_ == "task" else 0.03):
            return {DELETED: True}
        if type_ == "project":
            return {"name": self._unique()}
        if chosen < 0.3:
            return {"status": self.random.choice(["completed", "pending"])}
        if chosen < 0.4:
            return {"project_uid": self._some_project()}
        return {"title": self._unique()}

    def _some_project(self) -> str | None:
        known: list[str] = [each.own["uid"] for each in self.store.documents("project") if not each.own[DELETED]]
        return self.random.choice([*known, None])

    def _unique(self) -> str:
        return f"{self.random.getrandbits(128):032x}"


def waiting(document: Document, change: dict[str, Any]) -> Document:
    """Also one that is again as the server's was: what was read of it while it waited was passed over, and RxDB, which
    would not push it, would learn of that with its next change only."""
    own, assumed = {**document.own, **change}, document.assumed
    return document._replace(own=own, assumed={**assumed, "version": 0} if assumed == own else assumed)


def without_reference(pushed: list[Document], problem: dict[str, Any]) -> Document:
    """What a document refers to was refused, or a restore has taken it back: all else of it is to be stored."""
    assert problem["code"] == "reference_not_stored", problem
    _, row, _, member = problem["errors"][0]["pointer"].split("/")
    document = pushed[int(row)]
    return waiting(document, {member: None})


def copy_of(store: Store) -> Objects:
    """As the API shows it."""
    found: Objects = {}
    for type_ in PLURALS:
        for document in store.documents(type_):
            if not document.own[DELETED]:
                shown = {name: value for name, value in document.own.items() if name not in OWN_MEMBERS}
                found[type_, shown.get("id", -1)] = shown
    return found
