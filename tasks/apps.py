"""Registers the app."""

from importlib import import_module

from django.apps import AppConfig


class TasksConfig(AppConfig):
    name = "tasks"

    def ready(self) -> None:
        import_module("tasks.exports")  # registers its sections
        import_module("users.services").follow_zone(import_module("tasks.services").recompute_days)
        tokens = import_module("users.tokens.own")
        tokens.load_with_user("feed")  # whose head is the ETag of every list
