"""Registers the app, its system checks and its admin; and Django's admin with our AdminSite."""

from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class UsersConfig(AppConfig):
    name = "users"

    def ready(self) -> None:
        from config.observability.scrape import count_writes
        from users import checks  # noqa: F401  # importing registers them
        from users.admin import accounts, audit, sessions, tokens  # noqa: F401
        from users.models import Feed

        # Each change of a user's row increments their counter, the one row of the feed.
        count_writes(Feed, "tickbase_feed_changes", "Numbers that users' feeds gave to changes.")


class AdminConfig(admin_apps.AdminConfig):
    default = False  # of this module; INSTALLED_APPS names it
    default_site = "users.admin.site.AdminSite"
