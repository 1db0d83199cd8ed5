#!/bin/sh
# The postgres image runs this once, in an empty database. Row level security binds no superuser, so Tickbase gets
# a role of its own.
set -eu
psql --set ON_ERROR_STOP=1 --set password="$(cat "${TICKBASE_PASSWORD_FILE:-/run/secrets/tickbase_password}")" \
    --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
CREATE ROLE tickbase LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD :'password';
CREATE DATABASE tickbase OWNER tickbase;
SQL
