"""Batches: several writes of one user in one transaction and one operation."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import groupby
from time import monotonic
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from config.database.transactions import retried_transaction
from config.errors import DomainError, OperationTooLarge
from config.values import nfc
from users.resources import errors, feed, log, operations, references
from users.resources.models import OwnedModel
from users.resources.resource import Resource
from users.sync.cursors import Cursor
from users.tokens.callers import Actor

MAX_STEPS = 100

Result = OwnedModel | DomainError


class StepFailed(Exception):
    """A step of an atomic batch was refused; nothing is stored. `__cause__` is the DomainError."""

    def __init__(self, index: int) -> None:
        super().__init__(f"step {index}")
        self.index = index


@dataclass(frozen=True)
class Step:
    """A write: a service of a resource, and what it is called with. A row is named by its id or its uid."""

    resource: Resource
    service: Callable[..., Any]
    sent: Mapping[str, Any] | None  # None of a service that takes no content
    options: Mapping[str, Any]
    pk: int | None = None
    uid: str | None = None
    is_in_trash: bool = False
    expected: frozenset[int] | None = None

    @property
    def is_creation(self) -> bool:
        return self.service is self.resource.create

    def created_with(self) -> tuple[str, dict[str, Any]] | None:
        """Creations that are the same in this can be stored together."""
        if not self.is_creation:
            return None
        return self.resource.name, references.named_by(self.resource.model, self.sent or {})

    def run(self, user: Actor) -> OwnedModel:
        if self.is_creation:
            return self._create(user)
        content = [] if self.sent is None else [self.sent]
        row: OwnedModel = self.service(
            user, self._row_id(user), *content, expected_version=self.expected, **self.options
        )
        return row

    def _create(self, user: Actor) -> OwnedModel:
        """A row that is there with the same content was created by the same batch, sent before."""
        try:
            row: OwnedModel = self.service(user, **(self.sent or {}))
        except errors.UidTaken as taken:
            if taken.current is None or not self._is_like(user, taken.current):
                raise
            row = taken.current
        return row

    def _is_like(self, user: Actor, row: OwnedModel) -> bool:
        """Whether to store what was sent would change nothing."""
        updated: OwnedModel = self.resource.update(user, row.pk, self.sent or {}, expected_version=None)
        return updated.operation is None

    def _row_id(self, user: Actor) -> int:
        if self.pk is not None:
            return self.pk
        model = self.resource.model
        rows = model.objects.for_user(user)
        rows = rows.trashed() if self.is_in_trash else rows.visible()
        pk = rows.filter(uid=nfc(self.uid or "")).values_list("pk", flat=True).first()
        if pk is None:
            raise errors.not_in_trash(model) if self.is_in_trash else errors.no_such(model, "uid")
        return int(pk)


@retried_transaction
def run(
    user: Actor, steps: Sequence[Step], *, is_atomic: bool
) -> tuple[list[OwnedModel | DomainError], int | None, Cursor]:
    """Run steps in their order, each of which sees what those before have written.

    Returns the row or the refusal of each, the operation, None if nothing has changed, and the cursor after it. Raises
    StepFailed if it `is_atomic`, and OperationTooLarge, also if all together take longer than a statement may: then
    nothing is stored.
    """
    began, before = monotonic(), feed.lock(user).head
    results: list[Result] = []
    for _, together in groupby(steps, key=Step.created_with):
        group = list(together)
        results += _created(user, group) or _run_each(user, group, began, before, len(results), is_atomic=is_atomic)
    head = log.join(user, before)
    return results, head if head > before else None, Cursor(user.pk, log.current_epoch(), head)


def _created(user: Actor, steps: Sequence[Step]) -> list[OwnedModel]:
    """The rows of several creations, by one statement; empty if there are not several, or one of them is refused:
    then each has to be tried by itself."""
    if len(steps) == 1 or not steps[0].is_creation:
        return []
    try:
        with transaction.atomic():
            rows: list[OwnedModel] = steps[0].resource.create_many(user, [step.sent or {} for step in steps])
    except (DomainError, IntegrityError):
        return []
    return rows


def _run_each(
    user: Actor, steps: Sequence[Step], began: float, before: int, first: int, *, is_atomic: bool
) -> list[Result]:
    results: list[Result] = []
    for index, step in enumerate(steps, first):
        try:
            with nullcontext() if is_atomic else transaction.atomic():
                results.append(step.run(user))
        except DomainError as error:
            if is_atomic:
                _forget_unstored(error, before)
                raise StepFailed(index) from error
            results.append(_without_frames(error))
        last = getattr(results[-1], "operation", None) or before
        if last - before > operations.MAX_ROWS:  # a step may change many
            raise operations.too_large()
        # One that changes nothing, or is refused, may have read a tree of thousands.
        if 0 < settings.DATABASE_STATEMENT_TIMEOUT < monotonic() - began:
            raise OperationTooLarge("Its operations take too long; send fewer of them at once.")
    return results


def _forget_unstored(error: DomainError, head: int) -> None:
    """A row with a later version is as a step before has left it: none that anybody will ever see."""
    if error.current is not None and error.current.version > head:
        error.current, error.detail = None, "A step before this one has created or changed the object already."


def _without_frames(error: DomainError) -> DomainError:
    """A refusal that is kept: its traceback would keep all that its step has read."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
