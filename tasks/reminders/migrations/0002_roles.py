from django.contrib.auth.management import create_permissions
from django.db import migrations


def make_permissions(apps, schema_editor):
    """Django makes them after all migrations, which is too late for the groups."""
    app = apps.get_app_config("reminders")
    app.models_module = True  # as if there were one
    create_permissions(app, verbosity=0, apps=apps)
    app.models_module = None


def extend_roles(apps, schema_editor):
    """Who may see tasks may see when their reminders fire."""
    Group, Permission = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    permission = Permission.objects.get(content_type__app_label="reminders", codename="view_reminder")
    holders = {"permissions__codename": "view_task", "permissions__content_type__app_label": "tasks"}
    for group in Group.objects.filter(**holders):
        group.permissions.add(permission)


class Migration(migrations.Migration):
    dependencies = [
        ("reminders", "0001_initial"),
        ("tasks", "0005_roles"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.RunPython(make_permissions, migrations.RunPython.noop),
        migrations.RunPython(extend_roles, migrations.RunPython.noop),
    ]
