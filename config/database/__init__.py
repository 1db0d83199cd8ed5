"""Django's PostgreSQL backend, made to answer soon and come back by itself when the server is away."""
