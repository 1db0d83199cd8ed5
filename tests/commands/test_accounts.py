"""`create_token`, `export_user` and `delete_user`: what an operator does for one account."""

import json
import stat
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from config.operations import console
from tasks import services
from tasks.models import Task
from tests.client import Api
from tests.factories import make_session, make_task
from users.models import AuditEvent, Feed, Session, User
from users.tokens import own


def run(*arguments: str, **options: Any) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out, stderr=StringIO(), **options)
    return out.getvalue()


@pytest.fixture
def external(db: None) -> User:
    user = User(issuer="https://issuer.example", subject="auth0|65a", email="alice@example.org")
    user.set_unusable_password()
    user.save()
    return user


# --- Whom it is about -------------------------------------------------------------------------------


def test_accounts_are_named_by_address_or_id(alice: User, external: User) -> None:
    for name in (alice.email.upper(), f" {alice.email} ", str(alice.pk)):
        assert str(alice) in run("delete_user", name, "--dry-run")
    assert str(external) in run("delete_user", "auth0|65a", "--dry-run")
    with pytest.raises(CommandError, match="No account has"):
        run("delete_user", str(external.pk), "--dry-run")


@pytest.mark.parametrize("command", ["create_token", "export_user", "delete_user", "changepassword", "reset_totp"])
@pytest.mark.parametrize("name", ["nobody@example.com", "alice@example.org", "99", "9" * 30, "²", "", "a\0b", "\udcff"])
def test_unknown_accounts_are_refused(external: User, command: str, name: str) -> None:
    """The address of an external account identifies nobody."""
    with pytest.raises(CommandError, match="No account has the e-mail address or the id"):
        run(command, name)


def test_an_id_that_two_accounts_have_is_refused(alice: User, external: User) -> None:
    User.objects.filter(pk=external.pk).update(subject=str(alice.pk))
    with pytest.raises(CommandError, match="may mean several accounts"):
        run("delete_user", str(alice.pk), "--yes")
    assert User.objects.count() == 2


@pytest.mark.parametrize("command", ["create_token", "changepassword", "reset_totp"])
def test_what_concerns_a_sign_in_here_refuses_who_signs_in_elsewhere(external: User, command: str) -> None:
    with pytest.raises(CommandError, match=r"another issuer, https://issuer\.example, and signs in there"):
        run(command, "auth0|65a")
    assert not Session.objects.exists()


@pytest.mark.parametrize("name", ["alice", "id"])
def test_who_signs_in_here_is_found_whatever_other_issuers_call_theirs(alice: User, external: User, name: str) -> None:
    """Some issuers use the address as the subject, and some let people choose it."""
    named = alice.email if name == "alice" else str(alice.pk)
    User.objects.filter(pk=external.pk).update(subject=named)
    run("create_token", named)
    assert Session.objects.get().user == alice


# --- create_token -----------------------------------------------------------------------------------


def test_the_token_serves_and_its_session_shows(alice: User) -> None:
    task = make_task(alice)
    api = Api()
    api.client.credentials(HTTP_AUTHORIZATION=f"Bearer {run('create_token', alice.email).strip()}")
    assert [each["id"] for each in api.get("/api/me/tasks").json()] == [task.pk]
    [session] = api.get("/api/users/me/sessions").json()
    assert session["user_agent"] == "manage.py create_token"
    api.delete(f"/api/users/me/sessions/{session['id']}")
    assert api.get("/api/me/tasks").status_code == 401


def test_a_token_is_written_down_in_the_audit(alice: User) -> None:
    run("create_token", alice.email)
    event = AuditEvent.objects.get(action="account.signed_in")
    assert (event.subject, event.details["user_agent"]) == (alice, "manage.py create_token")


def test_nothing_but_the_token_is_printed(alice: User) -> None:
    printed = run("create_token", alice.email)
    assert printed.count("\n") == 1
    assert own.authenticate(printed.strip()).user == alice


def test_an_inactive_account_gets_no_token(alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)
    with pytest.raises(CommandError, match="gets no token: the account is inactive"):
        run("create_token", alice.email)
    assert not Session.objects.exists()


# --- export_user ------------------------------------------------------------------------------------


def test_the_export_is_what_the_api_answers(alice: User, bob: User, tmp_path: Path) -> None:
    make_task(alice, title="完成季度报告")
    make_task(bob, title="Foreign")
    api = Api(alice)
    file = tmp_path / "alice.json"
    run("export_user", alice.email, str(file))
    answer: Any = api.get("/api/users/me/export")
    exported, answered = json.loads(file.read_text("utf-8")), json.loads(b"".join(answer.streaming_content))
    # The second of them tells of the first, too.
    assert [event["action"] for event in answered.pop("events")] == [
        *(event["action"] for event in exported.pop("events")),
        "account.exported",
    ]
    assert exported == answered
    printed = json.loads(run("export_user", alice.email))
    assert printed | {"events": None} == exported | {"events": None}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_an_export_replaces_no_file(alice: User, tmp_path: Path) -> None:
    file = tmp_path / "kept"
    file.write_text("kept")
    with pytest.raises(CommandError, match="exists; name a new file"):
        run("export_user", alice.email, str(file))
    with pytest.raises(CommandError, match="cannot be written: No such file or directory"):
        run("export_user", alice.email, str(tmp_path / "missing" / "file"))
    assert file.read_text() == "kept"


def test_an_export_that_fails_leaves_no_file(alice: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("users.exports.to_json", lambda value: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run("export_user", alice.email, str(tmp_path / "file"))
    assert list(tmp_path.iterdir()) == []


# --- delete_user ------------------------------------------------------------------------------------


def test_an_account_goes_with_all_that_belongs_to_it(alice: User, bob: User) -> None:
    make_session(alice)
    services.delete_task(alice, make_task(alice).pk)
    make_task(alice)
    kept = make_task(bob)
    would = run("delete_user", alice.email, "--dry-run")
    assert would.startswith(f"{alice} would be removed, with ")
    assert "1 sessions" in would
    assert "2 tasks" in would
    assert " 1 events" not in would and " 0 events" not in would  # the audit stays
    assert User.objects.count() == 2
    assert run("delete_user", alice.email, "--yes").startswith(f"Removed {alice}, with ")
    assert (list(User.objects.all()), list(Task.objects.all())) == ([bob], [kept])
    assert not Session.objects.exists()
    assert Feed.objects.get().user == bob


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "is_removed"), [("y\n", True), ("YES\n", True), ("n\n", False), ("\n", False)])
def test_on_a_terminal_it_asks(monkeypatch: pytest.MonkeyPatch, alice: User, answer: str, is_removed: bool) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    if is_removed:
        run("delete_user", alice.email)
    else:
        with pytest.raises(CommandError, match="Nothing was removed"):
            run("delete_user", alice.email)
    assert User.objects.exists() is not is_removed


def test_without_a_terminal_it_needs_a_yes(monkeypatch: pytest.MonkeyPatch, alice: User) -> None:
    monkeypatch.setattr(sys, "stdin", StringIO("y\n"))
    with pytest.raises(CommandError, match="add --yes"):
        run("delete_user", alice.email)
    assert User.objects.exists()


# --- What a terminal shows --------------------------------------------------------------------------


def test_progress_is_shown_on_a_terminal_only() -> None:
    terminal, pipe = Terminal(), StringIO()
    for stream in (terminal, pipe):
        with console.progress("tasks", 10, stream) as advance:
            advance(10)
    assert "tasks" in terminal.getvalue()
    assert "10/10" in terminal.getvalue()
    assert pipe.getvalue() == ""
