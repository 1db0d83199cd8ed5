"""Row level security of tables that name no user, but belong to one, or to staff."""

import pytest
from django.db import ProgrammingError, connection
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken

from config.database import isolation
from config.database.isolation import as_user
from tests.client import Api
from tests.factories import PASSWORD
from tests.pages import signed_in
from users.models import User


def test_a_table_that_refers_to_a_user_through_another_is_one_of_users() -> None:
    assert {"users_user_groups", "otp_static_staticdevice", "otp_static_statictoken"} < isolation.tables_of_users()
    assert not {"auth_group", "django_content_type", "config_rate_limit"} & isolation.tables_of_users()


def test_recovery_codes_are_seen_by_their_owner_only(alice: User, bob: User) -> None:
    for user in (alice, bob):
        device = StaticDevice.objects.create(user=user, name="recovery codes")
        StaticToken.objects.create(device=device, token=user.name)
    with isolation.nobody():
        assert StaticToken.objects.count() == 0
    with as_user(bob.pk):
        assert list(StaticToken.objects.values_list("token", flat=True)) == ["bob"]
    with as_user(bob.pk), pytest.raises(ProgrammingError, match="violates row-level security policy"):
        StaticToken.objects.create(device=StaticDevice(pk=device.pk - 1), token="x")


def sessions_seen() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM django_session")
        return int(cursor.fetchone()[0])


def test_sessions_of_the_admin_are_seen_there_only(alice: User, carol: User) -> None:
    client = signed_in(carol)
    assert sessions_seen() == 1
    for who in (isolation.nobody(), as_user(alice.pk), as_user(carol.pk)):
        with who:
            assert sessions_seen() == 0
    with isolation.nobody():
        assert client.get("/admin/").status_code == 200


def test_whoever_has_recovery_codes_can_delete_the_own_account(carol: User) -> None:
    StaticToken.objects.create(device=StaticDevice.objects.create(user=carol), token="x")
    api = Api(carol)
    with isolation.nobody():
        assert api.client.delete("/api/users/me", {"password": PASSWORD}, format="json").status_code == 204
    assert StaticToken.objects.count() == 0
