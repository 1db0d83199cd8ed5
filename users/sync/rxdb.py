"""RxDB's replication protocol: documents, which are named by uid, over the changes and the services of a resource."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from django.db import transaction

from config.database.transactions import retried_transaction
from config.errors import Conflict, DomainError
from config.http.json import to_json
from config.values import nfc
from users.resources import feed, log, operations
from users.resources.errors import UnknownReference
from users.resources.models import OwnedModel, Reference
from users.resources.resource import Resource
from users.sync import changes
from users.sync.cursors import Cursor
from users.tokens.callers import Actor

DELETED = "_deleted"
MAX_WRITES = 100

Document = Mapping[str, Any]


class Assumed(NamedTuple):
    """What the client knows of the server's document; `content` is None if it is no valid one."""

    version: int | None
    is_deleted: bool
    content: Mapping[str, Any] | None


class Write(NamedTuple):
    """A document as the client wants it to be, and what it would take; None where that is invalid."""

    document: Document
    is_deleted: bool
    content: Mapping[str, Any] | None  # of a new row
    changes: Mapping[str, Any] | None  # of the row that the client assumes
    assumed: Assumed | None


class Refused(Exception):
    """The server's document stays as it is."""


class ReferenceNotStored(Conflict):
    """What a document refers to by uid was never here. Perhaps it is still to be sent, by another collection."""

    code = "reference_not_stored"
    title = "What it refers to is not stored yet"


# --- Documents --------------------------------------------------------------------------------------


def uid_members(resource: Resource) -> dict[str, Reference]:
    """The members that name other objects by uid, which only documents show."""
    names = {f"{each.name}_uid": each for each in resource.model.references()}
    return {name: each for name, each in names.items() if name in resource.serializer._declared_fields}


def _as_document(name: str, shown: dict[str, Any], is_deleted: bool) -> dict[str, Any]:
    return {**shown, DELETED: is_deleted}


def _name_by_uid(user: Actor, resource: Resource, documents: Sequence[dict[str, Any]]) -> None:
    """Add the `uid_members`."""
    for member, reference in uid_members(resource).items():
        pks = {document[reference.attname] for document in documents} - {None}
        target: Any = reference.related_model
        uids = dict(target.objects.for_user(user).filter(pk__in=pks).values_list("pk", "uid")) if pks else {}
        for document in documents:
            document[member] = uids.get(document[reference.attname])


def _document_of(user: Actor, resource: Resource, row: OwnedModel) -> dict[str, Any]:
    """As the client will read it."""
    document = _as_document(
        resource.name, resource.serializer.represent_row(row, user.public_id), row.deleted_at is not None
    )
    _name_by_uid(user, resource, [document])
    told: dict[str, Any] = orjson.loads(to_json(document))
    return told


def pull(user: Actor, resource: Resource, limit: int, since: Cursor | None) -> tuple[list[dict[str, Any]], Cursor]:
    """The next documents, and where the ones after them begin.

    So many as the limit, unless these are all: RxDB stops at a page with fewer. At first deleted ones come, too: RxDB
    keeps no checkpoint of an empty page, so a client without one may have pushed what another has deleted since.
    Raises what `changes.page` raises.
    """
    documents: list[dict[str, Any]] = []
    while True:
        page = changes.page(user, limit - len(documents), since, {resource.name}, _as_document, with_deleted=True)
        documents += page.changes
        since = page.cursor
        if not page.more or len(documents) >= limit:
            _name_by_uid(user, resource, documents)
            return documents, since


# --- Writes -----------------------------------------------------------------------------------------


@retried_transaction
def push(user: Actor, resource: Resource, writes: Sequence[Write]) -> tuple[list[Document], int | None]:
    """Store what is valid, of rows that are as the client assumes; all of it is one operation.

    A document may refer by uid to a later one. Returns, of all others, the server's document as it stays, and the
    operation, None if nothing has changed. Raises ReferenceNotStored and OperationTooLarge: then nothing is stored.
    """
    before = feed.lock(user).head
    kept: list[Document] = []
    pending = dict(enumerate(writes))
    while pending:
        waiting: dict[int, UnknownReference] = {}
        for index, write in pending.items():
            try:
                kept += _Push(user, resource, write, kept).run()
            except UnknownReference as error:
                waiting[index] = error
            if feed.current_version(user) - before > operations.MAX_ROWS:  # a write may change many
                raise operations.too_large()
        if len(waiting) == len(pending):
            index, unknown = next(iter(waiting.items()))
            pointer = f"/{index}/newDocumentState{unknown.pointer}"
            raise ReferenceNotStored(unknown.detail, pointer=pointer) from unknown
        pending = {index: pending[index] for index in waiting}
    head = log.join(user, before)
    return kept, head if head > before else None


@dataclass(frozen=True)
class _Push:
    """One write, with the feed locked."""

    user: Actor
    resource: Resource
    write: Write
    kept: Sequence[Document]  # of those before

    def run(self) -> list[Document]:
        """The server's document, if it stays as it is and differs. Raises UnknownReference for one that may come."""
        try:
            with transaction.atomic():
                self._apply()
        except UnknownReference as unknown:
            if self._may_come(unknown):
                raise
        except (Refused, DomainError):
            pass
        else:
            return []
        row, document = self._row(), self.write.document
        return [{**document, DELETED: True} if row is None else _document_of(self.user, self.resource, row)]

    def _row(self) -> Any:
        """The server's, also one in the trash."""
        return self.resource.model.objects.for_user(self.user).filter(uid=nfc(self.write.document["uid"])).first()

    def _may_come(self, unknown: UnknownReference) -> bool:
        """Whether what is unknown is named by a uid that was never here, not even in the trash, nor just refused."""
        member = (unknown.pointer or "")[1:]
        reference = uid_members(self.resource).get(member)
        if reference is None:
            return False
        target: Any = reference.related_model
        uid = nfc(self.write.document[member])
        if target is self.resource.model and uid in {nfc(each["uid"]) for each in self.kept}:
            return False
        return not target.objects.for_user(self.user).filter(uid=uid).exists()

    def _apply(self) -> None:
        """Raises Refused and DomainError."""
        row = self._row()
        if self.write.is_deleted:
            if row is not None and row.deleted_at is None:
                self._require_assumed(row)
                self.resource.delete(self.user, row.pk, expected_version=None)
        elif row is None:
            self.resource.create(self.user, **_valid(self.write.content))
        else:
            self._require_assumed(row)
            self._change(row)

    def _change(self, row: OwnedModel) -> None:
        sent = self.write.changes
        if is_restored := row.deleted_at is not None:
            self.resource.restore(self.user, row.pk, expected_version=None)
            sent = self.write.content
        row = self.resource.update(self.user, row.pk, _valid(sent), expected_version=None)
        if row.operation is None and not is_restored and not self._is_known(row):
            raise Refused

    def _is_known(self, row: OwnedModel) -> bool:
        """Whether the client has the row as it is. Nothing of a change that changed nothing will be read later, so that
        what differs, such as a read-only member, would differ for good. RxDB passes over what it reads of a document
        that it is still to push."""
        write, shown = self.write, _document_of(self.user, self.resource, row)
        if write.changes and write.assumed and write.assumed.version != row.version:
            return False
        return not any(shown[name] != value for name, value in write.document.items() if name in shown)

    def _require_assumed(self, row: OwnedModel) -> None:
        """Raises Refused if the row is not what the client assumes.

        A client does not learn the version of what it has pushed before it reads it. So one with another version
        counts as well, if it has the assumed content.
        """
        assumed = self.write.assumed
        if assumed is None:
            raise Refused
        if assumed.version == row.version or (assumed.is_deleted and row.deleted_at is not None):
            return
        if assumed.is_deleted or row.deleted_at is not None or not self._has_content(row, assumed.content):
            raise Refused

    def _has_content(self, row: OwnedModel, content: Mapping[str, Any] | None) -> bool:
        """Whether to store this content would change nothing."""
        if content is None:
            return False
        try:
            with transaction.atomic():
                updated: OwnedModel = self.resource.update(self.user, row.pk, content, expected_version=None)
                if updated.operation is not None:
                    transaction.set_rollback(True)
        except DomainError:  # such as a reference that was left out when it was sent
            return False
        return updated.operation is None


def _valid(content: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if content is None:
        raise Refused
    return content
