"""The environment variables, and how each is parsed."""
