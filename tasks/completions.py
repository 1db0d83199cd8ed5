"""Completions: a row for each occurrence of a task that was completed or skipped, kept by the writes of tasks.

A row is never changed but by being revoked: when its task is reopened, or when what has made it is undone.
"""

import datetime as dt
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from config.database.models import RowModel
from config.database.queries import Param, Raw
from config.http.json import to_json
from users.models import Kind
from users.resources.querysets import comes_after

if TYPE_CHECKING:
    from tasks.models import Task
    from users.tokens.callers import Actor

# Rows with all their columns but `id`, `user_id` and those of revocation, which are sent as one JSON array.
INSERT = """
    INSERT INTO tasks_completion (user_id, task_id, at, occurrence_date, occurrence_at, kind, missed, version)
    SELECT %s::bigint, task_id, at, occurrence_date, occurrence_at, kind, missed, version
    FROM jsonb_populate_recordset(NULL::tasks_completion, %s::jsonb)
"""
_REVOKE = """
    UPDATE tasks_completion AS row
    SET revoked_at = %s::timestamptz, revoked_versions = array_append(revoked_versions, reopened.version)
    FROM unnest(%s::bigint[], %s::bigint[]) AS reopened (id, version)
    WHERE row.user_id = %s AND row.id = reopened.id
"""
# What an operation has made is revoked when it is undone, and what it has revoked counts again; the other way round
# when it is redone: then what is undone has undone it, or has undone what has, and so on.
_UNDO = """
    WITH RECURSIVE chain AS (
        SELECT %s::bigint AS operation, 0 AS depth
        UNION ALL
        SELECT entry.undoes, depth + 1 FROM chain
            JOIN users_change AS entry ON entry.user_id = %s AND entry.version = chain.operation
            WHERE entry.undoes IS NOT NULL
    ), first AS (
        SELECT operation, depth %% 2 = 0 AS is_undone FROM chain ORDER BY depth DESC LIMIT 1
    ), changed AS (
        SELECT version FROM users_change, first
        WHERE user_id = %s AND version <= first.operation AND users_change.operation = first.operation
        AND version > coalesce((
            SELECT version FROM users_change
            WHERE user_id = %s AND version < first.operation AND operation <> first.operation
            ORDER BY version DESC LIMIT 1
        ), 0)
    )
    UPDATE tasks_completion AS row
    SET revoked_at = CASE WHEN (row.version IN (SELECT version FROM changed)) = is_undone THEN %s::timestamptz END
    FROM first
    WHERE row.user_id = %s AND row.task_id = ANY(%s) AND (row.version IN (SELECT version FROM changed))
        <> coalesce(row.revoked_versions && ARRAY(SELECT version FROM changed), false)
"""


class Step(NamedTuple):
    """What a change of a task has made of its present occurrence; the log's kind, and the due that it had."""

    kind: Kind  # COMPLETED, ADVANCED, SKIPPED or REOPENED
    date: dt.date | None = None
    at: dt.datetime | None = None
    missed: int = 0
    revoked: int | None = None  # the completion that a reopening takes back

    @property
    def has_advanced(self) -> bool:
        return self.kind == Kind.ADVANCED


class CompletionQuerySet(models.QuerySet["Completion"]):
    def for_user(self, user: "Actor | Param") -> Self:
        """The first wall: every read begins here."""
        return self.filter(user=user if isinstance(user, Param) else user.pk)

    def counted(self) -> Self:
        """Without skipped and revoked ones."""
        return self.filter(kind=Completion.Kind.COMPLETED, revoked_at=None)

    def newest_first(self) -> Self:
        return self.order_by("-at", "-pk")

    def after(self, at: dt.datetime, pk: int) -> Self:
        """Those that come after this one in that order."""
        return self.filter(comes_after((at, pk), F("at"), F("pk"), descending=True))

    def narrowed(self, user: "Actor", query: Mapping[str, Any]) -> Self:
        """By the parameters of a request, as far as it has them."""
        found = self
        if "since" in query:
            found = found.filter(at__gte=query["since"])
        if "until" in query:
            found = found.filter(at__lt=query["until"])
        tasks: Any = self.model._meta.get_field("task").related_model
        own = tasks.objects.for_user(user)
        if "tag" in query:
            found = found.filter(task__in=own.with_tags([query["tag"]]).values("pk"))
        if "project" in query:
            found = found.filter(task__in=own.placed_in(user, query["project"]).values("pk"))
        return found


class Completion(RowModel):
    """Its reference to the task is a composite foreign key, by which it goes when the task's tombstone is removed."""

    class Kind(models.TextChoices):
        COMPLETED = "completed"
        SKIPPED = "skipped"

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, db_constraint=False, db_index=False, related_name="completions"
    )
    task = models.ForeignKey(
        "tasks.Task", models.DO_NOTHING, db_constraint=False, db_index=False, related_name="completion_rows"
    )
    at = models.DateTimeField()
    # The due that was completed; both null of a task without one.
    occurrence_date = models.DateField(null=True)
    occurrence_at = models.DateTimeField(null=True)
    kind = models.CharField(max_length=20, choices=Kind.choices)
    missed = models.IntegerField(default=0)  # occurrences that passed before the next one
    version = models.BigIntegerField()  # of the task, by that change
    revoked_at = models.DateTimeField(null=True)
    # Of the task, by each reopening that took it back: any of them may be undone and done again.
    revoked_versions = ArrayField(models.BigIntegerField(), null=True)

    objects = CompletionQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index("user", F("at").desc(), F("id").desc(), name="tasks_completion_list"),
            models.Index("user", "task", F("at").desc(), F("id").desc(), name="tasks_completion_task"),
            # For the staff's dashboard; with the owner, by which row level security decides.
            models.Index(
                "at", include=["user"], name="tasks_completion_counted", condition=Q(kind="completed", revoked_at=None)
            ),
        ]

    def __str__(self) -> str:
        """Without user text, as the admin shows this also to staff without the permission to view text."""
        return f"Completion {self.pk} of {self.task_id}"


def closing(task: "Task") -> tuple[Completion | None, dt.datetime | None]:
    """The row of the change that has closed a task, and when the task was completed before."""
    rows = Completion.objects.filter(user=task.user_id, task=task.pk, revoked_at=None).newest_first()
    newest = list(rows.filter(Q(kind=Completion.Kind.COMPLETED) | Q(at=task.completed_at))[:2])
    if not newest or newest[0].at != task.completed_at:  # it was closed by a version that did not keep them
        return None, None
    return newest[0], newest[1].at if len(newest) > 1 else None


# --- Statements of changes --------------------------------------------------------------------------


def record(user_id: int, tasks: Sequence["Task"], now: dt.datetime) -> Iterator[Raw]:
    """Rows for the steps of tasks that have their new versions, and those that reopening revokes."""
    steps = [(task, task.step) for task in tasks if task.step is not None]
    made = [
        {
            "task_id": task.pk,
            "at": now,
            "occurrence_date": step.date,
            "occurrence_at": step.at,
            "kind": Completion.Kind.SKIPPED if step.kind == Kind.SKIPPED else Completion.Kind.COMPLETED,
            "missed": step.missed,
            "version": task.version,
        }
        for task, step in steps
        if step.kind != Kind.REOPENED
    ]
    if made:
        yield Raw(INSERT, [user_id, to_json(made).decode()])
    revoked = {step.revoked: task.version for task, step in steps if step.revoked is not None}
    if revoked:
        yield Raw(_REVOKE, [now, [*revoked], [*revoked.values()], user_id])


def undo(user_id: int, operation: int, task_ids: Collection[int], now: dt.datetime) -> Raw:
    parameters: list[Any] = [operation, user_id, user_id, user_id, now, user_id, [*task_ids]]
    return Raw(_UNDO, parameters)
