"""Row level security, the second wall behind `.for_user()`; and foreign keys between rows of one user.

Each table with users' data has one policy: the current tenant sees and writes its own rows. Without a tenant no row is
visible. The tenant is a session setting, `tickbase.user_id`. The SQL of what is here for migrations is frozen: another
rule is another function, and a migration that replaces the old.
"""

from collections.abc import Iterator
from typing import Any, TypeVar, cast

from django.apps import apps
from django.conf import settings
from django.db import connection
from django.db.migrations import RunSQL
from django.db.models import Model

from config.database import session

Item = TypeVar("Item")

_SETTING = "tickbase.user_id"
NOBODY = ""
ALL = "0"  # the id of no account
_CURRENT_USER = f"(SELECT NULLIF(current_setting('{_SETTING}', true), '')::bigint)"
BYPASS = (_SETTING, ALL)  # the session setting with which pg_dump and the like see every row
ROLE_ADVICE = (
    "Let DATABASE_URL name a role that is no superuser, has no BYPASSRLS, and owns the tables: "
    "CREATE ROLE tickbase LOGIN PASSWORD '...'; CREATE DATABASE tickbase OWNER tickbase;"
)
TAG = "isolation"  # of the system checks without which production does not start
_NO_REFERENCE = ("django_session",)  # the owner, of the staff, stands only within a row's text


def enter(user_id: int) -> None:
    """Make this user the current tenant until the request ends."""
    session.enter({_SETTING: _name(user_id)})


def as_user(user_id: int) -> session.local:
    """The user is the current tenant within this; also a decorator."""
    return session.local({_SETTING: _name(user_id)})


def all_users() -> session.local:
    """Every row is visible: for staff, maintenance and sign-in. Also a decorator."""
    return session.local({_SETTING: ALL})


def nobody() -> session.local:
    """No row is visible: for requests, until a view has authenticated the caller."""
    return session.local({_SETTING: NOBODY})


def _name(user_id: int) -> str:
    if user_id < 1:
        raise ValueError(f"{user_id} is no user's id")
    return str(int(user_id))


def each_as(user_id: int, items: Iterator[Item]) -> Iterator[Item]:
    """The items of a generator, which runs as this tenant at each step, in whichever thread."""
    while True:
        with as_user(user_id):
            try:
                item = next(items)
            except StopIteration:
                return
        yield item


def isolate(table: str, owner: str = "user_id") -> RunSQL:
    """The policy of a table whose rows belong to the user in the column `owner`, for a migration.

    FORCE, since the service owns its tables. CASE, for its selectivity estimate: 0.5, where an OR's is near 0, with
    which the planner would sort a user's tasks rather than read them from the index in order. The sub-selects are
    evaluated once for each statement.
    """
    return _policy(table, f"CASE {_CURRENT_USER} WHEN {ALL} THEN true ELSE {owner} = {_CURRENT_USER} END")


def isolate_through(table: str, reference: str, parent: str) -> RunSQL:
    """The policy of a table whose rows belong to the user of the `parent` row that they reference."""
    own = f"{reference} IN (SELECT id FROM {parent} WHERE user_id = {_CURRENT_USER})"  # nosec B608: names of a migration
    return _policy(table, f"CASE {_CURRENT_USER} WHEN {ALL} THEN true ELSE {own} END")


def hide(table: str) -> RunSQL:
    """The policy of a table that only the admin and commands read."""
    return _policy(table, f"CASE {_CURRENT_USER} WHEN {ALL} THEN true ELSE false END")


def _policy(table: str, rule: str) -> RunSQL:
    return RunSQL(
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
        f"CREATE POLICY {table}_own ON {table} USING ({rule}) WITH CHECK ({rule});",
        f"DROP POLICY {table}_own ON {table};"
        f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;",
    )


def refer(table: str, column: str, target: str, *, required: bool = False) -> RunSQL:
    """The foreign key of a reference between rows of one user, for a migration; `validate_reference` looks at the rows
    that are there.

    Row level security does not check foreign keys, so it is composite, of the owner and the id. A tombstone that is
    removed for good leaves null (PostgreSQL 15), or takes what requires it along.
    """
    action = "CASCADE" if required else f"SET NULL ({column})"
    return RunSQL(
        f"ALTER TABLE {table} ADD CONSTRAINT {table}_{column} FOREIGN KEY (user_id, {column})"
        f" REFERENCES {target} (user_id, id) ON DELETE {action} NOT VALID",
        f"ALTER TABLE {table} DROP CONSTRAINT {table}_{column}",
    )


def validate_reference(table: str, column: str) -> RunSQL:
    return RunSQL(f"ALTER TABLE {table} VALIDATE CONSTRAINT {table}_{column}", RunSQL.noop)


# The pairs of new elements are added, those of others removed; nothing else writes them.
_KEEP_PAIRS = """
ALTER TABLE {pairs}
    ADD CONSTRAINT {pairs}_row FOREIGN KEY (user_id, row_id) REFERENCES {table} (user_id, id) ON DELETE CASCADE,
    ADD CONSTRAINT {pairs}_target FOREIGN KEY (user_id, target_id) REFERENCES {target} (user_id, id) ON DELETE CASCADE;
CREATE FUNCTION {pairs}_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        DELETE FROM {pairs}
            WHERE user_id = NEW.user_id AND row_id = NEW.id AND NOT target_id = ANY (NEW.{column});
    END IF;
    INSERT INTO {pairs} (user_id, row_id, target_id)
        SELECT DISTINCT NEW.user_id, NEW.id, each FROM unnest(NEW.{column}) AS each
        WHERE TG_OP = 'INSERT' OR NOT each = ANY (OLD.{column});
    RETURN NULL;
END
$$;
CREATE TRIGGER {pairs}_inserted AFTER INSERT ON {table}
    FOR EACH ROW WHEN (NEW.{column} <> '{{}}') EXECUTE FUNCTION {pairs}_keep();
CREATE TRIGGER {pairs}_updated AFTER UPDATE OF {column} ON {table}
    FOR EACH ROW WHEN (OLD.{column} <> NEW.{column}) EXECUTE FUNCTION {pairs}_keep();
"""
_LOSE_PAIRS = """
DROP TRIGGER {pairs}_inserted ON {table};
DROP TRIGGER {pairs}_updated ON {table};
DROP FUNCTION {pairs}_keep();
ALTER TABLE {pairs} DROP CONSTRAINT {pairs}_row, DROP CONSTRAINT {pairs}_target;
"""


def refer_each(table: str, column: str, pairs: str, target: str) -> RunSQL:
    """The foreign keys of the ids in an array, each of a row of the same user, for a migration; a column that is new.

    PostgreSQL has none of elements: a trigger keeps a table of pairs, whatever writes the array, and that has them.
    A tombstone that is removed for good takes its pairs along.
    """
    names = {"table": table, "column": column, "pairs": pairs, "target": target}
    return RunSQL(_KEEP_PAIRS.format(**names), _LOSE_PAIRS.format(**names))


def undone(operation: RunSQL) -> RunSQL:
    """The opposite of one of these, for a migration that takes out what it is about."""
    return RunSQL(cast(Any, operation.reverse_sql), operation.sql)


def exposed_tables() -> dict[str, bool]:
    """Tables with users' data on which row level security does not act for the service's role, and whether they have a
    policy: then the role bypasses it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, EXISTS (SELECT FROM pg_policy WHERE polrelid = pg_class.oid) FROM pg_class"
            " WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'"
            " AND relname = ANY(%s) AND NOT row_security_active(oid) ORDER BY relname",
            [sorted(tables_of_users())],
        )
        return dict(cursor.fetchall())


def bypassing_role() -> str | None:
    """The service's role, if no policy acts on it: a superuser, or one with BYPASSRLS."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolname FROM pg_roles WHERE rolname = current_user AND (rolsuper OR rolbypassrls)")
        found = cursor.fetchone()
    return found and str(found[0])


def tables_of_users() -> set[str]:
    """The table of users, and those that reference it, directly or through another table."""
    others = set(apps.get_models(include_auto_created=True))
    found: set[type[Model]] = set()
    more = {apps.get_model(settings.AUTH_USER_MODEL)}
    while more:
        found |= more
        others -= more
        more = {model for model in others if any(field.related_model in found for field in model._meta.concrete_fields)}
    return {*_NO_REFERENCE, *(model._meta.db_table for model in found)}
