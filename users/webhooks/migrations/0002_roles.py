from django.contrib.auth.management import create_permissions
from django.db import migrations


def make_permissions(apps, schema_editor):
    """Django makes them after all migrations, which is too late for the groups."""
    app = apps.get_app_config("webhooks")
    app.models_module = True  # as if there were one
    create_permissions(app, verbosity=0, apps=apps)
    app.models_module = None


def extend_roles(apps, schema_editor):
    """Who may see sessions may see webhooks, and who may end those may disable these; whole addresses are for those who
    read the text of tasks."""
    Group, Permission = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    for held, codenames in (
        ("users.view_session", ("view_endpoint", "view_delivery")),
        ("users.delete_session", ("change_endpoint",)),
        ("tasks.view_task_text", ("view_endpoint_url",)),
    ):
        label, like = held.split(".")
        permissions = Permission.objects.filter(content_type__app_label="webhooks", codename__in=codenames)
        holders = {"permissions__codename": like, "permissions__content_type__app_label": label}
        for group in Group.objects.filter(**holders).distinct():
            group.permissions.add(*permissions)


class Migration(migrations.Migration):
    dependencies = [
        ("webhooks", "0001_initial"),
        ("users", "0018_token_roles"),
        ("tasks", "0005_roles"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.RunPython(make_permissions, migrations.RunPython.noop),
        migrations.RunPython(extend_roles, migrations.RunPython.noop),
    ]
