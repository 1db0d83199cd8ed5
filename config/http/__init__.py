"""The HTTP layer that all views share: middleware, JSON, problems, conditional requests, limits and OpenAPI."""
