#!/bin/sh
# Bring the database up to date, then serve. For the container and `make run`. With a
# command as arguments: wait until that has been done elsewhere, then become the command.
set -eu
cd "$(dirname "$0")/.."
if [ $# -gt 0 ]; then
    python manage.py wait_for_schema
    exec "$@"
fi
python manage.py migrate --no-input
# exec: the server itself gets the signals that stop it.
exec gunicorn -c tradebot/gunicorn_config.py
