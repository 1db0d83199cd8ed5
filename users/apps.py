"""Registers the app, its system checks and its admin."""

from django.apps import AppConfig


class UsersConfig(AppConfig):
    name = "users"

    def ready(self) -> None:
        from users import checks  # noqa: F401  # importing registers them
        from users.admin import accounts, audit, sessions  # noqa: F401
