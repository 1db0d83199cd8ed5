"""Registers the app, its work and mails, and what follows an account's settings."""

from django.apps import AppConfig


class RemindersConfig(AppConfig):
    name = "tasks.reminders"

    def ready(self) -> None:
        pass
