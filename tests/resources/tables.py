"""Checks of a resource's table, for the suite and for the resources that fail them."""

from django.db import connection

from users.resources.resource import Resource


def check_every_row_is_isolated(resource: Resource) -> None:
    """Row level security acts on the service's own role, too, by one policy for reads and writes."""
    table = resource.model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relrowsecurity, relforcerowsecurity, row_security_active(oid) FROM pg_class"
            " WHERE oid = %s::regclass",
            [table],
        )
        assert cursor.fetchone() == (True, True, True)
        cursor.execute(
            "SELECT permissive, roles::text, cmd, qual = with_check, qual LIKE '%%(user_id = %%' FROM pg_policies"
            " WHERE tablename = %s",
            [table],
        )
        assert cursor.fetchall() == [("PERMISSIVE", "{public}", "ALL", True, True)]


def check_what_is_unique_is_so_for_a_user(resource: Resource) -> None:
    """So no user learns from a conflict what another has, and the table can be distributed by user."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT array(SELECT attname FROM unnest(indkey) WITH ORDINALITY AS key (number, place)
                LEFT JOIN pg_attribute ON attrelid = indrelid AND attnum = key.number ORDER BY place)::text[]
            FROM pg_index WHERE indrelid = %s::regclass AND indisunique AND NOT indisprimary
            """,
            [resource.model._meta.db_table],
        )
        unique = [columns for (columns,) in cursor.fetchall()]
    assert [columns for columns in unique if columns[0] != "user_id"] == []
    assert ["user_id", "uid"] in unique
