"""The checks of `manage.py doctor`: Django's system checks, in a registry of their own. They change nothing and reveal
no secret.

The first tag of a check is its name, the others are the checks that have to pass before it. Its one message is an Info
if all is well; any other has a hint.
"""

import datetime as dt
import shutil
import smtplib
import tempfile
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.core import checks, mail
from django.core.checks import CheckMessage, Debug, Error, Info, Warning
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connection
from django.utils import timezone
from django.utils.datastructures import OrderedSet
from psycopg.conninfo import make_conninfo

from config.database import migrations
from config.database.isolation import all_users
from config.database.reachable import reason
from config.environment import variables
from config.environment.variables import refuse_guessable
from config.models import Backup
from config.operations import postgres_tools, work
from config.operations.postgres_tools import ProgramError, major

OLDEST, NEWEST = 15, 18  # versions of PostgreSQL
GIB = 1 << 30
LATE_SECONDS = 600  # for which nothing should be due
BACKUP_HOURS = 48  # a daily one may have failed once
SPARE_CONNECTIONS = 3  # for commands, and for looking whether the server still lives

# Separate from Django's registry, which `check`, `migrate` and `serve` run: these also call mail servers and issuers.
registry = checks.registry.CheckRegistry()
registry.registered_checks = OrderedSet()  # type: ignore[assignment]  # run in the order of registration
register = partial(registry.register, None)  # a tag in the place of None would become the last


def examine() -> Iterator[tuple[str, CheckMessage]]:
    """Run the checks in order, without those that need one that failed; yields messages with their check's name."""
    failed: set[str] = set()
    for check in registry.get_checks():
        name, *needs = check.tags
        unmet = sorted(failed.intersection(needs))
        skipped = [Debug(f"Not looked at; see {', '.join(unmet)}.", id="config.D001")]
        for message in skipped if unmet else check(app_configs=None, databases=None):
            if unmet or message.is_serious():
                failed.add(name)
            yield name, message


# --- The database -----------------------------------------------------------------------------------


def _connect() -> psycopg.Connection[Any]:
    """Connect once, without retries. Raises psycopg.OperationalError."""
    return psycopg.connect(make_conninfo(**postgres_tools.connection_parameters()))


@register("database")
def database(**kwargs: Any) -> list[CheckMessage]:
    kind = f"embedded, in {settings.DATA_DIR}" if settings.EMBEDDED_DATABASE else "external"
    try:
        with closing(_connect()) as connected:
            version = connected.info.server_version
    except psycopg.OperationalError as error:
        hint = "Start PostgreSQL, or correct DATABASE_URL."
        return [Error(f"It cannot be reached ({kind}): {reason(error)}.", hint=hint, id="config.E001")]
    name = f"PostgreSQL {version // 10_000}.{version % 10_000}, {kind}."
    if version // 10_000 < OLDEST:
        hint = f"Tickbase needs PostgreSQL {OLDEST} or newer; upgrade the server."
        return [Error(name, hint=hint, id="config.E002")]
    if version // 10_000 > NEWEST:
        hint = f"Tickbase is tested with PostgreSQL {OLDEST} to {NEWEST}; try this one before you rely on it."
        return [Warning(name, hint=hint, id="config.W001")]
    return [Info(name, id="config.I001")]


@register("migrations", "database")
def applied_migrations(**kwargs: Any) -> list[CheckMessage]:
    if missing := migrations.missing():
        hint = "Apply them: python manage.py migrate"
        return [Error(f"{len(missing)} are missing.", hint=hint, id="config.E003")]
    if newer := migrations.unknown(migrations.applied()):
        hint = "Install the version that migrated this database."
        return [Error(f"{len(newer)} are of a newer Tickbase.", hint=hint, id="config.E004")]
    return [Info(f"All {len(migrations.known())} are applied.", id="config.I002")]


@register("row security", "database")
def row_security(**kwargs: Any) -> list[CheckMessage]:
    found = checks.run_checks(tags=[checks.Tags.database], databases=[DEFAULT_DB_ALIAS])
    return found[:1] or [Info("PostgreSQL keeps users' rows apart.", id="config.I003")]


@register("clock", "database")
def clock(**kwargs: Any) -> list[CheckMessage]:
    with connection.cursor() as cursor:
        before = dt.datetime.now(dt.UTC)
        cursor.execute("SELECT clock_timestamp()")
        (theirs,) = cursor.fetchone()
    now = dt.datetime.now(dt.UTC)
    apart = max(before - theirs, theirs - now, dt.timedelta(0))
    what = f"It is {now:%Y-%m-%d %H:%M:%S} UTC here; the database's clock is {apart.total_seconds():.1f} s away."
    hint = "Let both machines keep time by NTP, for example with chrony."
    if apart > settings.JWT_LEEWAY:
        return [Error(what, hint=hint, id="config.E005")]
    if apart > dt.timedelta(seconds=2):
        return [Warning(what, hint=hint, id="config.W002")]
    return [Info(what, id="config.I004")]


@register("connections", "database")
def connections(**kwargs: Any) -> list[CheckMessage]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT least(setting::int - current_setting('superuser_reserved_connections')::int,"
            " (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user))"
            " FROM pg_settings WHERE name = 'max_connections'"
        )
        (allowed,) = cursor.fetchone()
    # Each thread keeps one, and so does the one that hashes passwords; and those of the worker, with its loop.
    working = 1 + work.threads()
    wanted = settings.WORKERS * (settings.THREADS + 1) + working + SPARE_CONNECTIONS
    what = f"Up to {wanted} are opened, of {allowed} that the server allows."
    if wanted > allowed:
        hint = "Lower WORKERS or THREADS, raise max_connections, or put PgBouncer in front."
        return [Error(what, hint=hint, id="config.E006")]
    return [Info(what, id="config.I005")]


@register("backup", "database")
def backup_programs(**kwargs: Any) -> list[CheckMessage]:
    try:
        with closing(_connect()) as connected:
            postgres_tools.find("pg_dump", major(connected))
    except ProgramError as error:
        return [Warning("`manage.py backup` cannot work.", hint=str(error), id="config.W004")]
    return [Info("`manage.py backup` has a pg_dump for this server.", id="config.I006")]


@register("worker", "migrations")
def worker(**kwargs: Any) -> list[CheckMessage]:
    """Of deferred work. While the service is stopped there is none, which is no error."""
    now = timezone.now()
    with all_users():
        seen, waiting = work.last_seen(), [each for each in work.backlog(now) if each.oldest_seconds > LATE_SECONDS]
    if not work.is_alive(now, seen):
        since = f" since {seen:%Y-%m-%d %H:%M} UTC" if seen else ""
        hint = "Start the service (BACKGROUND=on), or `manage.py work` as one of its own."
        return [Warning(f"No worker was seen{since}; mails, reminders and webhooks wait.", hint=hint, id="config.W010")]
    if waiting:
        late = ", ".join(f"{each.kind} for {each.oldest_seconds / 60:.0f} min" for each in waiting)
        hint = "Look at the worker's log; start more workers if it is busy."
        return [Warning(f"Work waits: {late}.", hint=hint, id="config.W011")]
    return [Info("A worker does what is due.", id="config.I016")]


@register("last backup", "migrations")
def last_backup(**kwargs: Any) -> list[CheckMessage]:
    """By the row that `manage.py backup` leaves in the database: it may run on another machine, as another user."""
    made_at = Backup.objects.values_list("made_at", flat=True).first()
    what = "`manage.py backup` has made none of this database."
    if made_at is not None:
        hours = (dt.datetime.now(dt.UTC) - made_at) / dt.timedelta(hours=1)
        what = f"It was made {hours:.0f} hours ago, at {made_at:%Y-%m-%d %H:%M} UTC."
        if hours <= BACKUP_HOURS:
            return [Info(what, id="config.I013")]
    if not settings.PRODUCTION:
        return [Info(what, id="config.I014")]
    hint = "Let a timer run it: docs/deployment.md has one. Or see that your provider makes backups."
    return [Warning(what, hint=hint, id="config.W007")]


# --- The process and what is around it --------------------------------------------------------------


@register("keys")
def keys(**kwargs: Any) -> list[CheckMessage]:
    secrets = {"SECRET_KEY": settings.SECRET_KEY, "JWT_SIGNING_KEY": settings.JWT_SIGNING_KEY}
    secrets |= {f"JWT_VERIFYING_KEYS[{n}]": key for n, key in enumerate(settings.JWT_VERIFYING_KEYS)}
    if settings.JWT_EXTERNAL_SECRET:
        secrets["JWT_EXTERNAL_SECRET"] = settings.JWT_EXTERNAL_SECRET
    try:
        refuse_guessable(**secrets)
    except ImproperlyConfigured as error:
        what, _, hint = str(error).partition("; ")
        return [Error(f"{what}.", hint=f"{hint[:1].upper()}{hint[1:]}", id="config.E007")]
    for path in settings.DATA_DIR.glob("*.secret"):
        if path.stat().st_mode & 0o077:
            return [Error(f"Others can read {path}.", hint=f"chmod 600 {path}", id="config.E008")]
    return [Info("They are long and not to be guessed.", id="config.I007")]


@register("secret files")
def secret_files(**kwargs: Any) -> list[CheckMessage]:
    exposed = {name: path for name, path in variables.secret_files.items() if _others_read(path.resolve())}
    if not exposed:
        return [Info("No other user can read one that a variable names.", id="config.I015")]
    hint = f"chmod o= {' '.join(map(str, exposed.values()))}"
    return [Warning(f"Others can read {', '.join(exposed)}.", hint=hint, id="config.W008")]


def _others_read(path: Path) -> bool:
    """Whether any user of the machine can. A container has but one, and Docker shows it secrets with the mode that they
    have outside, in a folder that all may enter."""
    if path.is_relative_to("/run/secrets"):
        return False
    return bool(path.stat().st_mode & 0o004) and all(folder.stat().st_mode & 0o001 for folder in path.parents)


@register("deployment")
def deployment(**kwargs: Any) -> list[CheckMessage]:
    """The first finding of `check --deploy`; in production only."""
    if not settings.PRODUCTION:
        return [Info("ENVIRONMENT is development; production is stricter.", id="config.I008")]
    found = checks.run_checks(tags=[checks.Tags.security], include_deployment_checks=True)
    found = [message for message in found if not message.is_silenced()]
    for message in found:
        what, hint = f"{message.msg} ({len(found)} in all)", f"{message.hint or ''} See: manage.py check --deploy"
        return [Warning(what, hint=hint, id=message.id)]
    return [Info("ENVIRONMENT is production, and `check --deploy` finds nothing.", id="config.I009")]


@register("mail")
def mails(**kwargs: Any) -> list[CheckMessage]:
    if not settings.EMAIL_HOST and settings.PRODUCTION:
        hint = "Set EMAIL_HOST, or nobody can reset a password or confirm an address."
        return [Warning("No mail is sent.", hint=hint, id="config.W005")]
    if not settings.EMAIL_HOST:
        return [Info("Mails are printed where Tickbase runs; production needs EMAIL_HOST.", id="config.I010")]
    where = f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
    try:
        mail.get_connection().open()
    except smtplib.SMTPAuthenticationError:
        hint = "Correct EMAIL_HOST_USER and EMAIL_HOST_PASSWORD."
        return [Error(f"{where} refuses the sign-in.", hint=hint, id="config.E009")]
    except (OSError, smtplib.SMTPException) as error:
        hint = "Correct EMAIL_HOST, EMAIL_PORT and EMAIL_SECURITY."
        return [Error(f"{where} cannot be reached: {type(error).__name__}.", hint=hint, id="config.E010")]
    return [Info(f"{where} takes mails.", id="config.I011")]


@register("disk")
def disk(**kwargs: Any) -> list[CheckMessage]:
    folders = {Path(tempfile.gettempdir())}
    if settings.EMBEDDED_DATABASE:
        folders |= {next(each for each in (settings.DATA_DIR, *settings.DATA_DIR.parents) if each.exists())}
    free, folder = min((shutil.disk_usage(each).free, str(each)) for each in folders)
    what = f"{free / GIB:.1f} GiB are free in {folder}."
    if free < GIB // 4:
        return [Error(what, hint="Free some, or PostgreSQL stops when there is none.", id="config.E011")]
    if free < 2 * GIB:
        return [Warning(what, hint="Free some soon.", id="config.W006")]
    return [Info(what, id="config.I012")]
