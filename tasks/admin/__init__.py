"""Tasks in the admin."""
