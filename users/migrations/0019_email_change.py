import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from config.database.isolation import isolate


class Migration(migrations.Migration):
    dependencies = [
        ("users", "0018_token_roles"),
    ]

    operations = [
        migrations.CreateModel(
            name="EmailChange",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="email_change",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("email", models.TextField()),
                ("previous", models.TextField()),
                ("requested_at", models.DateTimeField()),
                ("confirmed_at", models.DateTimeField(null=True)),
            ],
        ),
        isolate("users_emailchange"),
    ]
