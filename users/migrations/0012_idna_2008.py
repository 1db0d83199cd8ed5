import re
import sys
import unicodedata
from collections.abc import Callable
from typing import Any

from django.db import migrations


def canonical_2008(email: str) -> str:
    """users.text.canonical_email as it is with this migration."""
    name, at, domain = re.sub("[\ufe6b\uff20]", "@", email.strip()).rpartition("@")
    folded = unicodedata.normalize("NFKC", name).casefold()
    return f"{unicodedata.normalize('NFKC', folded)}{at}{ascii_2008(domain)}"


def ascii_2008(domain: str) -> str:
    if domain.isascii():
        return domain.lower()
    import idna

    try:
        labels = idna.uts46_remap(domain).split(".")
    except UnicodeError:
        return unicodedata.normalize("NFKC", domain).lower()
    return ".".join(label if label.isascii() else f"xn--{label.encode('punycode').decode()}" for label in labels)


def canonical_2003(email: str) -> str:
    """users.text.canonical_email as it was before."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", email.strip()).casefold())
    name, at, domain = folded.rpartition("@")
    try:
        return f"{name}{at}{domain.encode('idna').decode()}"
    except UnicodeError:
        return folded


def move(canonical: Callable[[str], str]) -> Callable[[Any, Any], None]:
    """Make the canonical addresses anew, and tell of each that changes: until now its mails went to another domain,
    which is why it is unconfirmed again. Two accounts that turn out to be of one mailbox stay two.
    """

    def run(apps: Any, schema_editor: Any) -> None:
        schema_editor.execute("SELECT set_config('tickbase.user_id', '0', true)")  # row level security
        users = apps.get_model("users", "User").objects
        # Those of other issuers have none. Of addresses in ASCII nothing changes.
        for user in users.filter(email_canonical__isnull=False, email__regex=r"[^\x01-\x7f]").order_by("pk"):
            before, after = user.email_canonical, canonical(user.email)
            if after == before:
                continue
            user.email_verified_at = None
            if (other := users.filter(email_canonical=after).first()) is None:
                user.email_canonical = after
                tell(
                    f"Account {user.pk} signs in as {after!a} now, where its mails go; it was {before!a}. Nobody has confirmed the new address."
                )
            else:
                tell(
                    f"Account {user.pk} still signs in as {before!a}, though its mails go to {after!a}, by which account {other.pk} signs in. Give one of the two another address in the admin."
                )
            user.save(update_fields=["email_canonical", "email_verified_at"])

    return run


def tell(what: str) -> None:
    sys.stdout.write(f"\n    {what}")


class Migration(migrations.Migration):
    """IDNA 2003 took ß, ς and the joiners for ss, σ and nothing: for another domain, which may have another owner."""

    dependencies = [("users", "0011_dashboard_indexes")]

    operations = [migrations.RunPython(move(canonical_2008), move(canonical_2003), elidable=True)]
