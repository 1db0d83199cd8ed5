"""Accounts, sessions and the audit in the admin."""
