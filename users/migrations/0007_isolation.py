from django.db import migrations

from config.database.isolation import isolate


class Migration(migrations.Migration):
    dependencies = [
        ("users", "0006_ascii_domains"),
        ("admin", "0003_logentry_add_action_flag_choices"),
    ]

    operations = [
        isolate("users_user", owner="id"),
        isolate("users_user_groups"),
        isolate("users_user_user_permissions"),
        isolate("users_session"),
        isolate("users_idempotencykey"),
        isolate("django_admin_log"),
    ]
