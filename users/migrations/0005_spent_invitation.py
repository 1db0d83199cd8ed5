from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("users", "0004_identity")]

    operations = [
        migrations.CreateModel(
            name="SpentInvitation",
            fields=[
                ("digest", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("expires_at", models.DateTimeField()),
            ],
        ),
    ]
