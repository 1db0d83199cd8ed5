from django.db import migrations

from users import roles

# Who may see sessions may see tokens, and who may end those may revoke these.
extend_roles = roles.extension(
    "users", {f"users.{may}_session": [f"{may}_personaltoken"] for may in ("view", "delete")}
)


class Migration(migrations.Migration):
    dependencies = [
        ("users", "0017_personal_token"),
        ("tasks", "0005_roles"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        roles.permissions("users"),
        migrations.RunPython(extend_roles, migrations.RunPython.noop),
    ]
