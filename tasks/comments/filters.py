"""The query parameters of comments."""

from config.http.fields import TextField
from config.values import MAX_SEARCH
from tasks.comments.models import Comment
from tasks.comments.querysets import CommentQuerySet
from tasks.fields import IdField
from users.resources.lists import ListQuery


class CommentListQuery(ListQuery):
    model = Comment
    narrowing = {
        "task": CommentQuerySet.of_task,
        "search": CommentQuerySet.matching,
        **ListQuery.narrowing,
    }

    task = IdField(required=False, known="the id of a task", help_text="Only those of this task.")
    search = TextField(
        required=False,
        allow_blank=True,
        max_length=MAX_SEARCH,
        help_text="Every word must occur in text, as a substring, in any case.",
    )
