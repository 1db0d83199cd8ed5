"""Tasks: the resource, its change feed, and every write to it."""
