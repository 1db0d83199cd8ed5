"""Accounts and tasks to look at."""
