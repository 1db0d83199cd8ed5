"""The admin of notes."""

from django.contrib import admin
from unfold.widgets import UnfoldAdminTextInputWidget

from tests.notes.models import MAX_BODY, MAX_TITLE, Note
from tests.notes.resource import NOTES
from users.admin.resources import ResourceAdmin
from users.admin.rows import LineField, PlainTextarea, RowForm, TextField


class NoteForm(RowForm):
    title = LineField(max_length=MAX_TITLE, widget=UnfoldAdminTextInputWidget())
    body = TextField(max_length=MAX_BODY, required=False, strip=False, widget=PlainTextarea())

    class Meta:
        model = Note
        fields = ("user", "title", "body", "uid")


@admin.register(Note)
class NoteAdmin(ResourceAdmin):
    resource = NOTES
    form = NoteForm
    list_display = ("title", "user", "created_at")
    search_fields = ("title", "body")
    fieldsets = ((None, {"fields": ("user", "title", "body")}),)
