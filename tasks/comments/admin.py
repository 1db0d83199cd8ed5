"""The admin of comments."""

from django.contrib import admin
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from tasks.comments.models import MAX_TEXT, Comment
from tasks.comments.resource import COMMENTS
from users.admin.references import ReferenceField, ReferenceFilter
from users.admin.resources import ResourceAdmin
from users.admin.rows import DeletedFilter, PlainTextarea, RowForm, TextField


class CommentForm(RowForm):
    text = TextField(max_length=MAX_TEXT, widget=PlainTextarea())
    task_id = ReferenceField(label="Task", help_text="The number of a task of the same owner.")

    class Meta:
        model = Comment
        fields = ("user", "text", "uid")


class TaskFilter(ReferenceFilter):
    title = parameter_name = "task"


@admin.register(Comment)
class CommentAdmin(ResourceAdmin):
    resource = COMMENTS
    form = CommentForm
    list_display = ("text", "user", "task", "created_at")
    list_filter = (DeletedFilter, TaskFilter, ("user", AutocompleteSelectFilter), "created_at")
    search_fields = ("text",)
    fieldsets = ((None, {"fields": ("user", "text", "task_id")}),)
