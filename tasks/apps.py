"""Registers the app, its resource and the names of its enums."""

from django.apps import AppConfig


class TasksConfig(AppConfig):
    name = "tasks"

    def ready(self) -> None:
        from drf_spectacular.settings import spectacular_settings

        from tasks.choices import Priority, Status
        from tasks.resource import TASKS
        from tasks.services import recompute_days
        from users.resources.resource import register
        from users.services import follow_zone

        register(TASKS)
        follow_zone(recompute_days)
        enum_names = {"TaskStatus": Status, "TaskPriority": Priority}
        spectacular_settings.ENUM_NAME_OVERRIDES |= enum_names  # type: ignore[attr-defined]
