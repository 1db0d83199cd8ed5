"""A table of tasks as large as asked for: a few measured users among thousands of others, their rows interleaved."""

import random
import sys
from collections.abc import Iterator

from django.db import connection
from django.db.models import UniqueConstraint
from django.utils import timezone

from tasks.models import Task
from users.models import User

SIZES = (1_000, 10_000, 100_000, 1_000_000)  # tasks of the measured users, who are the first ones
OTHERS = 5_000
SAMPLES = 20_000
CHUNK = 250_000
RARE_TAG = "passport"  # of one task in 10,000
TAGS = ("work", "home", "health", "errands", "family", "garden")
WORDS = [
    "call", "write", "send", "review", "prepare", "buy", "repair", "clean", "order", "book", "cancel", "move",
    "invoice", "report", "contract", "meeting", "budget", "quarter", "team", "project", "customer", "supplier",
    "kitchen", "garden", "window", "bicycle", "school", "dentist", "insurance", "train", "ticket", "flight", "hotel",
    "birthday", "present", "letter", "parcel", "library", "cinema", "doctor", "appointment", "before", "after", "until",
    "with", "about", "for", "from", "the", "and", "new", "old", "next", "last", "second", "final", "draft",
    "Café", "naïve", "résumé", "façade", "Zürich", "Ærøskøbing",
]  # fmt: skip

# Spread over the table as if all had written at the same time: the multiplier is a prime.
_OWNER = "(i * 2654435761) %% %(rows)s"
_FILL = f"""
    INSERT INTO tasks_task (user_id, uid, title, description, status, priority, tags, due_date, due_at, completed_at,
        created_at, updated_at, version, deleted_at, tag_keys, search_text, title_key)
    SELECT {{owner}}, gen_random_uuid()::text, sample.title, sample.description, status,
        (ARRAY['low', 'medium', 'medium', 'medium', 'high'])[1 + dice %% 5], sample.tags, due_date,
        CASE WHEN dice2 / 3 %% 2 = 0 THEN due_date + interval '1 minute' * (dice %% 1440) END,
        CASE status WHEN 'completed' THEN created_at + interval '1 day' END, created_at,
        created_at + interval '1 minute' * (dice2 %% 10000), i,
        CASE dice2 %% 50 WHEN 49 THEN now() END, sample.tags, sample.search_text, sample.title_key
    FROM (SELECT i, {_OWNER} AS place, hashint8(i) & 2147483647 AS dice,
            hashint8(i + 20000000000) & 2147483647 AS dice2, now() - interval '3 seconds' * (%(rows)s - i) AS created_at
        FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS i) AS numbered
    JOIN sample ON sample.number = dice %% {SAMPLES},
    LATERAL (SELECT CASE WHEN dice / 7 %% 10 < 6 THEN current_date + dice / 70 %% 730 - 600 END) AS due (due_date),
    LATERAL (SELECT CASE WHEN dice2 %% 10000 = 0 THEN 'cancelled'
        WHEN dice2 %% 100 < CASE WHEN due_date < current_date THEN 97 ELSE 40 END THEN 'completed'
        WHEN dice2 / 100 %% 5 = 0 THEN 'in_progress' ELSE 'pending' END) AS state (status)
"""
_INDEX_TAGS = """
    INSERT INTO tasks_tasktag (user_id, tag_key, created_at, task_id)
    SELECT user_id, tag_key, created_at, id FROM tasks_task, unnest(tag_keys) AS tag_key ORDER BY 1, 2, 3, 4
"""

# As if nothing had been changed since it was written.
_FILL_LOG = """
    INSERT INTO users_change (user_id, version, operation, kind, type, object_id, at, actor, diff)
    SELECT user_id, version, version, 'created', 'task', id, created_at, 'command',
        jsonb_build_object('title', jsonb_build_array(NULL, title), 'description', jsonb_build_array(NULL, description))
    FROM tasks_task
"""


def prepare(rows: int) -> None:
    """Fill the tables unless an earlier run has, and clear away what it left."""
    if not Task.objects.exists():
        _seed(rows)
    for table in ("users_user", "users_change", "tasks_feed", "tasks_task", "tasks_tasktag"):
        _run(f"VACUUM (ANALYZE) {table}")


def _seed(rows: int) -> None:
    """Indexes are built afterwards, which is several times faster."""
    users = _create_users()
    _change_indexes(add=False)
    _create_samples()
    # Until the end; it would only compete.
    _run("ALTER TABLE tasks_task SET (autovacuum_enabled = off)")
    _run("ALTER TABLE tasks_task DISABLE TRIGGER USER")
    for first in range(1, rows + 1, CHUNK):
        last = min(first + CHUNK - 1, rows)
        _run(_FILL.format(owner=_owner(users, rows)), {"rows": rows, "first": first, "last": last})
        _tell(f"{last:,} of {rows:,} rows")
    _run("INSERT INTO tasks_feed (user_id, head, floor) SELECT id, %(rows)s, 0 FROM users_user", {"rows": rows})
    _change_indexes(add=True)
    _run(_INDEX_TAGS)
    _run("ALTER TABLE tasks_task ENABLE TRIGGER USER")
    _tell("filled the index of tags")
    _run("ALTER TABLE users_change DROP CONSTRAINT users_change_pkey")
    _run(_FILL_LOG)
    _run("ALTER TABLE users_change ADD PRIMARY KEY (user_id, version)")
    _tell("filled the log")
    _run("ALTER TABLE tasks_task RESET (autovacuum_enabled)")


def sizes(rows: int) -> list[int]:
    """Of the measured users, together at most an eighth of the table."""
    return [size for size in SIZES if size <= rows // 10]


def measured_users(rows: int) -> dict[int, User]:
    """By the number of their tasks, tombstones included."""
    return dict(zip(sizes(rows), User.objects.order_by("pk"), strict=False))


def _create_users() -> list[int]:
    emails = [f"user{number}@example.com" for number in range(len(SIZES) + OTHERS)]
    users = [User(email=email, email_canonical=email, password="!") for email in emails]
    return [user.pk for user in User.objects.bulk_create(users)]


def _owner(users: list[int], rows: int) -> str:
    """Whose the row at `place` is; all places are taken once."""
    cases, start = [], 0
    for size, user_id in zip(sizes(rows), users, strict=False):
        start += size
        cases.append(f"WHEN place < {start} THEN {user_id}")
    return f"CASE {' '.join(cases)} ELSE {users[len(SIZES)]} + place %% {OTHERS} END"


def _create_samples() -> None:
    _run(
        "CREATE TEMPORARY TABLE sample (number int PRIMARY KEY, title text, description text, tags text[],"
        " search_text text, title_key text)"
    )
    with connection.cursor() as cursor, cursor.copy("COPY sample FROM STDIN") as copy:
        for row in _samples():
            copy.write_row(row)
    _run("ANALYZE sample")


def _samples() -> Iterator[tuple[int, str, str, list[str], str, str]]:
    """Texts of 100 to 300 characters to search in."""
    dice = random.Random(7)
    for number in range(SAMPLES):
        title = " ".join(dice.choices(WORDS, k=dice.randint(3, 7))).capitalize()
        description = " ".join(dice.choices(WORDS, k=dice.randint(10, 35))).capitalize()
        tags = [*dice.sample(TAGS, dice.randint(0, 2)), *([RARE_TAG] if number % 10_000 == 0 else [])]
        task = Task(title=title, description=description, tags=tags)
        task.update_derived_fields(timezone.now())
        yield number, title, description, tags, task.search_text, task.title_key


def _change_indexes(*, add: bool) -> None:
    unique = [each for each in Task._meta.constraints if isinstance(each, UniqueConstraint)]
    constraints = [each for each in unique if each.name != "tasks_task_own"]  # to which foreign keys refer
    _run("SET maintenance_work_mem = '1GB'")
    with connection.schema_editor(atomic=False) as editor:
        for constraint in constraints:
            (editor.add_constraint if add else editor.remove_constraint)(Task, constraint)
        for index in Task._meta.indexes:
            (editor.add_index if add else editor.remove_index)(Task, index)
            _tell(f"{'built' if add else 'dropped'} {index.name}")


def _run(sql: str, values: dict[str, int] | None = None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


def _tell(what: str) -> None:
    sys.stderr.write(f"{what}\n")
