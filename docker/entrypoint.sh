#!/bin/sh
# Waits for the database, brings it up to date if it is told to, and becomes the command it was given.
#
#   DATABASE_WAIT_SECONDS   how long to wait; 60 if not set
#   MIGRATE=1               migrate, and add the models the catalogue lacks. For one container at a time.
set -eu

# As a container's first process a shell ignores a stop signal it has no trap for, and it acts on a trap while it waits
# for a background process, but not while it runs one in front.
step() {
    "$@" &
    wait $!
}
trap 'kill "${!-}" 2>/dev/null || true; exit 143' TERM INT

step python manage.py wait_for_database --seconds "${DATABASE_WAIT_SECONDS:-60}"
if [ "${MIGRATE:-0}" = 1 ]; then
    step python manage.py migrate --no-input
    step python manage.py sync_models
fi

exec "$@"
