from django.db import migrations

from users import roles

# Who may do something with tasks may do so with comments.
extend_roles = roles.like_tasks("comments", "comment", "comment")


class Migration(migrations.Migration):
    dependencies = [
        ("comments", "0001_initial"),
        ("tasks", "0005_roles"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        roles.permissions("comments"),
        migrations.RunPython(extend_roles, migrations.RunPython.noop),
    ]
