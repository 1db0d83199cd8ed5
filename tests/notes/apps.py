"""The app of notes, for its table. `tests.resources.declared.installed` registers the resource within a test."""

from django.apps import AppConfig


class NotesConfig(AppConfig):
    name = "tests.notes"
