"""Holds what devices were told, and what they have in the end, against what the service's log says."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Any, NamedTuple

from tests.chaos.replicas.history import History, State
from tests.chaos.replicas.store import Answer, Objects

# Whatever else is answered is no answer that a client of the contract expects.
EXPECTED = {200, 201, 204, 304, 400, 404, 409, 410, 412, 422}
REFUSED = range(400, 500)
SHOWN_SERIES = ("from", "rule", "zone")  # of a recurrence; what is stored beside them is not shown


class Epoch(NamedTuple):
    """From one restore to the next."""

    base: int  # all that is written in it has a higher number
    ended_at: float  # time.monotonic(); no request that begins later is answered by it
    history: History  # at its end
    parent: int = 0  # the epoch of the backup that it began with
    backed_up_at: float = 0  # when that backup began


class Told(NamedTuple):
    """An object in an answer; without members if it is deleted."""

    type: str
    id: int
    uid: str
    version: int
    shown: dict[str, Any] | None


class Truth:
    """What is wrong is gathered in `complaints`."""

    def __init__(self, epochs: list[Epoch]) -> None:
        self.epochs = epochs
        self.complaints: list[str] = []
        self.uids: dict[tuple[str, int, int | None], str] = {}  # by type, id, and when it was created
        for number, epoch in enumerate(epochs):
            self.complaints += [f"log of epoch {number}: {lie}" for lie in epoch.history.lies]

    def judge(self, devices: list[list[Answer]]) -> None:
        """What each device was told, in the order in which it was."""
        everything = [answer for answers in devices for answer in answers]
        for answer in everything:
            self.examine_uids(answer)
        for answer in everything:
            self.examine(answer)
        for answers in devices:
            self.examine_reading([answer for answer in answers if is_reading(answer)])
        self.examine_order(everything)
        self.examine_effects()
        self.examine_restores(everything)

    def complain(self, answer: Answer, what: str) -> None:
        method, path, *_ = answer.request
        self.complaints.append(f"{method} {path} {answer.status} at {answer.began_at:.3f}: {what}")

    def epoch_of(self, answer: Answer) -> int:
        """A request is answered by the service that was there when it began."""
        return bisect_right([epoch.ended_at for epoch in self.epochs], answer.began_at)

    def epoch_of_number(self, number: int) -> int:
        return bisect_right([epoch.base for epoch in self.epochs], number) - 1

    # --- Each answer ----------------------------------------------------------------------------------

    def examine_uids(self, answer: Answer) -> None:
        """An object has one uid."""
        born = self.epochs[self.epoch_of(answer)].history.born
        for told in told_in(answer):
            key = (told.type, told.id, born.get((told.type, told.id)))
            if self.uids.setdefault(key, told.uid) != told.uid:
                self.complain(answer, f"{told.type} {told.id} has the uid {told.uid}, and {self.uids[key]} before")

    def examine(self, answer: Answer) -> None:
        if answer.status not in EXPECTED:
            self.complain(answer, str(answer.body))
        for told in told_in(answer):
            self.examine_object(answer, told)
            self.examine_references(answer, told)
        if answer.operation is not None and answer.status < 300:
            self.examine_write(answer)
        # A push whose reference is not stored yet is sent again, and then may be stored.
        if answer.attempts == 1 and not (pushed(answer) and answer.status == 409):
            self.examine_refusals(answer)
        if answer.status == 200:
            for row in pushed(answer):
                self.examine_document(answer, row)

    def examine_object(self, answer: Answer, told: Told) -> None:
        """It is what the log says that this version was."""
        history = self.epochs[self.epoch_of(answer)].history
        state = history.states.get(told.version)
        if state is None:
            self.complain(answer, f"{told.type} {told.id} at version {told.version}, which is lost or never was")
        elif (state.type, state.id) != (told.type, told.id):
            self.complain(answer, f"{told.type} {told.id} at {told.version}, which is {state.type} {state.id}")
        elif (told.type, told.id) not in history.erased and (difference := differs(told, state)):
            self.complain(answer, f"{told.type} {told.id} at {told.version}: {difference}")

    def examine_references(self, answer: Answer, told: Told) -> None:
        """The uids by which an RxDB document names others are those of their ids."""
        born = self.epochs[self.epoch_of(answer)].history.born
        for name, type_ in (("project", "project"), ("parent", told.type)):
            if told.shown and f"{name}_uid" in told.shown:
                id_, uid = told.shown[f"{name}_id"], told.shown[f"{name}_uid"]
                expected = self.uids.get((type_, id_, born.get((type_, id_))), uid) if id_ else None
                if uid != expected or (uid is None and id_):
                    self.complain(answer, f"the {name} of {told.type} {told.id} is {uid}, not {expected}")

    def examine_write(self, answer: Answer) -> None:
        """What was acknowledged is in the log, and what was conditional changed the version that it named."""
        history = self.epochs[self.epoch_of(answer)].history
        entries = history.operations.get(answer.operation or 0, [])
        if not entries:
            self.complain(answer, f"operation {answer.operation} was acknowledged, and is lost")
        expected = answer.request.headers.get("If-Match")
        if expected and not any(entry.previous == int(expected.strip('"')) for entry in entries):
            self.complain(answer, f"changed {[entry.previous for entry in entries]}, but expected {expected}")
        if answer.request.path == "/undo":
            changed = {(each["type"], each["id"], each["version"]) for each in answer.body["changed"]}
            if changed != {(entry.type, entry.id, entry.version) for entry in entries}:
                self.complain(answer, f"undone: {changed}")

    def examine_document(self, answer: Answer, row: dict[str, Any]) -> None:
        """What an RxDB client wanted to be stored is stored, unless it was told otherwise."""
        history, uid = self.epochs[self.epoch_of(answer)].history, row["newDocumentState"]["uid"]
        is_erased = any(self.uids.get((*key, history.born[key])) == uid for key in history.erased)
        if not is_erased and (lost := set(texts([row])) - set(refused(answer)) - history.written.keys()):
            self.complain(answer, f"not refused, and not stored: {lost}")

    def examine_refusals(self, answer: Answer) -> None:
        """What was refused when it was first sent had no effect."""
        history = self.epochs[self.epoch_of(answer)].history
        if kept := set(refused(answer)) & history.written.keys():
            self.complain(answer, f"refused, but stored: {kept}")

    def examine_reading(self, answers: list[Answer]) -> None:
        """A cursor counts in its epoch only, and no object's version goes back."""
        given: dict[str, int] = {}  # the epoch of each cursor
        versions: dict[tuple[str, int], int] = {}
        for answer in answers:
            epoch, head, (since, following) = self.epoch_of(answer), head_in(answer), cursors(answer)
            if answer.status == 410:
                versions = {}
                continue
            if head is not None and self.epoch_of_number(head) != epoch:
                self.complain(answer, f"the head {head} is of another epoch")
            if since and given.get(since) != epoch:
                self.complain(answer, f"a cursor of epoch {given.get(since)} was taken in epoch {epoch}")
            if following:
                given[following] = epoch
            for told in told_in(answer):
                if told.version < versions.get((told.type, told.id), 0):
                    self.complain(answer, f"{told.type} {told.id} goes back to version {told.version}")
                versions[told.type, told.id] = told.version

    # --- All answers together -------------------------------------------------------------------------

    def examine_order(self, answers: Iterable[Answer]) -> None:
        """Nobody is told a head that is older than what anybody was told before they asked, nor given an old number."""
        numbered = [answer for answer in answers if answer.status < 400 and number_of(answer) is not None]
        by_end = iter(sorted(numbered, key=attrgetter("ended_at")))
        ended, known = next(by_end, None), 0
        for answer in sorted(numbered, key=attrgetter("began_at")):
            while ended is not None and ended.ended_at < answer.began_at:
                known = max(known, number_of(ended) or 0)
                ended = next(by_end, None)
            number = number_of(answer) or 0
            is_new = answer.operation is not None and not answer.is_replay
            if (is_new or head_in(answer) is not None) and number < known:
                self.complain(answer, f"{number}, though {known} was told before")

    def examine_effects(self) -> None:
        """What is sent again takes effect once."""
        for number, epoch in enumerate(self.epochs):
            doubled = [text for text, times in epoch.history.written.items() if times > 1]
            self.complaints += [f"epoch {number}: {text} took effect twice" for text in doubled]

    def examine_restores(self, answers: Iterable[Answer]) -> None:
        """A restored backup is the beginning of its epoch's log, and holds all that was acknowledged before."""
        acknowledged = [answer for answer in answers if answer.operation is not None and answer.status < 300]
        for number, epoch in enumerate(self.epochs[1:], 1):
            parent = self.epochs[epoch.parent]
            kept = [entry for version, entry in epoch.history.entries.items() if version < epoch.base]
            last = kept[-1].version if kept else 0
            before = [entry for version, entry in parent.history.entries.items() if version <= max(last, parent.base)]
            if [entry[:-1] for entry in kept] != [entry[:-1] for entry in before]:
                self.complaints.append(f"epoch {number} does not begin as epoch {epoch.parent} was at {last}")
            for answer in acknowledged:
                is_older = self.epoch_of(answer) == epoch.parent and answer.ended_at < epoch.backed_up_at
                if is_older and answer.operation not in epoch.history.operations:
                    self.complain(answer, f"operation {answer.operation} is older than the backup, and lost")

    # --- The end --------------------------------------------------------------------------------------

    def examine_server(self, stored: Objects) -> None:
        """What the lists show is what the log tells."""
        history = self.epochs[-1].history
        live = history.live()
        if live != {key: shown["version"] for key, shown in stored.items()}:
            self.complaints.append(f"the log and the lists differ: {sorted(live.keys() ^ stored.keys())}")
        for (type_, id_), shown in stored.items():
            told = Told(type_, id_, shown["uid"], shown["version"], shown)
            if difference := differs(told, history.states[shown["version"]]):
                self.complaints.append(f"{type_} {id_} is stored otherwise than logged: {difference}")


def differences(copy: Objects, stored: Objects) -> list[str]:
    """Between what a device has and what the server has."""
    missing = [f"{key} is missing" for key in stored.keys() - copy.keys()]
    gone = [f"{key} is not there any more" for key in copy.keys() - stored.keys()]
    old = [f"{key} is another" for key in stored.keys() & copy.keys() if copy[key] != stored[key]]
    return [*missing, *gone, *old]


def told_in(answer: Answer) -> Iterator[Told]:
    """The objects in an answer, also those that a refusal shows."""
    if answer.request.path.startswith("/changes"):
        for change in (answer.body or {}).get("changes", ()):
            named = change if "deleted" in change else change["object"]
            yield Told(change["type"], named["id"], named["uid"], change["version"], change.get("object"))
        return
    echoes = [{**row["newDocumentState"], "_deleted": True} for row in pushed(answer)]
    for shown in _shown_in(answer.body):
        if shown not in echoes:
            type_ = "task" if "title" in shown else "project"
            is_deleted = shown.get("_deleted", False)
            yield Told(type_, shown["id"], shown["uid"], shown["version"], None if is_deleted else shown)


def _shown_in(body: Any) -> Iterator[dict[str, Any]]:
    """Of a list, a page of documents, a batch, a refusal, or one object."""
    if isinstance(body, list):
        yield from body
    elif isinstance(body, dict):
        yield from body.get("documents", ())
        for result in body.get("results", ()):
            yield from _shown_in(result.get("object") or result.get("problem"))
        if "current" in body:
            yield body["current"]
        elif "version" in body:
            yield body


def pushed(answer: Answer) -> list[dict[str, Any]]:
    """The documents that an RxDB client wanted to be stored, with what it assumed."""
    return answer.request.body if answer.request.path.endswith("/push") else []


def differs(told: Told, state: State) -> str | None:
    """In what an object that was told is not as it was."""
    if (told.shown is None) != state.is_deleted:
        return "it is deleted" if state.is_deleted else "it is not deleted"
    if told.shown is None:
        return None
    expected = dict(state.members)
    if series := expected.get("recurrence"):
        expected["recurrence"] = {name: series[name] for name in SHOWN_SERIES}
    if told.type == "task":
        expected["completed"] = expected["status"] == "completed"
    wrong = [name for name, value in expected.items() if name in told.shown and told.shown[name] != value]
    return "; ".join(f"{name} is {expected[name]!r}, told as {told.shown[name]!r}" for name in wrong) or None


def number_of(answer: Answer) -> int | None:
    """The newest number that an answer tells of."""
    return answer.operation or answer.number or head_in(answer)


def refused(answer: Answer) -> Iterator[str]:
    """The texts that an answer says it has not stored."""
    if answer.status in REFUSED:
        yield from texts(answer.request.body)
    elif answer.request.path == "/batch" and answer.status == 200:
        for step, result in zip(answer.request.body["operations"], answer.body["results"], strict=True):
            if "problem" in result:
                yield from texts(step["body"])
    elif pushed(answer) and answer.status == 200:
        kept = {document["uid"] for document in answer.body}
        yield from texts([row for row in pushed(answer) if row["newDocumentState"]["uid"] in kept])


def texts(body: Any) -> Iterator[str]:
    """Those that only this request writes; a document that goes to the trash is not changed first."""
    if isinstance(body, list):
        for row in body:
            if row["newDocumentState"]["_deleted"]:
                continue
            old = set(texts(row["assumedMasterState"]))
            yield from (text for text in texts(row["newDocumentState"]) if text not in old)
    elif isinstance(body, dict):
        yield from (body[name] for name in ("title", "name") if name in body)
        for step in body.get("operations", ()):
            yield from texts(step["body"])


def cursors(answer: Answer) -> tuple[str, str | None]:
    """Where a page begins, empty for the first one, and where the next one does."""
    _, _, since = answer.request.path.replace("&id=", "&since=").partition("&since=")
    body = answer.body if answer.status == 200 else {}
    return since, body.get("cursor") or body.get("checkpoint", {}).get("id")


def is_reading(answer: Answer) -> bool:
    return answer.request.path.startswith("/changes") or "/pull?" in answer.request.path


def head_in(answer: Answer) -> int | None:
    """The user's head, where an answer tells it."""
    path, body = answer.request.path, answer.body
    if "/pull?" in path and answer.status == 200:
        limit = int(path.partition("limit=")[2].partition("&")[0])
        return body["checkpoint"]["lwt"] if len(body["documents"]) < limit else None
    return answer.number if path.startswith(("/changes", "/tasks?")) else None
