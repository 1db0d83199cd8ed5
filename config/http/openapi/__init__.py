"""The OpenAPI document: drf-spectacular's settings, schema classes, hooks and view."""
