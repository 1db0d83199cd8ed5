from django.db import migrations, models

UNLOG = "ALTER TABLE config_rate_limit SET UNLOGGED"
LOG = "ALTER TABLE config_rate_limit SET LOGGED"
# Rows are updated in place (HOT) while their page has room, which spares the index and the vacuum.
LEAVE_ROOM = "ALTER TABLE config_rate_limit SET (fillfactor = 50)"
FILL = "ALTER TABLE config_rate_limit RESET (fillfactor)"


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="RateLimit",
            fields=[
                ("key", models.UUIDField(primary_key=True, serialize=False)),
                ("used", models.IntegerField()),
                ("resets_at", models.DateTimeField()),
            ],
            options={
                "db_table": "config_rate_limit",
                "indexes": [models.Index(fields=["resets_at"], name="config_rate_limit_resets_at")],
            },
        ),
        # Neither written to the log nor waited for on the disk: after a crash of the server it is empty.
        migrations.RunSQL(UNLOG, LOG),
        migrations.RunSQL(LEAVE_ROOM, FILL),
    ]
