"""Files of every format become rows: each a second time changes nothing, and nothing is dropped silently."""

from typing import Any

import pytest

from tasks.completions import Completion
from tasks.formats import registry
from tasks.formats.drafts import Document, TaskDraft
from tasks.models import Task
from tasks.projects.models import Project
from tasks.transfer import services
from tasks.transfer.fitting import TICKBASE
from tests.formats.samples import SAMPLES, TEXTS
from tests.problems import stored
from users.models import User

FILES = {each.name: each.data for each in [*SAMPLES, *TEXTS]}
every = pytest.mark.parametrize("name", FILES)


def read(name: str, user: User) -> tuple[Document, str]:
    return services.read(FILES[name], name, services.AUTO, user.zone)


@every
def test_a_second_time_changes_nothing(alice: User, name: str) -> None:
    first = services.import_document(alice, *read(name, alice)).report
    assert first.created > 0
    before = stored(alice.pk)
    second = services.import_document(alice, *read(name, alice))
    assert second.row is not None
    second.row.delete()
    assert (second.report.created, second.report.updated) == (0, 0)
    assert second.report.unchanged == first.created
    assert stored(alice.pk) == before


@every
def test_every_field_lands_or_is_told(alice: User, name: str) -> None:
    """Of the drafts, after which the formats have accounted for the file."""
    document, source = read(name, alice)
    raw = registry.detect(FILES[name], name).read(FILES[name], alice.zone)
    report = services.import_document(alice, document, source).report
    told = {(each.row, each.field.partition(".")[0]) for each in report.degraded} | {
        (each.row, None) for each in report.skipped
    }
    tasks = {row.uid: row for row in Task.objects.select_related("parent", "project")}
    projects = {row.uid: row for row in Project.objects.select_related("parent")}
    lost = []
    for draft in [*raw.projects, *raw.tasks]:
        row = (tasks if isinstance(draft, TaskDraft) else projects).get(draft.uid)
        landed = _landed(row, source) if row else {}
        for field, value in _said(draft).items():
            if (draft.row, None) in told or (draft.row, field) in told:
                continue
            there = landed[field] if landed else None
            if not _is_there(there, value):
                lost.append((draft.row, field, value, there))
    assert lost == []


def _said(draft: Any) -> dict[str, Any]:
    """What a draft says that is not a default."""
    said = {
        name: getattr(draft, name)
        for name in draft.__class__.__mro__[0].__dataclass_fields__
        if name not in ("row", "uid", "modified_at", "archived_at", "completions", "recurrence")
        and getattr(draft, name) not in (None, "", [], {}, False)
    }
    for name in ("title", "name"):
        if name in said:
            said[name] = said[name].strip()
    if "tags" in said:
        said["tags"] = [*dict.fromkeys(tag.strip() for tag in said["tags"])]
    if isinstance(draft, TaskDraft):
        said["recurrence"] = draft.recurrence is not None
        said["completions"] = {each.at for each in draft.completions}
    return said


def _is_there(landed: Any, value: Any) -> bool:
    """`extra` has what is refused elsewhere, and a completion is added where a file tells of none."""
    if landed is not None and isinstance(value, dict):
        return bool(landed.items() >= value.items())
    return bool(landed >= value if isinstance(value, set) else landed == value)


def _landed(row: Any, source: str) -> dict[str, Any]:
    common = {
        "description": row.description,
        "parent": row.parent and row.parent.uid,
        "position": row.position,
        "created_at": row.created_at,
        "extra": row.extra if source == TICKBASE else row.extra.get(source, {}),
    }
    if isinstance(row, Project):
        return {**common, "name": row.name, "color": row.color, "archived": row.is_archived}
    return {
        **common,
        "title": row.title,
        "status": row.status,
        "priority": row.priority,
        "tags": row.tags,
        "due_date": row.due_date,
        "due_at": row.due_at,
        "completed_at": row.completed_at,
        "project": row.project and row.project.uid,
        "recurrence": row.recurrence is not None,
        "completions": {*Completion.objects.filter(task=row).values_list("at", flat=True)},
    }


def test_every_format_has_a_sample() -> None:
    seen = {registry.detect(data, name).NAME for name, data in FILES.items()}
    assert {each.NAME for each in registry.FORMATS} <= seen
