from django.db import migrations, models
from django.db.models import Q


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
        migrations.RemoveConstraint(model_name="user", name="users_user_email"),
        migrations.AlterField(
            model_name="user",
            name="email_canonical",
            field=models.TextField(editable=False, null=True),
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.UniqueConstraint(fields=("issuer", "subject"), name="users_user_subject"),
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.CheckConstraint(
                name="users_user_identity",
                condition=Q(issuer=None, subject=None, email_canonical__isnull=False)
                | Q(issuer__isnull=False, subject__isnull=False, email_canonical=None),
            ),
        ),
    ]
