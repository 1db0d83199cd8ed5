"""Webhooks (Standard Webhooks 1.0): endpoints of users, to which what changes is sent; a reader of the log."""
