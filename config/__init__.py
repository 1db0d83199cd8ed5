"""The process: settings, server, database backend and HTTP. It knows no user and no task."""
