"""The app of the process, for its commands, table and templates."""

from django.apps import AppConfig


class ConfigConfig(AppConfig):
    name = "config"
