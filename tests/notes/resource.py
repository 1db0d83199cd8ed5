"""The declaration of notes and remarks as resources, with their serializers and list queries."""

from config.http.fields import Clearable, TextField
from tasks.fields import IdField, ReferenceField, ReferenceIdsField, ReferenceUidField, ReferenceUidsField
from tests.notes import remarks, services
from tests.notes.models import MAX_ABOUT, MAX_BODY, MAX_TITLE, Note, Remark
from users.resources.lists import ListQuery
from users.resources.resource import Resource
from users.resources.serializers import ResourceSerializer


class BodyField(Clearable, TextField):
    pass


class NoteSerializer(ResourceSerializer):
    model = Note

    title = TextField(max_length=MAX_TITLE)
    body = BodyField(cleared="", max_length=MAX_BODY, allow_blank=True, trim_whitespace=False)
    project_id = ReferenceField()
    project_uid = ReferenceUidField()
    about_ids = ReferenceIdsField(MAX_ABOUT)
    about_uids = ReferenceUidsField(MAX_ABOUT)


class NoteListQuery(ListQuery):
    model = Note
    narrowing = {"about": lambda notes, pk: notes.referring_to("about_ids", pk), **ListQuery.narrowing}

    about = IdField(required=False, known="the id of a project", help_text="Only those about this project.")


NOTES = Resource(
    name="note",
    plural="notes",
    model=Note,
    serializer=NoteSerializer,
    list_query=NoteListQuery,
    create=services.create_note,
    create_many=services.create_notes,
    update=services.update_note,
    delete=services.delete_note,
    restore=services.restore_note,
    delete_many=services.delete_notes,
    restore_many=services.restore_notes,
    text=("title", "body"),
    example={"title": "Groceries", "body": "Bread, olives"},
    icon="note",
)


class RemarkSerializer(ResourceSerializer):
    model = Remark

    note_id = ReferenceField()
    note_uid = ReferenceUidField()
    project_id = ReferenceField()
    source_id = ReferenceField()


class RemarkListQuery(ListQuery):
    model = Remark


# Not among those of tests/resources/declared.py: of it there are only the tests of references.
REMARKS = Resource(
    name="remark",
    plural="remarks",
    model=Remark,
    serializer=RemarkSerializer,
    list_query=RemarkListQuery,
    create=remarks.create_remark,
    create_many=remarks.create_remarks,
    update=remarks.update_remark,
    delete=remarks.delete_remark,
    restore=remarks.restore_remark,
    delete_many=remarks.delete_remarks,
    restore_many=remarks.restore_remarks,
    text=(),
    example={"note_id": 1},
    icon="comment",
)
