"""The OpenAPI document: its settings, its schema, and what serves it."""
