"""Accounts, sessions and the audit in the admin."""

from users.admin import accounts, audit, sessions  # noqa: F401 (importing registers them)
