import datetime as dt
import secrets

from django.db import migrations, models
from django.utils import timezone

from config.database import timeline
from config.database.isolation import all_users


@all_users()
def begin(apps, schema_editor):
    """users.services.epochs.new_epoch as it is with this migration; in a new database the counters begin at 0.

    Accounts that are there may come from a backup that is older than this table, of a history that went on after it.
    """
    began_at, base = timezone.now(), 0
    if apps.get_model("users", "User").objects.exists():
        feeds = apps.get_model("users", "Feed").objects
        known = feeds.aggregate(head=models.Max("head"))["head"] or 0
        by_clock = (began_at - dt.datetime(2026, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1) * 2**12
        base = by_clock if by_clock > known else known + 2**32
        feeds.update(head=base)
    apps.get_model("users", "Epoch").objects.create(
        value=1 + secrets.randbits(62), base=base, timeline=timeline.current(), began_at=began_at
    )


class Migration(migrations.Migration):
    dependencies = [("users", "0014_feed")]

    operations = [
        migrations.CreateModel(
            name="Epoch",
            fields=[
                ("id", models.SmallIntegerField(default=1, editable=False, primary_key=True, serialize=False)),
                ("value", models.BigIntegerField()),
                ("base", models.BigIntegerField(default=0)),
                ("timeline", models.BigIntegerField(null=True)),
                ("began_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("id", 1)), name="users_epoch_one"),
                    models.CheckConstraint(condition=models.Q(("value__gt", 0)), name="users_epoch_value"),
                ],
            },
        ),
        migrations.RunPython(begin, migrations.RunPython.noop),
    ]
