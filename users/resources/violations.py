"""What must not be committed of rows that an undo has put back: references to tombstones, and broken trees."""

from collections.abc import Collection, Sequence
from typing import Any, cast

from config.database.queries import Raw, run_all
from users.resources import references
from users.resources.models import OwnedModel, Reference
from users.resources.pairs import References
from users.tokens.callers import Actor

# Of changed rows, by reference: those that are visible while what they refer to is not, and those that still refer to
# one that is not.
_TO_HIDDEN = """
    SELECT row.id FROM {table} AS row JOIN {target} AS target ON target.user_id = row.user_id AND target.id = row.{name}
    WHERE row.user_id = %s AND row.id = ANY(%s) AND row.deleted_at IS NULL AND target.deleted_at IS NOT NULL
"""
_OF_HIDDEN = """
    SELECT row.id FROM {table} AS row JOIN {target} AS target ON target.user_id = row.user_id AND target.id = row.{name}
    WHERE row.user_id = %s AND target.id = ANY(%s) AND row.deleted_at IS NULL AND target.deleted_at IS NOT NULL
"""
# The same of References, by their pairs.
_TO_HIDDEN_ONES = """
    SELECT row.id FROM {table} AS row JOIN {pairs} AS pair ON pair.user_id = row.user_id AND pair.row_id = row.id
    JOIN {target} AS target ON target.user_id = row.user_id AND target.id = pair.target_id
    WHERE row.user_id = %s AND {changed}.id = ANY(%s) AND row.deleted_at IS NULL AND target.deleted_at IS NOT NULL
"""
# Of a tree: rows that are too deep, as all in a cycle are.
_TOO_DEEP = """
    WITH RECURSIVE below AS (
        SELECT id AS start, id, 1 AS level FROM {table} WHERE user_id = %s AND id = ANY(%s) AND deleted_at IS NULL
        UNION ALL
        SELECT start, child.id, level + 1 FROM below JOIN {table} AS child
            ON child.user_id = %s AND child.{name} = below.id AND child.deleted_at IS NULL WHERE level <= {most}
    ), above AS (
        SELECT id AS start, {name} AS above, 0 AS level FROM {table}
            WHERE user_id = %s AND id = ANY(%s) AND deleted_at IS NULL
        UNION ALL
        SELECT start, row.{name}, level + 1 FROM above JOIN {table} AS row
            ON row.user_id = %s AND row.id = above.above WHERE level <= {most}
    )
    SELECT start FROM (SELECT start, max(level) AS height FROM below GROUP BY start) AS down
    JOIN (SELECT start, max(level) AS depth FROM above GROUP BY start) AS up USING (start)
    WHERE height + depth > {most}
"""
# Of a tree: rows of which the parent has too many.
_TOO_MANY = """
    SELECT id FROM {table} WHERE user_id = %s AND id = ANY(%s) AND deleted_at IS NULL AND {name} IN (
        SELECT {name} FROM {table} WHERE user_id = %s AND deleted_at IS NULL
        AND {name} IN (SELECT {name} FROM {table} WHERE user_id = %s AND id = ANY(%s))
        GROUP BY {name} HAVING count(*) > {most}
    )
"""
# UNION: for an OR, PostgreSQL would read all rows of the user.
_NOT_INHERITED = """
    SELECT row.id FROM {table} AS row JOIN {table} AS parent ON parent.user_id = row.user_id AND parent.id = row.{name}
    WHERE row.user_id = %s AND row.id = ANY(%s) AND row.deleted_at IS NULL
    AND row.{inherited} IS DISTINCT FROM parent.{inherited}
    UNION
    SELECT row.id FROM {table} AS row JOIN {table} AS parent ON parent.user_id = row.user_id AND parent.id = row.{name}
    WHERE row.user_id = %s AND parent.id = ANY(%s) AND row.deleted_at IS NULL
    AND row.{inherited} IS DISTINCT FROM parent.{inherited}
"""

Check = tuple[type[OwnedModel], str, Raw]  # what it finds are rows of the model, by the name of the column
Violations = dict[tuple[str, int], list[str]]  # by type and id, the references


def of_changed(user: Actor, model: type[OwnedModel], pks: Collection[int]) -> Violations:
    """What is stored, but must not be committed, of changed rows: references to or from what is in the trash, and trees
    that are too deep, have a cycle or too many children, or of which a row differs from its parent in what it
    inherits."""
    checks: list[Check] = []
    for each in model.references():
        checks.append((model, each.attname, _check(_TO_HIDDEN, each, user, pks)))
        if each.is_tree:
            sql = _TOO_DEEP.format(table=model._meta.db_table, name=each.attname, most=each.max_depth)
            checks.append((model, each.attname, Raw(sql, [user.pk, [*pks], user.pk] * 2)))
            sql = _TOO_MANY.format(table=model._meta.db_table, name=each.attname, most=each.max_children)
            checks.append((model, each.attname, Raw(sql, [user.pk, [*pks], user.pk, user.pk, [*pks]])))
            for name in model.inherited:
                sql = _NOT_INHERITED.format(table=model._meta.db_table, name=each.attname, inherited=name)
                checks.append((model, name, Raw(sql, [user.pk, [*pks]] * 2)))
    for each in references.referring(model):
        owner: Any = each.model
        checks.append((owner, each.attname, _check(_OF_HIDDEN, each, user, pks)))
    checks += [(model, many.name, _check_ones(many, "row", user, pks)) for many in model.many()]
    checks += [
        (cast(Any, many.model), many.name, _check_ones(many, "target", user, pks)) for many in references.listing(model)
    ]
    return _run(checks)


def _run(checks: Sequence[Check]) -> Violations:
    found: Violations = {}
    for (owner, attname, _), rows in zip(checks, run_all([check for *_, check in checks]), strict=True):
        for (pk,) in rows:
            names = found.setdefault((owner.type_name(), pk), [])
            if attname not in names:
                names.append(attname)
    return found


def _check(sql: str, reference: Reference, user: Actor, pks: Collection[int]) -> Raw:
    target: Any = reference.related_model
    names = {"table": reference.model._meta.db_table, "target": target._meta.db_table, "name": reference.attname}
    return Raw(sql.format(**names), [user.pk, [*pks]])


def _check_ones(many: References, changed: str, user: Actor, pks: Collection[int]) -> Raw:
    models = {"table": many.model, "target": many.target, "pairs": many.pairs}
    tables = {name: model._meta.db_table for name, model in models.items()}
    return Raw(_TO_HIDDEN_ONES.format(**tables, changed=changed), [user.pk, [*pks]])
