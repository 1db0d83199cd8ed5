"""The migrations that the code knows, and those that the database has."""

from functools import cache

from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

Names = set[tuple[str, str]]  # of app and migration


def missing() -> Names:
    return set(known() - applied())


def unknown(names: Names) -> Names:
    """The migrations of a newer Tickbase; those of apps that are gone do not count."""
    apps = {app for app, _ in known()}
    return {(app, name) for app, name in names - known() if app in apps}


def tables(names: Names) -> set[str]:
    """Those that these migrations leave behind, as far as the code knows them."""
    state = MigrationLoader(None).project_state(sorted(known() & names))
    return {model._meta.db_table for model in state.apps.get_models(include_auto_created=True)}


def applied() -> Names:
    return set(MigrationRecorder(connection).applied_migrations())


@cache
def known() -> frozenset[tuple[str, str]]:
    """The migrations in the code, which does not change while the process runs."""
    return frozenset(MigrationLoader(None).disk_migrations or {})
