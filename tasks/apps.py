"""Registers the app, its resource and the names of its enums."""

from django.apps import AppConfig


class TasksConfig(AppConfig):
    name = "tasks"

    def ready(self) -> None:
        from drf_spectacular.settings import spectacular_settings

        from tasks.choices import Priority, Status
        from tasks.completions import Completion
        from tasks.resource import TASKS
        from tasks.services import recompute_days
        from users import exports
        from users.resources.resource import register
        from users.services import follow_account

        register(TASKS)
        shown = (
            *("id", "task_id", "at", "occurrence_date", "occurrence_at", "kind", "missed", "version", "revoked_at"),
            "revoked_versions",
        )
        exports.register("completions")(lambda user: exports.rows(Completion.objects.for_user(user), *shown))
        follow_account(recompute_days, "timezone")
        enum_names = {"TaskStatus": Status, "TaskPriority": Priority, "CompletionKind": Completion.Kind}
        spectacular_settings.ENUM_NAME_OVERRIDES |= enum_names  # type: ignore[attr-defined]
