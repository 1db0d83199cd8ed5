"""What the tests of the admin's history pages have in common."""

from typing import Any

from django.contrib.auth.models import Permission
from django.test import Client

from tests.factories import make_user
from tests.pages import Page, send, signed_in
from users.resources.models import OwnedModel

REASON = "The owner asked for it"


def staff_with(*permissions: str) -> Client:
    user = make_user(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return signed_in(user)


def entries(client: Client, path: str) -> list[dict[str, Any]]:
    """The page's rows: who, did, whether it can be undone, and by label what each member was and is."""
    return [
        {
            "actor": entry.actor,
            "did": entry.did,
            "undo": bool(entry.undo),
            "members": {member.label: (member.before, member.after) for member in entry.members},
        }
        for entry in client.get(path).context["entries"]
    ]


def dids(client: Client, path: str) -> list[str]:
    return [entry["did"] for entry in entries(client, path)]


def undo_page(rows: str, row: OwnedModel, operation: int) -> str:
    return f"{rows}{row.pk}/history/{operation}/undo/"


def undo_it(client: Client, rows: str, row: OwnedModel, operation: int, reason: str = REASON) -> Page:
    return send(client, undo_page(rows, row, operation), {"reason": reason})
