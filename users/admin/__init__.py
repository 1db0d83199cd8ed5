"""Accounts, sessions and the audit in the admin. Imports none of its modules, which register with the site of one."""
