from typing import Any

from django.db import migrations


def ascii_domains(apps: Any, schema_editor: Any) -> None:
    """Canonical addresses of before have their domain as it was typed; a few are not ASCII."""
    users = apps.get_model("users", "User").objects
    for user in users.filter(email_canonical__regex=r"@.*[^\x01-\x7f]").iterator():
        name, _, domain = user.email_canonical.rpartition("@")
        try:
            canonical = f"{name}@{domain.encode('idna').decode()}"
        except UnicodeError:
            continue
        if not users.filter(email_canonical=canonical).exists():
            users.filter(pk=user.pk).update(email_canonical=canonical)


class Migration(migrations.Migration):
    dependencies = [("users", "0005_spent_invitation")]

    # Going back needs nothing: who had such an address can still reset the password.
    operations = [migrations.RunPython(ascii_domains, migrations.RunPython.noop, elidable=True)]
