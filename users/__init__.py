"""Accounts, authentication, and the kit of resources that belong to users."""
