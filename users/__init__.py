"""Accounts, authentication, and the resources that belong to users."""
