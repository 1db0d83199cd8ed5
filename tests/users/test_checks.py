"""What `manage.py check --deploy` says about the settings of accounts."""

import os
import subprocess
import sys
from urllib.parse import quote

import pytest
from django.core.checks import run_checks
from django.db import connection
from pytest_django import Settings

from tests.tree import KEY, PRODUCTION, SECRET


@pytest.fixture(autouse=True)
def behind_a_proxy(settings: Settings) -> None:
    settings.REQUIRE_HTTPS, settings.TRUSTED_PROXIES = True, 1


def warnings() -> list[str]:
    found = run_checks(include_deployment_checks=True)
    return [str(message.id) for message in found if str(message.id).startswith("users.")]


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("", []),
        ("https://issuer.example/jwks", []),
        ("http://issuer.example/jwks", ["users.W001"]),
        ("HTTP://10.0.0.7/jwks", ["users.W001"]),
        ("http://localhost.example/jwks", ["users.W001"]),
        ("http://localhost:3000/jwks", []),
        ("http://127.0.0.1:3000/jwks", []),
        ("http://[::1]:3000/jwks", []),
    ],
)
def test_keys_over_plain_http_are_warned_of(settings: Settings, url: str, found: list[str]) -> None:
    settings.JWT_EXTERNAL_JWKS_URL = url
    assert warnings() == found


def test_without_deploy_nothing_is_said(settings: Settings) -> None:
    settings.JWT_EXTERNAL_JWKS_URL = "http://issuer.example/jwks"
    assert not [message for message in run_checks() if str(message.id).startswith("users.W")]


@pytest.mark.parametrize(("backend", "found"), [("dummy", ["users.W002"]), ("smtp", [])])
def test_mails_that_go_nowhere_are_warned_of(settings: Settings, backend: str, found: list[str]) -> None:
    settings.EMAIL_BACKEND = f"django.core.mail.backends.{backend}.EmailBackend"
    assert warnings() == found


@pytest.mark.parametrize(("audience", "found"), [("", ["users.W003"]), ("tickbase", [])])
def test_a_secret_without_an_audience_is_warned_of(settings: Settings, audience: str, found: list[str]) -> None:
    settings.JWT_EXTERNAL_SECRET, settings.JWT_EXTERNAL_AUDIENCE = "s" * 32, audience
    assert warnings() == found


def test_plain_http_is_warned_of(settings: Settings) -> None:
    settings.REQUIRE_HTTPS = False
    assert warnings() == ["users.W004"]


def test_https_that_no_proxy_can_tell_of_is_warned_of_at_every_start(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = 0
    assert "users.W005" in [message.id for message in run_checks()]


@pytest.mark.process
@pytest.mark.django_db
def test_production_passes_all_checks() -> None:
    """`check --deploy` on the database of the tests, with the settings that the README asks for."""
    database = connection.settings_dict
    production = {
        **PRODUCTION,
        "SECRET_KEY": SECRET + KEY,
        "DATABASE_URL": f"postgresql://{database['USER']}@{quote(database['HOST'], safe='')}/{database['NAME']}",
        "TRUSTED_PROXIES": "1",
        "EMAIL_HOST": "mail.example.com",
    }
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    done = subprocess.run(command, env={**os.environ, **production}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout
