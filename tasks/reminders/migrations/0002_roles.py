from django.db import migrations

from users import roles

# Who may see tasks may see when their reminders fire.
extend_roles = roles.extension("reminders", {"tasks.view_task": ["view_reminder"]})


class Migration(migrations.Migration):
    dependencies = [
        ("reminders", "0001_initial"),
        ("tasks", "0005_roles"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        roles.permissions("reminders"),
        migrations.RunPython(extend_roles, migrations.RunPython.noop),
    ]
