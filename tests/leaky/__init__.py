"""A Tickbase in which somebody forgot the filter by owner, for tests/test_leak.py."""
