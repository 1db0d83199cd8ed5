"""Registers the app and its checks, and has PostgreSQL told who asks."""

from django.apps import AppConfig
from django.db.backends.signals import connection_created


class UsersConfig(AppConfig):
    name = "users"

    def ready(self) -> None:
        from users import checks, isolation  # noqa: F401  # importing registers the checks

        connection_created.connect(isolation.install)
