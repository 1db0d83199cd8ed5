"""Registers the app."""

from django.apps import AppConfig


class TasksConfig(AppConfig):
    name = "tasks"

    def ready(self) -> None:
        from tasks.resource import TASKS
        from tasks.services import recompute_days
        from users.resources.resource import register
        from users.services import follow_zone

        register(TASKS)
        follow_zone(recompute_days)
