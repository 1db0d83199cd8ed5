from django.db import migrations

from users import roles

# Who may see sessions may see which mails were sent, and who may end those may have one sent again.
extend_roles = roles.extension("mail", {"users.view_session": ["view_mail"], "users.delete_session": ["change_mail"]})


class Migration(migrations.Migration):
    dependencies = [
        ("mail", "0001_initial"),
        ("users", "0018_token_roles"),
        ("tasks", "0005_roles"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        roles.permissions("mail"),
        migrations.RunPython(extend_roles, migrations.RunPython.noop),
    ]
