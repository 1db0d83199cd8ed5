"""Mails to accounts: rows of an outbox, which the worker sends."""
