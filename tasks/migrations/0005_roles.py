from django.contrib.auth.management import create_permissions
from django.db import migrations

# Here, as these concern tasks as well as users.
ROLES = {
    "support": ["users.view_user", "users.view_session", "users.delete_session", "tasks.view_task"],
    "operators": [
        *(f"users.{may}_user" for may in ("add", "change", "delete", "view")),
        "users.view_session",
        "users.delete_session",
        "users.view_auditevent",
        *(f"tasks.{may}_task" for may in ("add", "change", "delete", "view")),
        "tasks.view_task_text",
    ],
}


def make_permissions(apps, schema_editor):
    """Django makes them after all migrations, which is too late for the groups."""
    for label in ("users", "tasks"):
        app = apps.get_app_config(label)
        app.models_module = True  # as if there were one
        create_permissions(app, verbosity=0, apps=apps)
        app.models_module = None


def make_roles(apps, schema_editor):
    """An existing group of this name is the operator's own, and stays as it is."""
    Group, Permission = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    for name, permissions in ROLES.items():
        group, is_new = Group.objects.get_or_create(name=name)
        for permission in permissions if is_new else ():
            label, codename = permission.split(".")
            group.permissions.add(Permission.objects.get(content_type__app_label=label, codename=codename))


class Migration(migrations.Migration):
    dependencies = [
        ("tasks", "0004_view_task_text"),
        ("users", "0010_second_factor"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.RunPython(make_permissions, migrations.RunPython.noop),
        migrations.RunPython(make_roles, migrations.RunPython.noop),
    ]
