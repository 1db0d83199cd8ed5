"""The querysets of comments. The methods read as adjectives and can be chained in any order."""

from typing import TYPE_CHECKING, Self

from config.database.queries import Param
from tasks.text import words
from users.resources.querysets import OwnedQuerySet

if TYPE_CHECKING:
    from tasks.comments.models import Comment  # noqa: F401 (ruff does not see the quoted use in a base class)


class CommentQuerySet(OwnedQuerySet["Comment"]):
    def of_task(self, value: int | Param) -> Self:
        return self.filter(task_id=value)

    def matching(self, search: str) -> Self:
        """Every word occurs in text, in any case, accent and script."""
        return self.containing(words(search))
