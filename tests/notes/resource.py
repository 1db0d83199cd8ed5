"""The declaration of notes as a resource, with its serializer and its list query."""

from config.http.fields import Clearable, TextField
from tests.notes import services
from tests.notes.models import MAX_BODY, MAX_TITLE, Note
from users.resources.lists import ListQuery
from users.resources.resource import Resource
from users.resources.serializers import ResourceSerializer


class BodyField(Clearable, TextField):
    pass


class NoteSerializer(ResourceSerializer):
    model = Note

    title = TextField(max_length=MAX_TITLE)
    body = BodyField(cleared="", max_length=MAX_BODY, allow_blank=True, trim_whitespace=False)


class NoteListQuery(ListQuery):
    model = Note


NOTES = Resource(
    name="note",
    plural="notes",
    model=Note,
    serializer=NoteSerializer,
    list_query=NoteListQuery,
    create=services.create_note,
    update=services.update_note,
    delete=services.delete_note,
    restore=services.restore_note,
    delete_many=services.delete_notes,
    restore_many=services.restore_notes,
    text=("title", "body"),
    example={"title": "Groceries", "body": "Bread, olives"},
    icon="note",
)
