"""Tokens: our own JWTs, those of the external issuer, and signed tokens in mails."""
