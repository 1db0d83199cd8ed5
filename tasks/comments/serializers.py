"""The serializer of comments."""

from config.http.fields import TextField
from tasks.comments.models import MAX_TEXT, Comment
from tasks.fields import ReferenceField, ReferenceUidField
from users.resources.serializers import ResourceSerializer


class CommentSerializer(ResourceSerializer):
    model = Comment

    text = TextField(max_length=MAX_TEXT)
    task_id = ReferenceField(help_text="Its task.")
    task_uid = ReferenceUidField(help_text="In place of task_id.")
