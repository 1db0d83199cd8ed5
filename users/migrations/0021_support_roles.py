from django.db import migrations

from users import roles

# Who may end sessions supports users; who may delete accounts may delete notes on them.
extend_roles = roles.extension(
    "users",
    {
        "users.delete_session": ["support_user", "view_accountnote", "add_accountnote"],
        "users.delete_user": ["delete_accountnote"],
    },
)


class Migration(migrations.Migration):
    dependencies = [
        ("users", "0020_staff"),
        ("tasks", "0005_roles"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        roles.permissions("users"),
        migrations.RunPython(extend_roles, migrations.RunPython.noop),
    ]
