"""Backups, the doctor, and the console output of commands."""
