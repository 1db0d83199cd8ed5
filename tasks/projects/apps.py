"""Registers the app and its resource."""

from django.apps import AppConfig


class ProjectsConfig(AppConfig):
    name = "tasks.projects"

    def ready(self) -> None:
        from tasks.projects.resource import PROJECTS
        from users.resources.resource import register

        register(PROJECTS)
