"""Takes a resource out that startresource has written: its table, its files, and the lines that name it."""

import shutil
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from config.database.isolation import all_users
from users.management.startresource import edits, plan
from users.management.startresource.documents import SpecError
from users.management.startresource.files import Place
from users.management.startresource.spec import Spec
from users.resources.models import OwnedModel
from users.resources.references import listing, referring
from users.resources.resource import registered


def remove(spec: Spec, place: Place, *, destructive: bool, root: Path = settings.BASE_DIR) -> str:
    """Returns what to do next. Raises SpecError, also while there are rows, unless `destructive`."""
    lock = plan.Lock.read(root / place.folder / plan.LOCK)
    if lock is None:
        raise SpecError(f"{place.folder} was not made by startresource: there is no {plan.LOCK}.")
    resource = next((each for each in registered() if each.name == spec.name), None)
    if resource is not None:
        _refuse_referred(resource.model)
    if others := _depending(spec.plural):
        raise SpecError(f"Migrations of {', '.join(others)} depend on it, also those of before; remove these first.")
    edited = [path for path, sha in lock.files.items() if (root / path).exists() and _differs(root / path, sha)]
    if edited and not destructive:
        raise SpecError(f"{', '.join(edited)} were edited by hand; say --destructive to lose that.")
    if resource is not None and apps.is_installed(place.package):
        _drop(resource.model, spec, destructive=destructive)
    for path, text in edits.removed(spec, place, root).items():
        (root / path).write_text(text)
    for path in lock.files:
        (root / path).unlink(missing_ok=True)
    shutil.rmtree(root / place.folder, ignore_errors=True)
    shutil.rmtree(root / place.tests(spec), ignore_errors=True)
    return f"{place.folder} is gone. Next: make schema"


def _refuse_referred(model: type[OwnedModel]) -> None:
    plurals = {str(each.model._meta.verbose_name_plural) for each in (*referring(model), *listing(model))}
    if foreign := sorted(plurals - {str(model._meta.verbose_name_plural)}):
        raise SpecError(f"{', '.join(foreign)} refer to it; take that relation out first.")


def _depending(label: str) -> list[str]:
    """Other apps with a migration that comes after one of this app's."""
    nodes = MigrationLoader(None).graph.node_map.items()
    return sorted(
        {key[0] for key, node in nodes if key[0] != label and any(each.key[0] == label for each in node.parents)}
    )


def _differs(path: Path, sha: str) -> bool:
    return plan.sha(path.read_text()) != sha


def _drop(model: type[OwnedModel], spec: Spec, *, destructive: bool) -> None:
    with all_users():
        if model._meta.db_table not in connection.introspection.table_names():  # it was never migrated
            return
        rows = model._default_manager.count()
    if rows and not destructive:
        raise SpecError(f"There are {rows:,} rows of it; say --destructive to lose them.")
    call_command("migrate", spec.plural, "zero", verbosity=0)
