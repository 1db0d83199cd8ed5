"""Imports in the admin: numbers, and no text."""

from django.contrib.auth.models import Permission
from django.test import Client

from tasks.formats.drafts import Degraded, Document, Skipped
from tasks.transfer.models import Import
from tasks.transfer.services import import_document
from tests.factories import make_user
from tests.pages import signed_in
from users.models import User

PAGE = "/admin/transfer/import/"
SECRET = "Biopsy"


def staff_with(*names: str) -> Client:
    user = make_user(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    return signed_in(user)


def test_staff_sees_what_came_of_a_file_but_none_of_its_texts(alice: User) -> None:
    document = Document(degraded=[Degraded(1, "title", SECRET, None)], skipped=[Skipped(1, SECRET)], warnings=[SECRET])
    row = import_document(alice, document, "todoist").row
    assert row is not None
    client = staff_with("view_import")
    for path in (PAGE, f"{PAGE}{row.pk}/change/"):
        page = client.get(path).content.decode()
        assert "todoist" in page
        assert SECRET not in page
    for path in (f"{PAGE}add/", f"{PAGE}{row.pk}/delete/"):
        assert client.get(path).status_code == 403
    client.post(f"{PAGE}{row.pk}/change/", {"format": "x"})
    assert Import.objects.get().format == "todoist"


def test_others_see_none(alice: User) -> None:
    import_document(alice, Document(), "todoist")
    assert staff_with("view_task").get(PAGE).status_code == 403
