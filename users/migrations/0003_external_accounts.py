from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("users", "0002_sessions")]

    operations = [
        migrations.CreateModel(
            name="ClosedAccount",
            fields=[
                ("digest", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("closed_at", models.DateTimeField()),
            ],
        ),
        migrations.AddField(
            model_name="user",
            name="issuer",
            field=models.TextField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="user",
            name="subject",
            field=models.TextField(editable=False, null=True),
        ),
        migrations.AlterField(
            model_name="user",
            name="email_canonical",
            field=models.TextField(editable=False, null=True),
        ),
    ]
