"""Who may call the API in the name of a user, and who tries to."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import F
from django.test import override_settings
from django.utils import timezone

from tests.client import Api
from tests.factories import PASSWORD, make_session, make_tokens, make_user
from tests.issuer import SHARED, claims_of, sign
from users import services
from users.models import Session, User
from users.tokens import own

Caller = Callable[[User], Api]  # of the user whose path is called


def with_token(token: str, api: Api | None = None) -> Api:
    api = api or Api()
    api.client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return api


def another(user: User) -> Api:
    return Api(make_user("bob"))


def staff(user: User) -> Api:
    return Api(make_user("carol", is_staff=True, is_superuser=True))


def admin_session(user: User) -> Api:
    """Staff with the cookies of a real sign-in to the admin, and no token."""
    carol, api = make_user("carol", is_staff=True, is_superuser=True), Api()
    answer = api.client.post("/admin/login/?next=/admin/", {"username": carol.email, "password": PASSWORD})
    assert (answer.status_code, answer["Location"]) == (302, "/admin/")
    assert api.client.get("/admin/password_change/").status_code == 200  # a page that counts nothing
    api.user = carol
    return api


def admin_session_and_token(user: User) -> Api:
    api = admin_session(user)
    assert api.user is not None
    return with_token(make_tokens(api.user).access, api)


def namesake(user: User) -> Api:
    """Of the external issuer that shares a secret with us; its `sub` is the id of the user."""
    api = with_token(sign(SHARED, claims_of(user.public_id)))
    assert api.get("/api/users/me").status_code == 200
    api.user = User.objects.get(subject=user.public_id)
    return api


def minted(user: User, **settings: str) -> Api:
    """With a token that is right but for these settings."""
    session = make_session(user)
    with override_settings(**settings):
        return with_token(own.mint(session).access)


def expired(user: User) -> Api:
    session = make_session(user)
    session.last_used_at = timezone.now() - dt.timedelta(hours=1)
    return with_token(own.mint(session).access)


def changed(user: User, **changes: object) -> Api:
    """Whose account has since been changed behind the services, which would end the session, too."""
    api = Api(user)
    User.objects.filter(pk=user.pk).update(**changes)
    return api


def revoked(user: User) -> Api:
    session = make_session(user)
    api = with_token(own.mint(session).access)
    services.end_session(user, session.pk)
    return api


def deleted(user: User) -> Api:
    api = Api(user)
    services.delete_account(user)
    return api


def of_anothers_session(user: User) -> Api:
    """Whose token names the user, and the session of somebody else."""
    session = make_session(make_user("bob"))
    forged = Session(pk=session.pk, user=user, created_at=session.created_at, last_used_at=session.last_used_at)
    return with_token(own.mint(forged).access)


ANOTHER: dict[str, Caller] = {
    "another user": another,
    "staff": staff,
    "staff with admin session and token": admin_session_and_token,
}
NOBODY: dict[str, Caller] = {"anonymous": lambda user: Api(), "staff with admin session": admin_session}
# All of these tokens have been, or claim to be, the user's own.
BAD_TOKEN: dict[str, Caller] = {
    "deactivated": lambda user: changed(user, is_active=False),
    "deleted": deleted,
    "expired token": expired,
    "wrong audience": lambda user: minted(user, JWT_AUDIENCE="another"),
    "wrong issuer": lambda user: minted(user, JWT_ISSUER="another"),
    "wrong key": lambda user: minted(user, JWT_SIGNING_KEY="not the key of this service at all"),
    "refresh token": lambda user: with_token(make_tokens(user).refresh),
    "revoked session": revoked,
    "session of another user": of_anothers_session,
    "outdated token version": lambda user: changed(user, token_version=F("token_version") + 1),
    "external, wrong audience": lambda user: with_token(sign(SHARED, claims_of(user.public_id, aud="another"))),
    "external, wrong issuer": lambda user: with_token(sign(SHARED, claims_of(user.public_id, iss="another"))),
    "external, our issuer": lambda user: with_token(sign(SHARED, claims_of(user.public_id, iss="tickbase"))),
}
COLUMNS: dict[str, dict[str, Caller]] = {
    "owner": {"owner": Api},
    "another": ANOTHER,
    "namesake": {"external namesake": namesake},
    "nobody": NOBODY,
    "bad token": BAD_TOKEN,
}


def every_caller() -> list[Any]:
    """Column and caller as parameters; all but the first of a column are for `make test-all`."""
    return [
        pytest.param(column, caller, id=who, marks=[pytest.mark.thorough] if number else [])
        for column, callers in COLUMNS.items()
        for number, (who, caller) in enumerate(callers.items())
    ]
