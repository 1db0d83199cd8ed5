"""What `manage.py doctor` looks at. Each examination returns what it found, and what to do about it; none of them
changes anything or tells a secret."""

import datetime as dt
import shutil
import smtplib
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from enum import StrEnum
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import psycopg
from django.conf import settings
from django.core import checks, mail
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import DEFAULT_DB_ALIAS, connection
from psycopg.conninfo import make_conninfo

from config.database import migrations
from config.environment.variables import refuse_guessable
from config.operations import postgres_tools
from config.operations.postgres_tools import ProgramError, major
from users.text import canonical_email, known_timezones, validate_email
from users.tokens.keysets import BadKeySet, download, read_key_set

OLDEST, NEWEST = 15, 18  # versions of PostgreSQL
GIB = 1 << 30
SPARE_CONNECTIONS = 3  # for commands, and for looking whether the server still lives


class State(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


class Finding(NamedTuple):
    state: State
    what: str
    advice: str = ""


def ok(what: str) -> Finding:
    return Finding(State.OK, what)


def warning(what: str, advice: str) -> Finding:
    return Finding(State.WARNING, what, advice)


def failed(what: str, advice: str) -> Finding:
    return Finding(State.FAILED, what, advice)


class Examination(NamedTuple):
    name: str
    find: Callable[[], Finding]
    needs: str = ""  # the name of another one, which has to be well


def examine() -> Iterator[tuple[str, Finding]]:
    """One after the other; those that need one that has failed, or was skipped, are skipped."""
    ill = set()
    for each in EXAMINATIONS:
        skipped = Finding(State.SKIPPED, f"Not looked at; see {each.needs}.")
        finding = skipped if each.needs in ill else each.find()
        if finding.state in (State.FAILED, State.SKIPPED):
            ill.add(each.name)
        yield each.name, finding


# --- The database -----------------------------------------------------------------------------------


def _connect() -> psycopg.Connection[Any]:
    """Without the pool, which would only say that it waited in vain. Raises psycopg.OperationalError."""
    return psycopg.connect(make_conninfo(**postgres_tools.connection_parameters()))


def database() -> Finding:
    kind = f"embedded, in {settings.DATA_DIR}" if settings.EMBEDDED_DATABASE else "external"
    try:
        with closing(_connect()) as connected:
            version = connected.info.server_version
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[-1]
        return failed(f"It cannot be reached ({kind}): {reason}", "Start PostgreSQL, or correct DATABASE_URL.")
    name = f"PostgreSQL {version // 10_000}.{version % 10_000}, {kind}."
    if version // 10_000 < OLDEST:
        return failed(name, f"Tickbase needs PostgreSQL {OLDEST} or newer; upgrade the server.")
    if version // 10_000 > NEWEST:
        return warning(
            name, f"Tickbase is tested with PostgreSQL {OLDEST} to {NEWEST}; try this one before you rely on it."
        )
    return ok(name)


def applied_migrations() -> Finding:
    if missing := migrations.missing():
        return failed(f"{len(missing)} are missing.", "Apply them: python manage.py migrate")
    if newer := migrations.unknown(migrations.applied()):
        return failed(f"{len(newer)} are of a newer Tickbase.", "Install the version that migrated this database.")
    return ok(f"All {len(migrations.known())} are applied.")


def row_security() -> Finding:
    messages = checks.run_checks(tags=[checks.Tags.database], databases=[DEFAULT_DB_ALIAS])
    for message in messages:
        return failed(str(message.msg), str(message.hint))
    return ok("PostgreSQL keeps users' rows apart.")


def clock() -> Finding:
    with connection.cursor() as cursor:
        before = dt.datetime.now(dt.UTC)
        cursor.execute("SELECT clock_timestamp()")
        (theirs,) = cursor.fetchone()
    now = dt.datetime.now(dt.UTC)
    apart = max(before - theirs, theirs - now, dt.timedelta(0))
    what = f"It is {now:%Y-%m-%d %H:%M:%S} UTC here; the database's clock is {apart.total_seconds():.1f} s away."
    advice = "Let both machines keep time by NTP, for example with chrony."
    if apart > settings.JWT_LEEWAY:
        return failed(what, advice)
    return warning(what, advice) if apart > dt.timedelta(seconds=2) else ok(what)


def connections() -> Finding:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT least(setting::int - current_setting('superuser_reserved_connections')::int,"
            " (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user))"
            " FROM pg_settings WHERE name = 'max_connections'"
        )
        (allowed,) = cursor.fetchone()
    wanted = settings.WORKERS * settings.DATABASE_POOL_SIZE + SPARE_CONNECTIONS
    what = f"Up to {wanted} are opened, of {allowed} that the server allows."
    if wanted > allowed:
        return failed(what, "Lower WORKERS or DATABASE_POOL_SIZE, raise max_connections, or put PgBouncer in front.")
    if settings.DATABASE_POOL_SIZE < settings.THREADS:
        return warning(what, "DATABASE_POOL_SIZE is below THREADS: threads wait for each other's connections.")
    return ok(what)


def backup_programs() -> Finding:
    try:
        with closing(_connect()) as connected:
            postgres_tools.find("pg_dump", major(connected))
    except ProgramError as error:
        return warning("`manage.py backup` cannot work.", str(error))
    return ok("`manage.py backup` has a pg_dump for this server.")


def time_zones() -> Finding:
    used = set(_timezones_of_accounts())
    if len(known_timezones()) < 300:
        return failed(f"Only {len(known_timezones())} time zones are known.", "Install tzdata: pip install tzdata")
    unknown = sorted(name for name in used if not _loads(name))
    if unknown:
        return failed(f"Accounts have unknown ones: {', '.join(unknown[:5])}.", "Upgrade tzdata: pip install -U tzdata")
    return ok(f"{len(known_timezones())} are known, with all {len(used)} that accounts have.")


def _timezones_of_accounts() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT timezone FROM users_user")
        return [name for (name,) in cursor.fetchall()]


def _loads(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def addresses() -> Finding:
    """Those of before that would be refused today, or whose canonical form another account had first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, email, email_canonical FROM users_user"
            r" WHERE email_canonical IS NOT NULL AND email ~ '[^\x01-\x7f]|^.{65,}@' ORDER BY id"
        )
        lost = [str(pk) for pk, email, canonical in cursor.fetchall() if not _gets_mail(email, canonical)]
    if not lost:
        return ok("Mail can go to all that accounts have.")
    shown = ", ".join(lost[:10]) + (", …" if len(lost) > 10 else "")
    return warning(
        f"Mail to {len(lost)} accounts may not arrive, or is another account's: {shown}.",
        "Give them another address in the admin.",
    )


def _gets_mail(email: str, canonical: str) -> bool:
    try:
        validate_email(email)
    except ValidationError:
        return False
    return canonical == canonical_email(email)


# --- The process and what is around it --------------------------------------------------------------


def keys() -> Finding:
    secrets = {"SECRET_KEY": settings.SECRET_KEY, "JWT_SIGNING_KEY": settings.JWT_SIGNING_KEY}
    secrets |= {f"JWT_VERIFYING_KEYS[{n}]": key for n, key in enumerate(settings.JWT_VERIFYING_KEYS)}
    if settings.JWT_EXTERNAL_SECRET:
        secrets["JWT_EXTERNAL_SECRET"] = settings.JWT_EXTERNAL_SECRET
    try:
        refuse_guessable(**secrets)
    except ImproperlyConfigured as error:
        what, _, advice = str(error).partition("; ")
        return failed(f"{what}.", f"{advice[:1].upper()}{advice[1:]}")
    for path in settings.DATA_DIR.glob("*.secret"):
        if path.stat().st_mode & 0o077:
            return failed(f"Others can read {path}.", f"chmod 600 {path}")
    return ok("They are long and not to be guessed.")


def deployment() -> Finding:
    """What `check --deploy` says; in development, things may be open."""
    if not settings.PRODUCTION:
        return ok("ENVIRONMENT is development; production is stricter.")
    messages = checks.run_checks(tags=[checks.Tags.security], include_deployment_checks=True)
    messages = [message for message in messages if not message.is_silenced()]
    for message in messages:
        return warning(f"{message.msg} ({len(messages)} in all)", f"{message.hint or ''} See: manage.py check --deploy")
    return ok("ENVIRONMENT is production, and `check --deploy` finds nothing.")


def mails() -> Finding:
    if not settings.EMAIL_HOST:
        if settings.PRODUCTION:
            return warning("No mail is sent.", "Set EMAIL_HOST, or nobody can reset a password or confirm an address.")
        return ok("Mails are printed where Tickbase runs; production needs EMAIL_HOST.")
    where = f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
    try:
        mail.get_connection().open()
    except smtplib.SMTPAuthenticationError:
        return failed(f"{where} refuses the sign-in.", "Correct EMAIL_HOST_USER and EMAIL_HOST_PASSWORD.")
    except (OSError, smtplib.SMTPException) as error:
        advice = "Correct EMAIL_HOST, EMAIL_PORT and EMAIL_SECURITY."
        return failed(f"{where} cannot be reached: {type(error).__name__}.", advice)
    return ok(f"{where} takes mails.")


def disk() -> Finding:
    folders = {_existing(settings.DATA_DIR)} if settings.EMBEDDED_DATABASE else set()
    free, folder = min((shutil.disk_usage(each).free, str(each)) for each in {*folders, Path(tempfile.gettempdir())})
    what = f"{free / GIB:.1f} GiB are free in {folder}."
    if free < GIB // 4:
        return failed(what, "Free some, or PostgreSQL stops when there is none.")
    return warning(what, "Free some soon.") if free < 2 * GIB else ok(what)


def _existing(path: Path) -> Path:
    return next(each for each in (path, *path.parents) if each.exists())


def redis() -> Finding:
    if not settings.REDIS_URL:
        return ok("Rate limits are counted in PostgreSQL.")
    from redis import Redis, RedisError  # as in config.environment.rates: slow to import

    try:
        with closing(Redis.from_url(settings.REDIS_URL, socket_connect_timeout=3, socket_timeout=3)) as client:
            client.ping()
    except (RedisError, OSError) as error:
        advice = "Start Redis or correct REDIS_URL; meanwhile PostgreSQL counts the rate limits."
        return failed(f"It cannot be reached: {type(error).__name__}.", advice)
    return ok("Rate limits are counted in Redis.")


def external_issuer() -> Finding:
    if not settings.JWT_EXTERNAL_JWKS_URL:
        return ok("No keys have to be fetched.")
    advice = "Correct JWT_EXTERNAL_JWKS_URL, or let this machine reach it."
    try:
        found = read_key_set(download(settings.JWT_EXTERNAL_JWKS_URL))
    except (OSError, HTTPException, BadKeySet, ValueError, RecursionError) as error:
        return failed(f"The keys cannot be fetched: {type(error).__name__}.", advice)
    return ok(f"{len(found)} keys can be used.") if found else failed("None of its keys can be used.", advice)


EXAMINATIONS = [
    Examination("database", database),
    Examination("migrations", applied_migrations, needs="database"),
    Examination("row security", row_security, needs="database"),
    Examination("clock", clock, needs="database"),
    Examination("connections", connections, needs="database"),
    Examination("backup", backup_programs, needs="database"),
    Examination("time zones", time_zones, needs="migrations"),
    Examination("addresses", addresses, needs="migrations"),
    Examination("keys", keys),
    Examination("deployment", deployment),
    Examination("mail", mails),
    Examination("disk", disk),
    Examination("redis", redis),
    Examination("external issuer", external_issuer),
]
