"""What the settings and the database allow, but what an operator should know before others rely on it."""

from collections.abc import Collection
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DEFAULT_DB_ALIAS, OperationalError

from config.database import isolation


@register(Tags.security, deploy=True)
def keys_come_over_tls(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Whoever can change plain HTTP on its way chooses the keys, and with them who everybody is."""
    url = urlsplit(settings.JWT_EXTERNAL_JWKS_URL)
    if url.scheme != "http" or _is_loopback(url.hostname or ""):
        return []
    hint = "Use the https address of the issuer's keys."
    return [Warning("JWT_EXTERNAL_JWKS_URL is plain http to another machine.", hint=hint, id="users.W001")]


@register(Tags.security, deploy=True)
def shared_secrets_are_for_us(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Frameworks sign more than sign-ins with their one secret: codes in mails, tokens for other services."""
    if not settings.JWT_EXTERNAL_SECRET or settings.JWT_EXTERNAL_AUDIENCE:
        return []
    hint = "Set JWT_EXTERNAL_AUDIENCE, and let the issuer put it into the tokens that are meant for Tickbase."
    return [Warning("Any token signed with JWT_EXTERNAL_SECRET signs in.", hint=hint, id="users.W003")]


@register(Tags.security, deploy=True)
def mails_go_out(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if not settings.EMAIL_BACKEND.endswith(".dummy.EmailBackend"):
        return []
    hint = "Set EMAIL_HOST; without it nobody can reset a password or confirm an address."
    return [Warning("No mail is sent.", hint=hint, id="users.W002")]


@register(Tags.database)
def rows_are_isolated(app_configs: Any, databases: Collection[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Without row level security, the first forgotten filter shows everybody's tasks to everybody."""
    if DEFAULT_DB_ALIAS not in (databases or ()):
        return []
    try:
        exposed = ", ".join(isolation.exposed_tables()) if isolation.is_migrated() else ""
    except OperationalError as error:
        return [Error(f"The database cannot be reached: {error}", hint="Check DATABASE_URL.", id="users.E002")]
    hint = (
        "Let DATABASE_URL name a role that is no superuser, has no BYPASSRLS, and owns the tables: "
        "CREATE ROLE tickbase LOGIN PASSWORD '...'; CREATE DATABASE tickbase OWNER tickbase;"
    )
    return [Error(f"Row level security does not act on {exposed}.", hint=hint, id="users.E001")] if exposed else []


@register(Tags.security, deploy=True)
def production_is_on_https(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if settings.REQUIRE_HTTPS:
        return []
    hint = "Unset REQUIRE_HTTPS, unless nobody else can read the network between the clients and Tickbase."
    return [Warning("Passwords and tokens may come over plain HTTP.", hint=hint, id="users.W004")]


@register(Tags.security)
def https_can_be_told(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """At every start: with this, no request but the probes' would be answered."""
    if not settings.REQUIRE_HTTPS or settings.TRUSTED_PROXIES:
        return []
    hint = "Set TRUSTED_PROXIES to how many proxies stand in front of Tickbase; one of them ends TLS."
    return [Warning("No request counts as HTTPS, as no proxy is trusted to say so.", hint=hint, id="users.W005")]


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
