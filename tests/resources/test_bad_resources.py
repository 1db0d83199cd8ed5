"""That the suite would catch a second resource with a mistake: each has one, and the check for it fails."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from config.database.queries import Raw
from tests.notes.models import Note
from tests.notes.resource import NOTES, NoteListQuery, NoteSerializer
from tests.resources import isolation, tables, versions
from tests.resources.declared import installed
from users.resources import errors, feed, statements
from users.resources.querysets import OwnedQuerySet
from users.resources.resource import Resource
from users.tokens.callers import Actor


def check_fails(check: Callable[[Resource], None], resource: Resource, because: str) -> None:
    with installed(resource), pytest.raises(AssertionError, match=because):
        check(resource)


def alter(sql: str) -> None:
    """The table of notes, until the end of the test."""
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE notes_note {sql}")


# --- A missing policy -------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("mistake", ["DISABLE ROW LEVEL SECURITY", "NO FORCE ROW LEVEL SECURITY"])
def test_a_missing_policy_is_caught(mistake: str) -> None:
    alter(mistake)
    check_fails(tables.check_every_row_is_isolated, NOTES, "False")
    check_fails(isolation.check_the_policy_alone_isolates, NOTES, "exposed_tables")


@pytest.mark.django_db
def test_a_policy_that_lets_everybody_through_is_caught() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER POLICY notes_note_own ON notes_note USING (true) WITH CHECK (true)")
    check_fails(tables.check_every_row_is_isolated, NOTES, "False")
    check_fails(isolation.check_the_policy_alone_isolates, NOTES, str(isolation.USER_ID))


@pytest.mark.django_db
def test_what_is_unique_among_all_users_is_caught() -> None:
    alter("ADD CONSTRAINT notes_note_title UNIQUE (title)")
    check_fails(tables.check_what_is_unique_is_so_for_a_user, NOTES, "'title'")


# --- A missing filter -------------------------------------------------------------------------------


class UnfilteredQuerySet(OwnedQuerySet[Note]):
    def for_user(self, user: Any) -> "UnfilteredQuerySet":
        return self.all()


@pytest.fixture
def unfiltered(monkeypatch: pytest.MonkeyPatch) -> Resource:
    """Notes that are read from this queryset, and nothing of what was compiled from the right one."""

    class UnfilteredListQuery(NoteListQuery):
        pass

    manager = UnfilteredQuerySet.as_manager()
    manager.model = Note
    monkeypatch.setattr(Note, "objects", manager)
    monkeypatch.setattr(statements, "of", statements.Statements)
    return replace(NOTES, list_query=UnfilteredListQuery)


@pytest.mark.django_db
def test_a_missing_filter_is_caught(unfiltered: Resource) -> None:
    check_fails(isolation.check_the_filter_alone_isolates, unfiltered, "200 == 404")


@pytest.mark.django_db
def test_a_list_without_the_filter_is_caught() -> None:
    class UnfilteredListQuery(NoteListQuery):
        @classmethod
        def _queryset(cls) -> UnfilteredQuerySet:
            return UnfilteredQuerySet(Note)

    unfiltered = replace(NOTES, list_query=UnfilteredListQuery)
    check_fails(isolation.check_the_filter_alone_isolates, unfiltered, isolation.CANARY)


@pytest.mark.django_db
def test_the_policy_makes_up_for_a_missing_filter(unfiltered: Resource) -> None:
    """Which is why each of the two walls has a check without the other."""
    with installed(unfiltered):
        isolation.check_rows_of_another_are_as_none(unfiltered)


# --- An unlocked write ------------------------------------------------------------------------------


def update_unlocked(
    user: Actor, note_id: int, changes: dict[str, Any], *, expected_version: Collection[int] | None = None
) -> Note:
    """Compares the version before it takes the number, and not again when it writes: another change may come in
    between."""
    note = Note.objects.for_user(user).visible().get(pk=note_id)
    if expected_version is not None and note.version not in expected_version:
        raise errors.StaleVersion("Another version is stored.", current=note)
    note.apply(changes, user, timezone.now())
    sql = "UPDATE notes_note SET title = %s, version = taken.head FROM taken WHERE id = %s RETURNING version"
    ((note.version,),) = feed.take(user, Raw(sql, [note.title, note_id]))
    return note


@pytest.mark.usefixtures("transactional_db")
def test_an_unlocked_write_is_caught() -> None:
    unlocked = replace(NOTES, update=update_unlocked)
    check_fails(versions.check_a_write_that_waited_is_refused, unlocked, "'mine'")


# --- A serializer that leaks another's id -----------------------------------------------------------


class RememberingSerializer(NoteSerializer):
    """Remembers the first owner for every process, in place of every request."""

    _remembered: list[str] = []

    @classmethod
    def represent(cls, rows: Iterable[Sequence[Any]], public_id: str) -> list[dict[str, Any]]:
        cls._remembered.append(public_id)
        return super().represent(rows, cls._remembered[0])


class NeighbourSerializer(NoteSerializer):
    """Tells the id of the row that was shown before, whoever's that was."""

    _shown: list[int] = [0]

    @classmethod
    def represent(cls, rows: Iterable[Sequence[Any]], public_id: str) -> list[dict[str, Any]]:
        represented = super().represent(rows, public_id)
        cls._shown += [each["id"] for each in represented]
        return [{**each, "previous_id": cls._shown[-2]} for each in represented]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("serializer", "leaked"),
    [(RememberingSerializer, isolation.USER_ID), (NeighbourSerializer, isolation.FIRST_ROW_ID)],
)
def test_a_serializer_that_leaks_the_id_of_another_is_caught(serializer: type[NoteSerializer], leaked: int) -> None:
    leaking = replace(NOTES, serializer=serializer)
    check_fails(isolation.check_no_answer_tells_of_another, leaking, str(leaked))
