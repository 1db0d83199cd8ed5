from typing import Any

from django.db import migrations, models
from django.db.models import Q


def refuse_external_accounts(apps: Any, schema_editor: Any) -> None:
    """On the way back: before this migration, an account without a login of its own cannot exist."""
    if apps.get_model("users", "User").objects.exclude(issuer=None).exists():
        raise RuntimeError("Accounts of another issuer exist; delete them before you go back to an older version.")


class Migration(migrations.Migration):
    dependencies = [("users", "0003_external_accounts")]

    operations = [
        migrations.RemoveConstraint(model_name="user", name="users_user_email"),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.UniqueConstraint(fields=["issuer", "subject"], name="users_user_subject"),
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.CheckConstraint(
                name="users_user_identity",
                condition=Q(issuer=None, subject=None, email_canonical__isnull=False)
                | Q(issuer__isnull=False, subject__isnull=False, email_canonical=None),
            ),
        ),
        migrations.RunPython(migrations.RunPython.noop, refuse_external_accounts, elidable=True),
    ]
