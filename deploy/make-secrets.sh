#!/bin/sh
# Makes what compose.yaml reads from ./secrets, once; run it in the directory where that file is.
set -eu
if [ -e secrets ]; then
    echo "./secrets is there already; to make new ones, move it away first." >&2
    exit 1
fi
# The directory keeps others out; a container's user must be able to read the file that is mounted from it.
umask 022
mkdir secrets
chmod 700 secrets
random() { head -c "$1" /dev/urandom | base64 | tr -d '\n=' | tr '+/' '-_'; }
password=$(random 32)
random 48 > secrets/secret_key
random 48 > secrets/jwt_signing_key
random 32 > secrets/postgres_password
printf '%s' "$password" > secrets/tickbase_password
printf '"tickbase" "%s"\n' "$password" > secrets/pgbouncer_users
printf 'postgresql://tickbase:%s@pgbouncer:6432/tickbase' "$password" > secrets/database_url
printf 'postgresql://tickbase:%s@postgres:5432/tickbase' "$password" > secrets/direct_database_url
echo "Made ./secrets. Keep a copy of it in a safe place, and out of version control."
