"""The admin of accounts, sessions, the audit log and resources. `users.apps` imports the modules that register."""
