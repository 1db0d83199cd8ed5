"""The comments of imported tasks: new ones are made, newer ones change what is there, and what was deleted stays so."""

import datetime as dt
from typing import Any

from tasks.comments import services as comments
from tasks.comments.models import MAX_TEXT, Comment
from tasks.formats import drafts
from tasks.formats.drafts import Document, TaskDraft
from tasks.models import Task
from tasks.transfer import fitting, services
from tests.factories import head_of
from users.models import User
from users.resources.undo import undo

OLD, LATER = dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime(2999, 1, 1, tzinfo=dt.UTC)


def run(user: User, *said: drafts.Comment) -> services.Outcome:
    document = Document(tasks=[TaskDraft(1, "task", title="A", comments=[*said])])
    fitting.fit(document, "tickbase", user.zone, OLD)
    return services.import_document(user, document, "tickbase")


def texts(user: User) -> dict[str, Any]:
    return dict(Comment.objects.for_user(user).visible().values_list("uid", "text"))


def test_they_come_with_their_task_as_one_operation(alice: User) -> None:
    outcome = run(alice, drafts.Comment("a", "First", OLD), drafts.Comment("b", " Second "))
    assert (outcome.report.counts["comments"], outcome.report.created) == (2, 3)
    assert texts(alice) == {"a": "First", "b": "Second"}
    assert {each.task_id for each in Comment.objects.all()} == {Task.objects.get().pk}
    assert Comment.objects.get(uid="a").created_at == OLD
    undo(alice, head_of(alice))
    assert texts(alice) == {}


def test_again_only_newer_ones_change_and_deleted_ones_stay_so(alice: User) -> None:
    run(alice, *(drafts.Comment(uid, "Old") for uid in "abc"))
    comments.delete_comment(alice, Comment.objects.get(uid="c").pk)
    said = [drafts.Comment("a", "New", None, LATER), drafts.Comment("b", "New", None, OLD), drafts.Comment("c", "New")]
    report = run(alice, *said).report
    assert texts(alice) == {"a": "New", "b": "Old"}
    assert (report.created, report.updated, report.unchanged, len(report.skipped)) == (0, 1, 2, 1)
    assert run(alice, *said).report.updated == 0


def test_what_does_not_fit_is_told(alice: User) -> None:
    long, twin = drafts.Comment("a", "x" * (MAX_TEXT + 1)), drafts.Comment("a", "Twin")
    report = run(alice, long, twin, drafts.Comment("b", " ")).report
    assert texts(alice) == {"a": "x" * MAX_TEXT}
    assert [each.field for each in report.degraded] == ["comments"] * 3
