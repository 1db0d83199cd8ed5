"""The audit: each event with its who, whom, when and from where; nothing changes it, and one command prunes it."""

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, connection, transaction
from pytest_django import Settings

from config.database.isolation import as_user
from config.environment.rates import Rate
from tests.audited import events, only
from tests.client import Api
from tests.factories import PASSWORD, make_session
from users import audit, exports, services
from users.audit import Action
from users.models import AuditEvent, Session, User
from users.services import second_factor
from users.tokens import mailed, own

NEW_PASSWORD = "another good passphrase"
LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)

# --- What is written down ---------------------------------------------------------------------------


def api_post(path: str, **body: str) -> Any:
    return Api().post(f"/api/auth/{path}", body)


def sign_in(alice: User) -> None:
    assert api_post("login", email=alice.email, password=PASSWORD).status_code == 200


def sign_out(alice: User) -> None:
    assert api_post("logout", refresh=Api(alice).tokens.refresh).status_code == 204


def end_session(alice: User) -> None:
    assert Api(alice).delete(f"/api/users/me/sessions/{make_session(alice).pk}").status_code == 204


def end_other_sessions(alice: User) -> None:
    make_session(alice)
    assert Api(alice).delete("/api/users/me/sessions").status_code == 204


def change_password(alice: User) -> None:
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert Api(alice).post("/api/users/me/password", body).status_code == 200


def mistake_the_password(alice: User) -> None:
    body = {"current_password": "wrong", "new_password": NEW_PASSWORD}
    assert Api(alice).post("/api/users/me/password", body, idempotency_key="k").status_code == 400


def reset_password(alice: User) -> None:
    token = mailed.PASSWORD_RESET.make(alice)
    assert api_post("reset-password", token=token, password=NEW_PASSWORD).status_code == 204


def verify_email(alice: User) -> None:
    assert api_post("verify-email", token=mailed.EMAIL_VERIFICATION.make(alice)).status_code == 204


def export(alice: User) -> None:
    assert Api(alice).get("/api/users/me/export").status_code == 200


def delete(alice: User) -> None:
    assert Api(alice).delete("/api/users/me").status_code == 204


DEEDS: list[tuple[Callable[[User], None], Action]] = [
    (sign_in, Action.SIGNED_IN),
    (sign_out, Action.SIGNED_OUT),
    (end_session, Action.SESSION_ENDED),
    (end_other_sessions, Action.SESSIONS_ENDED),
    (change_password, Action.PASSWORD_CHANGED),
    (mistake_the_password, Action.PASSWORD_REFUSED),
    (reset_password, Action.PASSWORD_RESET),
    (verify_email, Action.EMAIL_VERIFIED),
    (export, Action.EXPORTED),
    (delete, Action.DELETED),
]


@pytest.mark.parametrize(("deed", "action"), DEEDS, ids=lambda value: getattr(value, "__name__", ""))
def test_what_users_do_to_their_accounts_is_their_one_event(
    alice: User, deed: Callable[[User], None], action: Action
) -> None:
    deed(alice)
    [event] = events()
    assert event.action == action
    assert (event.actor_id, event.actor_email) == (event.subject_id, event.subject_email) == (alice.pk, alice.email)
    assert (event.address, len(event.request_id)) == ("127.0.0.1", 36)


def test_a_registration_is_an_event_of_the_new_account(db: None) -> None:
    assert api_post("register", email="new@example.com", password=PASSWORD).status_code == 201
    user = User.objects.get()
    event = only(Action.REGISTERED)
    assert (event.actor_id, event.subject_email) == (user.pk, "new@example.com")


@pytest.mark.parametrize("key", [{}, {"idempotency_key": "k1"}])
def test_a_failed_sign_in_names_the_account_and_nobody_as_actor(alice: User, key: dict[str, str]) -> None:
    body = {"email": alice.email.upper(), "password": "wrong"}
    assert Api().post("/api/auth/login", body, **key).status_code == 401
    event = only(Action.SIGN_IN_FAILED)
    assert (event.actor_id, event.actor_email, event.subject_id) == (None, "", alice.pk)
    assert (event.subject_email, event.address) == (alice.email, "127.0.0.1")
    assert "wrong" not in str(vars(event))


def test_a_failed_sign_in_to_no_account_names_the_address_that_was_typed(db: None) -> None:
    api_post("login", email="nobody@example.com", password="wrong")
    event = only(Action.SIGN_IN_FAILED)
    assert (event.subject_id, event.subject_email) == (None, "nobody@example.com")


def test_a_password_in_the_wrong_box_is_not_written_down(db: None) -> None:
    audit.failed_sign_in(None, PASSWORD)
    assert only(Action.SIGN_IN_FAILED).subject_email == "not an e-mail address"


def test_of_a_flood_of_failed_sign_ins_so_many_are_written_down(
    alice: User, monkeypatch: pytest.MonkeyPatch, limit: Callable[..., None]
) -> None:
    limit()
    monkeypatch.setattr(audit, "FAILED_SIGN_INS", Rate(3, 3600))
    for _ in range(5):
        assert api_post("login", email=alice.email, password="wrong").status_code == 401
    assert [event.details for event in events()] == [
        {},
        {},
        {"more": "will not be written down within this hour"},
    ]


def test_a_sign_in_that_is_refused_for_its_rate_is_not_written_down(alice: User, limit: Callable[..., None]) -> None:
    limit(login="2/min")
    statuses = [api_post("login", email=alice.email, password="wrong").status_code for _ in range(4)]
    assert (statuses, len(events())) == ([401, 401, 429, 429], 2)


def test_exports_are_limited_as_the_audit_keeps_each(alice: User, limit: Callable[..., None]) -> None:
    limit(login="2/min")
    assert [Api(alice).get("/api/users/me/export").status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize("key", [{}, {"idempotency_key": "k1"}])
def test_a_refresh_token_that_comes_back_is_an_event_of_nobody(alice: User, key: dict[str, str]) -> None:
    session = make_session(alice)
    refresh = own.mint(session).refresh
    Session.objects.update(generation=2)
    assert Api().post("/api/auth/refresh", {"refresh": refresh}, **key).status_code == 401
    event = only(Action.TOKEN_REUSED)
    assert (event.actor_id, event.subject_id, event.object_id) == (None, alice.pk, str(session.pk))
    assert not Session.objects.exists()


def test_the_address_is_the_one_that_trusted_proxies_tell(alice: User, settings: Settings) -> None:
    settings.TRUSTED_PROXIES = 1
    body = {"email": alice.email, "password": PASSWORD}
    Api().post("/api/auth/login", body, x_forwarded_for="6.6.6.6, 203.0.113.7", x_request_id="mine-1")
    event = only(Action.SIGNED_IN)
    assert (event.address, event.request_id) == ("203.0.113.7", "mine-1")


def test_an_event_stands_or_falls_with_its_deed(alice: User) -> None:
    session = make_session(alice)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        services.end_session(alice, session.pk)
        raise ZeroDivisionError
    assert (events(), list(Session.objects.all())) == ([], [session])


COMMANDS = [
    (["create_token", "{}"], Action.SIGNED_IN),
    (["changepassword", "{}"], Action.PASSWORD_SET),
    (["export_user", "{}"], Action.EXPORTED),
    (["delete_user", "--yes", "{}"], Action.DELETED),
    (["reset_totp", "{}"], Action.TOTP_RESET),
    (["createsuperuser", "--no-input", "--email=new@example.com"], Action.REGISTERED),
    (["invite", "new@example.com"], Action.INVITED),
]


@pytest.mark.parametrize(("command", "action"), COMMANDS, ids=lambda value: value[0] if isinstance(value, list) else "")
def test_a_command_is_an_event_that_names_its_operator(
    alice: User, monkeypatch: pytest.MonkeyPatch, command: list[str], action: Action
) -> None:
    second_factor.begin_enrolment(alice)
    monkeypatch.setenv("LOGNAME", "grace")
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", NEW_PASSWORD)
    monkeypatch.setattr("getpass.getpass", lambda prompt: NEW_PASSWORD)
    call_command(*(word.format(alice.email) for word in command))
    [event] = events()
    assert (event.action, event.details["operator"]) == (action, "grace")
    assert (event.actor_id, event.address, event.request_id) == (None, None, "")
    assert event.subject_email in (alice.email, "new@example.com")
    assert NEW_PASSWORD not in str(vars(event))


def test_a_request_names_no_operator(alice: User) -> None:
    for deed in (sign_in, mistake_the_password, export):
        deed(alice)
    assert len(events()) == 3
    assert not any("operator" in event.details for event in events())


def test_users_do_not_learn_who_the_operator_is(alice: User) -> None:
    services.set_password(alice, NEW_PASSWORD)
    assert "operator" in only(Action.PASSWORD_SET).details
    exported = json.loads(b"".join(exports.stream(alice)))
    assert [event["details"] for event in exported["events"]] == [{"is_usable": True}, {}]


def test_requests_for_tasks_write_nothing_down(as_alice: Api) -> None:
    task = as_alice.post(as_alice.tasks, {"title": "A"}).json()
    path = f"{as_alice.tasks}/{task['id']}"
    as_alice.get(as_alice.tasks), as_alice.patch(path, {"title": "B"}), as_alice.delete(path)
    assert events() == []


# --- That nothing changes it ------------------------------------------------------------------------


@pytest.fixture
def some(alice: User, bob: User) -> list[AuditEvent]:
    """An event of alice's, and two of bob's."""
    sign_in(alice)
    for _ in range(2):
        api_post("login", email=bob.email, password="wrong")
    return events()


def test_row_security_shows_users_their_own_events(some: list[AuditEvent], alice: User, bob: User) -> None:
    with as_user(alice.pk):
        assert events() == [some[0]]
        with pytest.raises(ProgrammingError, match="row-level security"), transaction.atomic():
            audit.record(Action.SIGNED_IN, bob)
    with as_user(bob.pk):
        assert events() == some[1:]


TAMPERINGS = [
    "UPDATE users_auditevent SET actor_email = 'somebody else'",
    "DELETE FROM users_auditevent",
    "TRUNCATE users_auditevent",
    "SELECT set_config('tickbase.prunes_audit', 'on', false); DELETE FROM users_auditevent",
    "INSERT INTO users_auditevent SELECT * FROM users_auditevent ON CONFLICT (id) DO UPDATE SET action = 'x'",
    "MERGE INTO users_auditevent a USING users_user u ON a.subject_id = u.id WHEN MATCHED THEN DELETE",
]


def run(sql: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)


@pytest.mark.parametrize("sql", TAMPERINGS)
def test_the_role_has_no_right_to_change_it(some: list[AuditEvent], sql: str) -> None:
    with pytest.raises(ProgrammingError, match="permission denied for table users_auditevent"):
        run(sql)
    assert events() == some


@pytest.mark.parametrize("sql", TAMPERINGS[:3])
def test_whoever_has_the_right_is_refused_by_the_table(some: list[AuditEvent], sql: str) -> None:
    run("GRANT ALL ON users_auditevent TO CURRENT_USER")
    with pytest.raises(ProgrammingError, match="users_auditevent is append-only"):
        run(sql)
    assert events() == some


def test_the_code_cannot_change_it_either(some: list[AuditEvent]) -> None:
    some[0].action = "other"
    for change in (some[0].save, some[0].delete, AuditEvent.objects.all().delete):
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            change()


# --- Pruning ----------------------------------------------------------------------------------------


def make_old(**fields: Any) -> AuditEvent:
    return AuditEvent.objects.create(at=LONG_AGO, action="account.signed_in", **fields)


def test_pruning_deletes_what_is_older_and_tells_so(some: list[AuditEvent], capsys: pytest.CaptureFixture[str]) -> None:
    make_old(), make_old()
    call_command("prune_audit", "--older-than", "90")
    assert capsys.readouterr().out == "Events deleted: 2\n"
    *kept, pruned = events()
    assert (kept, pruned.action, pruned.actor_id) == (some, Action.PRUNED, None)
    assert pruned.details.keys() == {"events", "older_than_days", "operator"}
    assert (pruned.details["events"], pruned.details["older_than_days"]) == (2, 90)
    with pytest.raises(ProgrammingError, match="permission denied"):
        run("DELETE FROM users_auditevent")


class Interrupted(Exception):
    pass


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many events each transaction deletes; of at most two."""
    sizes: list[int] = []
    prune_batch = audit._prune_batch

    def noted(before: dt.datetime) -> int:
        assert not connection.in_atomic_block
        sizes.append(prune_batch(before))
        return sizes[-1]

    monkeypatch.setattr(audit, "BATCH", 2)
    monkeypatch.setattr(audit, "_prune_batch", noted)
    return sizes


def test_pruning_is_many_short_transactions_and_one_event(transactional_db: None, batches: list[int]) -> None:
    for _ in range(5):
        make_old()
    audit.record(Action.EXPORTED)
    assert (audit.prune(90), batches) == (5, [2, 2, 1, 0])
    assert [event.action for event in events()] == [Action.EXPORTED, Action.PRUNED]
    assert only(Action.PRUNED).details["events"] == 5
    assert (audit.prune(90), len(events())) == (0, 2)


def test_a_pruning_that_is_cut_off_tells_what_is_gone(
    transactional_db: None, batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        make_old()
    go_on = audit._prune_batch

    def interrupted(before: dt.datetime) -> int:
        if len(batches) == 2:
            raise Interrupted
        return go_on(before)

    monkeypatch.setattr(audit, "_prune_batch", interrupted)
    with pytest.raises(Interrupted):
        audit.prune(90)
    assert [event.action for event in events()] == [Action.SIGNED_IN, Action.PRUNED]
    assert only(Action.PRUNED).details["events"] == 4


def test_a_dry_run_deletes_nothing(some: list[AuditEvent], capsys: pytest.CaptureFixture[str]) -> None:
    old = make_old()
    call_command("prune_audit", "--older-than=90", "--dry-run")
    assert capsys.readouterr().out == "Events that would be deleted: 1\n"
    assert events() == [*some, old]


@pytest.mark.parametrize("arguments", [[], ["--older-than=0"], ["--older-than=-1"], ["--older-than=x"]])
def test_how_long_events_are_kept_is_for_the_operator_to_say(db: None, arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("prune_audit", *arguments)


def test_nobody_sees_the_right_that_pruning_has(transactional_db: None) -> None:
    """In another session, while a pruning has not ended."""
    other = connection.copy()
    with transaction.atomic():
        audit.prune(90)
        with other.cursor() as cursor, pytest.raises(ProgrammingError, match="permission denied"):
            cursor.execute("DELETE FROM users_auditevent")
    other.close()


def test_a_role_that_does_not_own_it_cannot_take_its_rights_back(transactional_db: None) -> None:
    host, name, role = (connection.settings_dict[key] for key in ("HOST", "NAME", "USER"))
    with psycopg.connect(host=host, dbname=name, user="postgres", autocommit=True) as superuser:
        superuser.execute(f"CREATE ROLE {name}_audit LOGIN")
        superuser.execute(f"ALTER TABLE users_auditevent OWNER TO {name}_audit")
        superuser.execute(
            f"REVOKE ALL ON users_auditevent FROM {role}; GRANT SELECT, INSERT ON users_auditevent TO {role}"
        )
        try:
            audit.record(Action.EXPORTED)
            for sql in ("ALTER TABLE users_auditevent DISABLE TRIGGER USER", "DELETE FROM users_auditevent"):
                with pytest.raises(ProgrammingError, match="users_auditevent"):
                    run(sql)
            with pytest.raises(ProgrammingError, match="permission denied"):
                audit.prune(1)
            assert len(events()) == 1
        finally:
            superuser.execute(f"ALTER TABLE users_auditevent OWNER TO {role}")
            superuser.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON users_auditevent FROM {role}")
            superuser.execute(f"DROP ROLE {name}_audit")
