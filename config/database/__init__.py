"""A PostgreSQL backend for Django: circuit breaker, session settings, row level security and pipelined statements."""
