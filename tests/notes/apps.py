"""Installs the table. `tests.resources.installed` registers the resource, for the tests that are about it."""

from django.apps import AppConfig


class NotesConfig(AppConfig):
    name = "tests.notes"
