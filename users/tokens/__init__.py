"""Tokens: our own JWTs, personal ones with their scopes, those of the external issuer, and signed ones in mails and
streams' tickets; and the caller that one stands for."""
