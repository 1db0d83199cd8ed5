"""What is told of personal tokens: audit, export, mails, the admin; and when they are removed."""

import datetime as dt
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Permission
from django.core import mail
from django.core.management import call_command
from django.utils import timezone

from config.operations import work
from tests.audited import events, only
from tests.callers import with_token
from tests.client import Api
from tests.factories import make_token, make_user
from tests.pages import signed_in
from tests.users.test_roles import in_role
from users import exports, services
from users.audit import Action
from users.mail.models import Mail
from users.models import PersonalToken, User

TOKENS = "/api/users/me/tokens"
BODY: dict[str, Any] = {"name": "Backup script", "scopes": ["tasks:read", "tasks:write"]}
DAY = dt.timedelta(days=1)
LIST = "/admin/users/personaltoken/"


def only_token() -> PersonalToken:
    return PersonalToken.objects.get()


def in_days(days: float) -> dt.datetime:
    return timezone.now() + days * DAY


def test_the_audit_tells_of_it_without_the_secret_and_the_name(as_alice: Api, alice: User) -> None:
    token = as_alice.post(TOKENS, BODY).json()["token"]
    row = only_token()
    as_alice.patch(f"{TOKENS}/{row.pk}", {"name": "Other"})
    as_alice.delete(f"{TOKENS}/{row.pk}")
    told = events(object_type="users.personaltoken")
    assert [each.action for each in told] == [Action.TOKEN_CREATED, Action.TOKEN_CHANGED, Action.TOKEN_REVOKED]
    for each in told:
        assert (each.actor, each.subject, each.object_id) == (alice, alice, str(row.pk))
        assert (each.details["prefix"], each.details["scopes"]) == (row.prefix, BODY["scopes"])
        assert token[13:] not in str(each.details) and BODY["name"] not in str(each.details)


def test_the_audit_counts_what_ends_with_the_password(alice: User) -> None:
    make_token(alice, "tasks:read")
    make_token(alice, "tasks:read")
    services.set_password(alice, "staple the battery")
    assert only(Action.TOKENS_REVOKED).details["tokens"] == 2


def test_the_export_has_it_without_its_digest(alice: User) -> None:
    make_token(alice, "tasks:read", name="Mine")
    document = b"".join(exports.stream(alice)).decode()
    assert '"name":"Mine"' in document and only_token().prefix in document
    assert only_token().digest not in document
    assert exports.counts(alice)["personal tokens"] == 1


# --- The mail before one expires --------------------------------------------------------------------


def verified(name: str, **fields: Any) -> User:
    return make_user(name, email_verified_at=timezone.now(), **fields)


def long_lived(user: User, days: float) -> str:
    """Made long ago; expires in so many days."""
    token = make_token(user, "tasks:read", name="Secret name")
    row = PersonalToken.objects.latest("created_at")
    PersonalToken.objects.filter(pk=row.pk).update(created_at=timezone.now() - 30 * DAY, expires_at=in_days(days))
    return token


def test_its_owner_is_told_once_in_the_week_before(db: None) -> None:
    ada = verified("ada")
    token = long_lived(ada, 6.9)
    long_lived(verified("eve"), 7.1)
    services.warn_of_expiry()
    services.warn_of_expiry()
    assert work.drain("mails") == 1
    [sent] = mail.outbox
    assert (sent.to, sent.subject) == ([ada.email], "Tickbase: a token expires soon")
    assert token[:13] in sent.body and token[:14] not in sent.body and "Secret name" not in sent.body
    assert PersonalToken.objects.get(user=ada).warned_at is not None


def test_nobody_else_is_told(db: None) -> None:
    long_lived(make_user("unverified"), 3)
    inactive = verified("inactive")
    long_lived(inactive, 3)
    User.objects.filter(pk=inactive.pk).update(is_active=False)
    long_lived(verified("expired"), -1)
    make_token(verified("short"), "tasks:read", expires_at=in_days(3))
    make_token(verified("endless"), "tasks:read", expires_at=None)
    services.warn_of_expiry()
    assert Mail.objects.count() == 0


# --- Pruning ----------------------------------------------------------------------------------------


def test_an_expired_token_is_listed_for_thirty_days(as_alice: Api, alice: User) -> None:
    make_token(alice, "tasks:read", expires_at=in_days(1))
    make_token(alice, "tasks:read", expires_at=None)
    for days, left in ((2, 2), (30.9, 2), (31.1, 1)):
        with time_machine.travel(in_days(days)):
            call_command("prune", stdout=StringIO())
            assert PersonalToken.objects.count() == left
    assert only_token().expires_at is None


# --- The admin --------------------------------------------------------------------------------------


def test_staff_see_whose_it_is_and_what_it_may_and_neither_name_nor_digest(alice: User, carol: User) -> None:
    token = make_token(alice, "tasks:read", name="Secret name")
    assert with_token(token).get("/api/me/tasks").status_code == 200
    client = signed_in(carol)
    for path in (LIST, f"{LIST}{only_token().pk}/change/"):
        page = client.get(path).content.decode()
        assert all(shown in page for shown in (alice.email, token[:13], "tasks:read"))
        assert ("127.0.0.0/24" in page) == (path != LIST)
        assert not any(hidden in page for hidden in ("Secret name", token[13:], only_token().digest))
    assert client.get(f"{LIST}add/").status_code == 403


@pytest.mark.parametrize(("role", "may"), [("staff", False), ("support", True), ("operators", True)])
def test_support_may_revoke(alice: User, role: str, may: bool) -> None:
    token = make_token(alice, "tasks:read")
    staff = in_role(role)
    client = signed_in(staff)
    assert client.get(LIST).status_code == (200 if may else 403)
    path = f"{LIST}{only_token().pk}/delete/"
    assert client.post(path, {"post": "yes"}).status_code == (302 if may else 403)
    assert with_token(token).get("/api/me/tasks").status_code == (401 if may else 200)
    if may:
        event = only(Action.TOKEN_REVOKED)
        assert (event.actor, event.subject) == (staff, alice)
        assert not events(action=Action.STAFF_DELETED)


def test_support_revokes_none_of_a_superusers(carol: User) -> None:
    make_token(carol, "tasks:read")
    client = signed_in(in_role("support"))
    assert client.post(f"{LIST}{only_token().pk}/delete/", {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [str(only_token().pk)], "post": "yes"}
    client.post(LIST, chosen)
    assert PersonalToken.objects.count() == 1


def test_several_are_revoked_at_once(alice: User, bob: User, carol: User) -> None:
    for user in (alice, alice, bob):
        make_token(user, "tasks:read")
    chosen = {
        "action": "delete_selected", "_selected_action": [str(each.pk) for each in PersonalToken.objects.all()],
        "post": "yes",
    }  # fmt: skip
    assert signed_in(carol).post(LIST, chosen).status_code == 302
    assert not PersonalToken.objects.exists()
    assert len(events(action=Action.TOKEN_REVOKED)) == 3


def test_who_may_end_sessions_may_revoke_tokens(db: None) -> None:
    held = {role: in_role(role).get_all_permissions() for role in ("support", "operators")}
    assert Permission.objects.filter(codename="delete_personaltoken").exists()
    for permissions in held.values():
        assert {"users.view_personaltoken", "users.delete_personaltoken"} <= permissions


def test_the_history_in_the_admin_names_the_token(alice: User, carol: User) -> None:
    token = make_token(alice, "tasks:write")
    task = with_token(token).post("/api/me/tasks", {"title": "By script"}).json()["id"]
    client, address = signed_in(carol), f"/admin/tasks/task/{task}/history/"
    assert f"the owner, with the token {token[:13]}…" in client.get(address).content.decode()
    services.revoke_token(alice, only_token().pk)
    assert "the owner, with a token" in client.get(address).content.decode()
