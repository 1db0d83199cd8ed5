"""Migrations of accounts, forward and back, with rows that are in their way."""

import pytest
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection
from django.utils.timezone import now

from config.database.isolation import as_user
from tasks.models import Task
from tests.factories import PASSWORD, make_user
from users import services
from users.models import AuditEvent, User
from users.text import canonical_email


def migrate(name: str) -> None:
    call_command("migrate", "users", name, verbosity=0)


@pytest.mark.process
@pytest.mark.usefixtures("migrated_again")
def test_all_of_them_can_be_undone_and_done_again() -> None:
    user = make_user(email="ada@example.com")
    migrate("0001")
    migrate("0006")
    assert User.objects.values_list("email_canonical", flat=True).get(pk=user.pk) == "ada@example.com"


@pytest.mark.process
@pytest.mark.usefixtures("migrated_again")
def test_external_accounts_are_not_lost_on_the_way_back() -> None:
    User(issuer="https://issuer.example", subject="eve", email="eve@example.com").save()
    with pytest.raises(RuntimeError, match="delete them before you go back"):
        migrate("0003")


@pytest.mark.process
@pytest.mark.usefixtures("migrated_again")
def test_indexes_are_built_where_an_attempt_was_cut_off() -> None:
    migrate("0010")
    with connection.cursor() as cursor:
        cursor.execute("CREATE INDEX users_user_created ON users_user (name)")
    migrate("0011")
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'users_user_created'")
        assert cursor.fetchone()[0].endswith("(created_at, id)")


@pytest.mark.process
@pytest.mark.usefixtures("migrated_again")
def test_addresses_of_before_are_found_after() -> None:
    user = make_user(email="ada@bücher.example")
    migrate("0005")
    User.objects.filter(pk=user.pk).update(email_canonical="ada@bücher.example")
    migrate("0006")
    found = User.objects.filter(email_canonical=canonical_email("ADA@Bücher.example"))
    assert found.values_list("pk", flat=True).get() == user.pk


ON_2003, ON_2008 = "ada@fass.de", "ada@xn--fa-hia.de"


def stored(user: User) -> tuple[str | None, bool]:
    """The columns that there are before and after."""
    canonical, verified_at = User.objects.values_list("email_canonical", "email_verified_at").get(pk=user.pk)
    return canonical, verified_at is not None


@pytest.mark.process
@pytest.mark.usefixtures("migrated_again")
def test_addresses_go_to_the_domain_that_they_name_and_back(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever asks: the policies of row level security show the migration all accounts."""
    user, same = (make_user(email=email, email_verified_at=now()) for email in ("ada@faß.de", "Ada@bücher.de"))
    external = User.objects.create(email="ada@faß.de", issuer="https://issuer.example", subject="eve")
    migrate("0011")
    assert stored(user) == (ON_2003, False)
    User.objects.update(email_verified_at=now())
    capsys.readouterr()
    with as_user(same.pk):
        migrate("0012")
    told = capsys.readouterr().out.split("\n")
    assert stored(user) == (ON_2008, False)
    assert [line for line in told if line.strip()] == [
        f"    Account {user.pk} signs in as '{ON_2008}' now, where its mails go; it was '{ON_2003}'. "
        "Nobody has confirmed the new address."
    ]
    call_command("migrate", verbosity=0)
    assert services.sign_in(services.Device(), email="ada@FAẞ.de", password=PASSWORD).user == user
    assert (stored(same), stored(external)) == (("ada@xn--bcher-kva.de", True), (None, True))
    with as_user(same.pk):
        migrate("0011")
    assert stored(user) == (ON_2003, False)


@pytest.mark.process
@pytest.mark.usefixtures("migrated_again")
def test_two_accounts_of_one_mailbox_are_told_and_stay_two(capsys: pytest.CaptureFixture[str]) -> None:
    first = make_user(email=ON_2008, email_verified_at=now())
    second = make_user(email=ON_2003)
    migrate("0011")
    User.objects.filter(pk=second.pk).update(email="ada@faß.de")
    capsys.readouterr()
    migrate("0012")
    assert (stored(first), stored(second)) == ((ON_2008, True), (ON_2003, False))
    assert (
        f"Account {second.pk} still signs in as '{ON_2003}', though its mails go to '{ON_2008}', by which account "
        f"{first.pk} signs in." in capsys.readouterr().out
    )
    call_command("migrate", verbosity=0)
    assert services.sign_in(services.Device(), email=ON_2003, password=PASSWORD).user == second


@pytest.mark.process
@pytest.mark.usefixtures("migrated_again")
def test_the_admins_log_moves_into_the_audit_without_titles() -> None:
    carol, alice = make_user("carol"), make_user("alice")
    migrate("0007")
    for model, flag, about in [(User, CHANGE, alice.pk), (Task, DELETION, 7)]:
        kind = ContentType.objects.get_for_model(model)
        LogEntry.objects.create(
            user=carol, content_type=kind, object_id=str(about), object_repr="A title", action_flag=flag
        )
    migrate("0009")
    changed, deleted = AuditEvent.objects.order_by("pk")
    assert (changed.action, changed.actor_id, changed.subject_id, changed.object_type) == (
        "staff.changed",
        carol.pk,
        alice.pk,
        "users.user",
    )
    assert (deleted.action, deleted.actor_email, deleted.subject_id, deleted.object_id) == (
        "staff.deleted",
        carol.email,
        None,
        "7",
    )
    assert LogEntry.objects.count() == 0
