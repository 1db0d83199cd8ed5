"""Plants the mistake into each process that serves."""

from typing import Any

from django.apps import AppConfig


class LeakyConfig(AppConfig):
    name = "tests.leaky"

    def ready(self) -> None:
        from tasks.querysets import TaskQuerySet

        def for_user(queryset: TaskQuerySet, user: Any) -> TaskQuerySet:
            return queryset.all()

        TaskQuerySet.for_user = for_user  # type: ignore[assignment]
