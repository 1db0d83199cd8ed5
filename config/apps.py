"""The app of the process, for its commands, table and templates."""

import os
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.cache import close_caches
from django.core.checks import CheckMessage, Warning, register
from django.core.handlers.base import reset_urlconf
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, reset_queries


class ConfigConfig(AppConfig):
    name = "config"

    def ready(self) -> None:
        # Each thread keeps its connection, which config.database looks at before it is used, and no cache has one.
        request_started.disconnect(close_old_connections)
        request_finished.disconnect(close_old_connections)
        request_finished.disconnect(close_caches)
        request_finished.disconnect(reset_urlconf)  # config.wsgi sets none
        if not settings.DEBUG:  # else queries are logged
            request_started.disconnect(reset_queries)
        register(pool_size_is_ignored)


def pool_size_is_ignored(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if not os.environ.get("DATABASE_POOL_SIZE"):
        return []
    hint = "Remove it. Each thread keeps one connection; THREADS says how many there are."
    return [Warning("DATABASE_POOL_SIZE is ignored.", hint=hint, id="config.W003")]
