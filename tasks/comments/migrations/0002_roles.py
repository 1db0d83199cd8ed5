from django.contrib.auth.management import create_permissions
from django.db import migrations


def make_permissions(apps, schema_editor):
    """Django makes them after all migrations, which is too late for the groups."""
    app = apps.get_app_config("comments")
    app.models_module = True  # as if there were one
    create_permissions(app, verbosity=0, apps=apps)
    app.models_module = None


def extend_roles(apps, schema_editor):
    """Who may do something with tasks may do so with comments."""
    Group, Permission = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    for may in ("add_{}", "change_{}", "delete_{}", "view_{}", "view_{}_text"):
        groups = Group.objects.filter(
            permissions__codename=may.format("task"), permissions__content_type__app_label="tasks"
        )
        for permission in Permission.objects.filter(
            content_type__app_label="comments", codename__in=[may.format("comment"), may.format("comment")]
        ):
            for group in groups:
                group.permissions.add(permission)


class Migration(migrations.Migration):
    dependencies = [
        ("comments", "0001_initial"),
        ("tasks", "0005_roles"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.RunPython(make_permissions, migrations.RunPython.noop),
        migrations.RunPython(extend_roles, migrations.RunPython.noop),
    ]
