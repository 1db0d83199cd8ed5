"""The change counter moves here from tasks: by state alone, for the table and what is in it stay."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("users", "0013_indirect_isolation"), ("tasks", "0013_count_tasks")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.CreateModel(
                    name="Feed",
                    fields=[
                        (
                            "user",
                            models.OneToOneField(
                                on_delete=django.db.models.deletion.CASCADE,
                                primary_key=True,
                                related_name="feed",
                                serialize=False,
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        ("head", models.BigIntegerField(default=0)),
                        ("floor", models.BigIntegerField(default=0)),
                        ("live", models.IntegerField(db_default=0, default=0)),
                        ("stored", models.IntegerField(db_default=0, default=0)),
                    ],
                    options={
                        "db_table": "tasks_feed",
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("head__gte", models.F("floor"))), name="tasks_feed_order"
                            )
                        ],
                    },
                )
            ]
        )
    ]
