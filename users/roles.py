"""For migrations: groups of staff get permissions on a new table by what they may do already."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.contrib.auth.management import create_permissions
from django.db.migrations import RunPython


def permissions(label: str) -> RunPython:
    """Make the permissions of an app. Django makes them after all migrations, which is too late for the groups."""

    def make(apps: Any, schema_editor: Any) -> None:
        app = apps.get_app_config(label)
        app.models_module = True  # as if there were one
        create_permissions(app, verbosity=0, apps=apps)
        app.models_module = None

    return RunPython(make, RunPython.noop)


def extension(label: str, grants: Mapping[str, Iterable[str]]) -> Callable[[Any, Any], None]:
    """A function for RunPython: groups that hold a permission, such as `tasks.view_task`, get these of the app."""

    def extend(apps: Any, schema_editor: Any) -> None:
        Group, Permission = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
        for held, codenames in grants.items():
            of, codename = held.split(".")
            holders = {"permissions__codename": codename, "permissions__content_type__app_label": of}
            given = Permission.objects.filter(content_type__app_label=label, codename__in=list(codenames))
            for group in Group.objects.filter(**holders):
                group.permissions.add(*given)

    return extend


def like_tasks(label: str, model: str, name: str) -> Callable[[Any, Any], None]:
    """The same for a resource: who may do something with tasks may do so with its rows."""
    grants = {f"tasks.{may}_task": [f"{may}_{model}"] for may in ("add", "change", "delete", "view")}
    return extension(label, {**grants, "tasks.view_task_text": [f"view_{name}_text"]})
