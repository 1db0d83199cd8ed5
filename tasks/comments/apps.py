"""Registers the app and its resource."""

from django.apps import AppConfig


class CommentsConfig(AppConfig):
    name = "tasks.comments"

    def ready(self) -> None:
        from tasks.comments.resource import COMMENTS
        from users.resources.resource import register

        register(COMMENTS)
