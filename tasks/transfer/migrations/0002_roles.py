from django.db import migrations

from users import roles

# Who may see tasks may see imports, which have no text of theirs.
extend_roles = roles.extension("transfer", {"tasks.view_task": ["view_import"]})


class Migration(migrations.Migration):
    dependencies = [
        ("transfer", "0001_imports"),
        ("tasks", "0005_roles"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        roles.permissions("transfer"),
        migrations.RunPython(extend_roles, migrations.RunPython.noop),
    ]
