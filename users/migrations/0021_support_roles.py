from django.contrib.auth.management import create_permissions
from django.db import migrations

GRANTS = {
    "delete_session": ("support_user", "view_accountnote", "add_accountnote"),
    "delete_user": ("delete_accountnote",),
}


def make_permissions(apps, schema_editor):
    """Django makes them after all migrations, which is too late for the groups."""
    app = apps.get_app_config("users")
    app.models_module = True  # as if there were one
    create_permissions(app, verbosity=0, apps=apps)
    app.models_module = None


def extend_roles(apps, schema_editor):
    """Who may end sessions supports users; who may delete accounts may delete notes on them."""
    Group, Permission = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    users = Permission.objects.filter(content_type__app_label="users")
    for held, granted in GRANTS.items():
        for group in Group.objects.filter(permissions__in=users.filter(codename=held)):
            group.permissions.add(*users.filter(codename__in=granted))


class Migration(migrations.Migration):
    dependencies = [
        ("users", "0020_staff"),
        ("tasks", "0005_roles"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.RunPython(make_permissions, migrations.RunPython.noop),
        migrations.RunPython(extend_roles, migrations.RunPython.noop),
    ]
