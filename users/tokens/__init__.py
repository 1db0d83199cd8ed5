"""Tokens of ours, of an external issuer, and in mails."""
