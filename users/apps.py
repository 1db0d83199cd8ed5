"""Registers the app and its system checks."""

from django.apps import AppConfig


class UsersConfig(AppConfig):
    name = "users"

    def ready(self) -> None:
        from users import checks  # noqa: F401  # importing registers them
