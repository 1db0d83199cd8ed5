"""System checks of settings and of row level security, and the doctor's checks of accounts."""

from collections.abc import Collection
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Tags, Warning, register
from django.core.exceptions import ValidationError
from django.db import DEFAULT_DB_ALIAS, OperationalError
from jwt import PyJWKClientError

from config.database import isolation, migrations, timeline
from config.database.reachable import reason
from config.operations import doctor
from users.models import User
from users.services import epochs
from users.text import canonical_email, known_timezones, validate_email
from users.tokens.keysets import fetch_keys


@register(Tags.security, deploy=True)
def keys_come_over_tls(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """An attacker who can change plain HTTP chooses the keys, and so can sign in as any user."""
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


@register(Tags.database, isolation.TAG)
def rows_are_isolated(app_configs: Any, databases: Collection[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Without row level security, a forgotten filter shows the rows of all users.

    While migrations are missing, a table may lack its policy: `migrate`, which runs this first, creates it.
    """
    if DEFAULT_DB_ALIAS not in (databases or ()):
        return []
    try:
        exposed = isolation.exposed_tables()
        without = [table for table, has_policy in exposed.items() if not has_policy]
        if without and migrations.missing():
            without = []
    except OperationalError as error:
        return [Error(f"The database cannot be reached: {reason(error)}.", hint="Check DATABASE_URL.", id="users.E002")]
    bypassed = [table for table, has_policy in exposed.items() if has_policy]
    policies = ", ".join(f'isolate("{table}")' for table in without)
    hints = (
        (
            without,
            f"Add a migration to the app of each table, with operations = [{policies}] from config.database.isolation, "
            "and run migrate.",
        ),
        (bypassed, isolation.ROLE_ADVICE),
    )
    return [
        Error(f"Row level security does not act on {', '.join(tables)}.", hint=hint, id="users.E001")
        for tables, hint in hints
        if tables
    ]


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


# --- Of `manage.py doctor` ---------------------------------------------------------------------------


@doctor.register("time zones", "migrations")
def time_zones_are_known(**kwargs: Any) -> list[CheckMessage]:
    if len(known_timezones()) < 300:
        hint = "Install tzdata: pip install tzdata"
        return [Error(f"Only {len(known_timezones())} time zones are known.", hint=hint, id="users.E003")]
    used = set(User.objects.values_list("timezone", flat=True).distinct())
    if unknown := sorted(name for name in used if not _loads(name)):
        hint = "Upgrade tzdata: pip install -U tzdata"
        return [Error(f"Accounts have unknown ones: {', '.join(unknown[:5])}.", hint=hint, id="users.E004")]
    return [Info(f"{len(known_timezones())} are known, with all {len(used)} that accounts have.", id="users.I001")]


def _loads(timezone: str) -> bool:
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


@doctor.register("addresses", "migrations")
def mail_reaches_accounts(**kwargs: Any) -> list[CheckMessage]:
    """Stored addresses that would be refused today, or whose canonical form belongs to another account."""
    unusual = User.objects.filter(email_canonical__isnull=False, email__regex=r"[^\x01-\x7f]|^.{65,}@").order_by("id")
    addresses = unusual.values_list("id", "email", "email_canonical")
    lost = [str(pk) for pk, email, canonical in addresses if not _gets_mail(email, str(canonical))]
    if not lost:
        return [Info("Mail can go to all that accounts have.", id="users.I002")]
    shown = ", ".join(lost[:10]) + (", …" if len(lost) > 10 else "")
    what = f"Mail to {len(lost)} accounts may not arrive, or is another account's: {shown}."
    return [Warning(what, hint="Give them another address in the admin.", id="users.W006")]


def _gets_mail(email: str, canonical: str) -> bool:
    try:
        validate_email(email)
    except ValidationError:
        return False
    return canonical == canonical_email(email)


@doctor.register("epoch", "migrations")
def the_history_is_the_same(**kwargs: Any) -> list[CheckMessage]:
    """After a point-in-time recovery nobody runs a command of ours. A set-back snapshot of a disk leaves no trace."""
    epoch = epochs.current()
    began, now = epoch.timeline, timeline.current()
    if None in (began, now) or began == now:
        return [Info(f"It began on {epoch.began_at:%Y-%m-%d}, and nothing tells of a recovery since.", id="users.I005")]
    what = f"PostgreSQL was recovered or promoted since it began: its timeline was {began}, and is {now}."
    hint = "If that may have lost writes, run `python manage.py new_epoch`; if not, that only ends this warning."
    return [Warning(what, hint=hint, id="users.W007")]


@doctor.register("external issuer")
def keys_can_be_fetched(**kwargs: Any) -> list[CheckMessage]:
    if not settings.JWT_EXTERNAL_JWKS_URL:
        return [Info("No keys have to be fetched.", id="users.I003")]
    hint = "Correct JWT_EXTERNAL_JWKS_URL, or let this machine reach it."
    try:
        found = fetch_keys(settings.JWT_EXTERNAL_JWKS_URL)
    except PyJWKClientError as error:
        reason = type(error.__cause__ or error).__name__
        return [Error(f"The keys cannot be fetched: {reason}.", hint=hint, id="users.E005")]
    if not found:
        return [Error("None of its keys can be used.", hint=hint, id="users.E006")]
    return [Info(f"{len(found)} keys can be used.", id="users.I004")]
