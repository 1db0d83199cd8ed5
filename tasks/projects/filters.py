"""The query parameters of projects."""

from config.http.fields import ChoiceField
from config.http.serializers import QuerySerializer
from tasks.projects.models import Project
from tasks.projects.querysets import ProjectQuerySet
from users.resources.lists import ListQuery, SortField

_NARROWED = {"true": ProjectQuerySet.archived, "false": ProjectQuerySet.not_archived, "all": ProjectQuerySet.all}


class ProjectListQuery(ListQuery):
    model = Project
    narrowing = {"archived": lambda projects, which: _NARROWED[which](projects), **ListQuery.narrowing}

    archived = ChoiceField(choices=[*_NARROWED], default="false", help_text="`true`, `false` or `all`.")
    sort = SortField(
        ["position", "name", "created", "updated"], default="position", help_text="A leading - reverses; ties go by id."
    )


class ProjectDeletionQuery(QuerySerializer):
    tasks = ChoiceField(
        choices=["trash", "inbox"],
        default="trash",
        help_text="Where its tasks go, with those of the projects within it.",
    )
