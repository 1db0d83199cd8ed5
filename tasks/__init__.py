"""Tasks: the first resource, and what only tasks have."""
