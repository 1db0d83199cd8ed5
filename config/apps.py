"""Registers the process itself as an app, for its management command."""

from django.apps import AppConfig


class ConfigConfig(AppConfig):
    name = "config"
