"""The declaration of comments as a resource."""

from tasks.comments import services
from tasks.comments.filters import CommentListQuery
from tasks.comments.models import Comment
from tasks.comments.serializers import CommentSerializer
from users.resources.resource import Resource

COMMENTS = Resource(
    name="comment",
    plural="comments",
    model=Comment,
    serializer=CommentSerializer,
    list_query=CommentListQuery,
    create=services.create_comment,
    create_many=services.create_comments,
    update=services.update_comment,
    delete=services.delete_comment,
    restore=services.restore_comment,
    delete_many=services.delete_comments,
    restore_many=services.restore_comments,
    text=("text",),
    example={"text": "Comment text", "task_id": 42},
    icon="comment",
)
