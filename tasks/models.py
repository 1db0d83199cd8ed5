"""The model of a task, and the rules of a single row."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Func, IntegerField, Q, TextField
from django.db.models.lookups import Exact, IsNull, LessThanOrEqual

from config.database.queries import Raw
from config.errors import Invalid
from config.values import FIRST_DATE, FIRST_INSTANT, LAST_DATE, LAST_INSTANT, JsonList, is_storable
from tasks import completions, recurring, reminding
from tasks.choices import OPEN, Priority, Status
from tasks.completions import Completion, Step
from tasks.placed import Placed
from tasks.querysets import DUE, DUE_DESCENDING, DUE_TIME, PRIORITY_RANK, TaskQuerySet
from tasks.text import UNIT_SEPARATOR, fold_all, tag_key
from users.models import Kind
from users.resources.errors import ConflictingMembers
from users.resources.models import Diff, OwnedModel, Reference, Rule
from users.resources.querysets import as_json

if TYPE_CHECKING:
    from users.resources.log import Entry
    from users.tokens.callers import Actor

__all__ = ["Completion", "Task", "TaskTag"]  # Django finds the models of an app here

MAX_TITLE = 200
MAX_DESCRIPTION = 20_000
MAX_TAGS = 20
MAX_TAG = 50
MAX_DEPTH = 5  # levels of a tree of tasks, the root's included
MAX_CHILDREN = 500


def _live(name: str, *columns: Any, include: Sequence[str] | None = None, **only: Any) -> models.Index:
    """An index of each user's tasks without tombstones. Included columns serve what is counted."""
    condition = Q(deleted_at=None, **only)
    return models.Index("user", *columns, name=f"tasks_task_{name}", include=include, condition=condition)


_STATUSES, _PRIORITIES = tuple(Status.values), tuple(Priority.values)  # in which to look takes no call
# All rules but lengths in one CHECK, in the fewest nodes: PostgreSQL parses it for every write.
_VALID = Q(
    LessThanOrEqual(Func(F("tags"), function="CARDINALITY", output_field=IntegerField()), MAX_TAGS),
    Exact(Exact(F("status"), Status.COMPLETED), IsNull(F("completed_at"), False)),
    Q(due_at=None) | Q(due_date__isnull=False),
    Q(title__gt="") | Q(erased_at__isnull=False),
    status__in=_STATUSES,
    priority__in=_PRIORITIES,
)
# What is sent of a series: by a client, and by the services that complete and skip.
_OF_SERIES = {"recurrence", "ends_series", "is_skipped"}
# Kinds of entries that completions may belong to.
_OF_STEPS = {Kind.CREATED, Kind.COMPLETED, Kind.ADVANCED, Kind.SKIPPED, Kind.REOPENED, Kind.UNDONE}
_COUNTED = ["priority", "due_date", "due_at", "created_at", "project"]


class Task(Placed):
    title = models.CharField(max_length=MAX_TITLE)
    description = models.CharField(max_length=MAX_DESCRIPTION, blank=True, default="")
    status = models.TextField(choices=Status.choices, default=Status.PENDING)
    priority = models.TextField(choices=Priority.choices, default=Priority.MEDIUM)
    tags = ArrayField(models.TextField(), blank=True, default=list)
    due_date = models.DateField(null=True, blank=True)
    due_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    project = Reference("projects.Project", null=True, blank=True, related_name="tasks")
    parent = Reference(
        "self", null=True, blank=True, related_name="children", max_depth=MAX_DEPTH, max_children=MAX_CHILDREN
    )
    recurrence = models.JSONField(null=True, blank=True)  # as `recurring.stored` makes it
    completions = models.IntegerField(default=0, editable=False)
    last_completed_at = models.DateTimeField(null=True, editable=False)
    reminders = models.JSONField(default=JsonList, blank=True)  # as `reminding.stored` makes them
    # From when reminders count; not a member, as it follows the owner's settings without a version of its own.
    remind_from = models.DateTimeField(null=True, editable=False)
    # Folded in Python, so that search and order do not depend on the server's collation.
    tag_keys = ArrayField(models.TextField(), default=list, editable=False)
    search_text = models.TextField(editable=False)
    # Bounded: folding can lengthen a title eighteenfold, and index entries have a limit.
    title_key = models.CharField(max_length=MAX_TITLE, editable=False, db_collation="C")

    objects: ClassVar[Any] = TaskQuerySet.as_manager()

    step: Step | None  # of the present occurrence, by a change that is not stored yet or just was

    derived: ClassVar[tuple[str, ...]] = ("search_text", "tag_keys", "title_key", "remind_from")
    sources: ClassVar[frozenset[str]] = frozenset({"title", "description", "tags", "due_date", "due_at", "recurrence"})
    mutable: ClassVar[tuple[str, ...]] = (
        "title", "description", "status", "priority", "tags", "due_date", "due_at", "completed_at", "project_id",
        "recurrence", "completions", "last_completed_at", "reminders", *Placed.mutable, *derived,
    )  # fmt: skip
    inherited: ClassVar[tuple[str, ...]] = ("project_id",)
    large: ClassVar[tuple[str, ...]] = ("description", "extra", "search_text")
    scope: ClassVar[tuple[str, ...]] = ("parent_id", "project_id")
    zoned: ClassVar[Mapping[str, str]] = {"due_date": "due_at", "remind_from": "reminders"}
    expressions: ClassVar[Mapping[str, Any]] = {
        **Placed.expressions,
        "recurrence_json": Func(
            F("recurrence"), template="(%(expressions)s - '{anchor,left}'::text[])::text", output_field=TextField()
        ),
        "reminders": as_json("reminders", "[]"),
        "is_completed": models.ExpressionWrapper(Q(status=Status.COMPLETED), models.BooleanField()),
    }
    limit_setting: ClassVar[str | None] = "LIMIT_TASKS"
    is_counted: ClassVar[bool] = True
    rules: ClassVar[Sequence[Rule]] = [
        (
            "title",
            lambda task: 1 <= len(task.title) <= MAX_TITLE and is_storable(task.title),
            f"A title has 1 to {MAX_TITLE} characters.",
        ),
        (
            "description",
            lambda task: len(task.description) <= MAX_DESCRIPTION and is_storable(task.description),
            f"A description has up to {MAX_DESCRIPTION} characters.",
        ),
        ("status", lambda task: task.status in _STATUSES, f"A status is one of {', '.join(Status)}."),
        ("priority", lambda task: task.priority in _PRIORITIES, f"A priority is one of {', '.join(Priority)}."),
        ("tags", lambda task: len(task.tags) <= MAX_TAGS, f"A task has up to {MAX_TAGS} tags."),
        (
            "tags",
            lambda task: all(1 <= len(tag) <= MAX_TAG and is_storable(tag) for tag in task.tags),
            f"A tag has 1 to {MAX_TAG} characters.",
        ),
        (
            "due_date",
            lambda task: task.due_date is None or FIRST_DATE <= task.due_date <= LAST_DATE,
            f"A due date lies between {FIRST_DATE} and {LAST_DATE}.",
        ),
    ]

    class Meta:
        permissions = [("view_task_text", "Can read the titles, descriptions and tags of tasks")]
        constraints = [
            *OwnedModel.Meta.constraints,
            models.CheckConstraint(name="tasks_task_valid", condition=_VALID),
        ]
        # Each serves a query in tests/tasks/test_indexes.py; for their cost see docs/performance-growth.md.
        indexes = [
            *OwnedModel.Meta.indexes,
            _live("list", F("created_at").desc(), F("id").desc()),
            _live("status", "status", F("created_at").desc(), F("id").desc(), include=["completed_at", "project"]),
            _live("updated", "updated_at", "id"),
            # Not partial: PostgreSQL keeps statistics of an expression only if its index holds all rows.
            models.Index("user", DUE, DUE_TIME, "id", name="tasks_task_due"),
            _live("due_desc", DUE_DESCENDING, DUE_TIME, "id"),
            _live("priority", PRIORITY_RANK, "id"),
            _live("title", "title_key", "id"),
            _live("inbox", F("created_at").desc(), F("id").desc(), project=None),
            _live("inbox_place", "position", "id", project=None),
            # With tombstones, so that the foreign keys find them.
            models.Index(
                "user",
                "project",
                F("created_at").desc(),
                F("id").desc(),
                name="tasks_task_project",
                condition=Q(project__isnull=False),
            ),
            models.Index(
                "user", "project", "position", "id", name="tasks_task_place", condition=Q(project__isnull=False)
            ),
            models.Index(
                "user", "parent", "position", "id", name="tasks_task_parent", condition=Q(parent__isnull=False)
            ),
            _live("open", DUE, DUE_TIME, "id", include=_COUNTED, status__in=OPEN),
        ]

    @property
    def is_completed(self) -> bool:
        return self.status == Status.COMPLETED

    @property
    def recurrence_json(self) -> dict[str, Any] | None:
        """What the API shows of it."""
        return self.recurrence and {name: self.recurrence[name] for name in recurring.SHOWN}

    def take_over(self, sent: dict[str, Any], user: "Actor", now: dt.datetime) -> None:
        """Raises Invalid, and its subclasses ConflictingMembers and those of recurrence."""
        sent, status = self._with_one_status(_normalised(sent)), self.status
        series = {} if _OF_SERIES.isdisjoint(sent) else {name: sent.pop(name) for name in _OF_SERIES & sent.keys()}
        known: dict[str, str] = {}
        if "search_text" in self.__dict__:  # else it is a relative of a task that changes, read without its texts
            texts, folded = self._texts, self.search_text.split(UNIT_SEPARATOR)
            # Rows from before `fold_all` joined the folded texts have none that can be told apart.
            known = dict(zip(texts, folded, strict=True)) if len(folded) == len(texts) else {}
        if "reminders" in sent:
            sent["reminders"] = reminding.stored(sent["reminders"], self.reminders)
        super().take_over({**sent, **self._due(sent, user)}, user, now)
        if series or self.recurrence is not None or self.status != status:
            recurring.apply(self, {**sent, **series}, status, user, now)
        if self.reminders or self.remind_from is not None:
            self.count_reminders(user)
        self.update_derived_fields(now, known)

    def kind_of(self, diff: Diff) -> Kind:
        if self.step is not None and "deleted_at" not in diff:
            return self.step.kind
        before, after = diff.get("status", (None, None))
        if after == Status.COMPLETED:
            return Kind.COMPLETED
        return Kind.REOPENED if before == Status.COMPLETED and after in OPEN else super().kind_of(diff)

    @classmethod
    def effects(cls, user_id: int, rows: Sequence[Any], now: dt.datetime) -> list[Raw]:
        return [*completions.record(user_id, rows, now)]

    @classmethod
    def effects_of_undo(cls, user_id: int, operation: int, entries: Collection["Entry"], now: dt.datetime) -> list[Raw]:
        ids = [entry.object_id for entry in entries if entry.kind in _OF_STEPS]
        return [completions.undo(user_id, operation, ids, now)] if ids else []

    def follow_zone(self, user: "Actor") -> None:
        if self.due_at is not None:
            self.due_date = self.due_at.astimezone(user.zone).date()
        self.count_reminders(user)

    def count_reminders(self, user: "Actor") -> None:
        """Set the instant from which reminders count, after the due or they have changed."""
        self.remind_from = reminding.counted_from(self, user)

    def _with_one_status(self, sent: dict[str, Any]) -> dict[str, Any]:
        """`completed` is a view on `status`. If the two contradict each other, the one that changes counts."""
        if "is_completed" not in sent:
            return sent
        completed = sent.pop("is_completed")
        meant = Status.COMPLETED if completed else Status.PENDING
        status = sent.get("status", meant)
        if completed != (status == Status.COMPLETED):
            if self._state.adding or (status != self.status and completed != self.is_completed):
                raise ConflictingMembers("completed contradicts status; send one of the two.", pointer="/completed")
            status = meant if status == self.status else status
        return {**sent, "status": status}

    def _due(self, sent: dict[str, Any], user: "Actor") -> dict[str, Any]:
        """Both due columns, whichever of the two is sent. If both are sent, the one that changes counts."""
        both = {"due_date": self.due_date, "due_at": self.due_at}
        given = {name: sent[name] for name in both if name in sent}
        if isinstance(given.get("due_date"), dt.datetime):
            given = {"due_at": self._one_moment(given)}
        changed = {name for name in given if given[name] != both[name]}
        if given.get("due_at") is not None and "due_at" in changed:
            if not FIRST_INSTANT <= given["due_at"] <= LAST_INSTANT:
                raise Invalid(f"A due time lies between {FIRST_INSTANT} and {LAST_INSTANT}.", pointer="/due_at")
            local_date = given["due_at"].astimezone(user.zone).date()
            if "due_date" in changed and given["due_date"] not in (None, local_date):
                raise ConflictingMembers(
                    f"due_at falls on {local_date} in the time zone {user.zone.key}; send one of the two.",
                    pointer="/due_date",
                )
            return {"due_at": given["due_at"], "due_date": local_date}
        if "due_date" in changed or given.keys() == {"due_date"}:
            return {"due_date": given["due_date"], "due_at": None}
        return {**both, **given}

    def _one_moment(self, given: dict[str, Any]) -> dt.datetime | None:
        """The `due_at` if a date-time was sent as `due_date`."""
        differing = {given["due_date"], given.get("due_at")} - {self.due_at, None}
        if len(differing) > 1:
            raise ConflictingMembers("due_date and due_at name two moments; send one of the two.", pointer="/due_date")
        return differing.pop() if differing else self.due_at

    def update_derived_fields(self, now: dt.datetime, known: Mapping[str, str] = MappingProxyType({})) -> None:
        """Set the columns that are computed from others. Texts that are `known` are not folded again."""
        if self.due_date is None:  # by undo of what has set it
            self.recurrence = None
        if not self.is_completed:
            self.completed_at = None
        elif self.completed_at is None:
            self.completed_at = now
        if "search_text" in self.__dict__:
            self.tag_keys = [tag_key(tag) for tag in self.tags]
            self.search_text = fold_all(self._texts, known)
            self.title_key = self.search_text.partition(UNIT_SEPARATOR)[0][:MAX_TITLE]

    @property
    def _texts(self) -> list[str]:
        return [self.title, self.description, *self.tags]


class TaskTag(models.Model):
    """The index of tags: an entry for each tag of a task, kept by a trigger of PostgreSQL (migration 0016).

    Behind row level security an index serves only leakproof operators, as equality of text is; those of arrays are not,
    so that none on `tag_keys` would be used. The tombstones' entries stay. In the order of the default list, so that
    its pages are read in order.
    """

    pk = models.CompositePrimaryKey("user", "tag_key", "created_at", "task")
    # Without constraints: the trigger writes what a task has, and removes it with the task.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    tag_key = models.TextField(db_collation="C")
    created_at = models.DateTimeField()
    task = models.ForeignKey(Task, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="tag_rows")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        """Without user text, as the admin shows this also to staff without the permission to view text."""
        return f"TaskTag of {self.task_id}"


def _normalised(sent: dict[str, Any]) -> dict[str, Any]:
    sent = dict(sent)
    if "title" in sent:
        sent["title"] = sent["title"].strip()
    if "tags" in sent:
        tags: dict[str, str] = {}
        for tag in map(str.strip, sent["tags"]):
            tags.setdefault(tag_key(tag), tag)
        sent["tags"] = list(tags.values())
    if "recurrence_json" in sent:
        sent["recurrence"] = sent.pop("recurrence_json")
    return sent
