"""Doors for clients that keep a copy of a user's data: batches of writes, changes, streams."""
