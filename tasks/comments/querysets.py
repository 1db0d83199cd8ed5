"""The querysets of comments. The methods read as adjectives and can be chained in any order."""

from typing import TYPE_CHECKING, Self

from django.db.models import Value
from django.db.models.functions import StrIndex

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
        found = self
        for number, word in enumerate(words(search)):
            name = f"_word_{number}"
            found = found.alias(**{name: StrIndex("search_text", Value(word))}).filter(**{f"{name}__gt": 0})
        return found
