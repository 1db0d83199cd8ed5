"""Tasks in the admin."""

from tasks.admin import tasks  # noqa: F401 (importing registers them)
