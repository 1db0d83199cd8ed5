from django.contrib.auth.management import create_permissions
from django.db import migrations


def make_permissions(apps, schema_editor):
    """Django makes them after all migrations, which is too late for the groups."""
    app = apps.get_app_config("mail")
    app.models_module = True  # as if there were one
    create_permissions(app, verbosity=0, apps=apps)
    app.models_module = None


def extend_roles(apps, schema_editor):
    """Who may see sessions may see which mails were sent, and who may end those may have one sent again."""
    Group, Permission = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    for may, like in (("view", "view_session"), ("change", "delete_session")):
        permission = Permission.objects.get(content_type__app_label="mail", codename=f"{may}_mail")
        holders = {"permissions__codename": like, "permissions__content_type__app_label": "users"}
        for group in Group.objects.filter(**holders):
            group.permissions.add(permission)


class Migration(migrations.Migration):
    dependencies = [
        ("mail", "0001_initial"),
        ("users", "0018_token_roles"),
        ("tasks", "0005_roles"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.RunPython(make_permissions, migrations.RunPython.noop),
        migrations.RunPython(extend_roles, migrations.RunPython.noop),
    ]
