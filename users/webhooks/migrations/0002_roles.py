from django.db import migrations

from users import roles

# Who may see sessions may see webhooks, and who may end those may disable these; whole addresses are for those who read
# the text of tasks.
extend_roles = roles.extension(
    "webhooks",
    {
        "users.view_session": ["view_endpoint", "view_delivery"],
        "users.delete_session": ["change_endpoint"],
        "tasks.view_task_text": ["view_endpoint_url"],
    },
)


class Migration(migrations.Migration):
    dependencies = [
        ("webhooks", "0001_initial"),
        ("users", "0018_token_roles"),
        ("tasks", "0005_roles"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        roles.permissions("webhooks"),
        migrations.RunPython(extend_roles, migrations.RunPython.noop),
    ]
