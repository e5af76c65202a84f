#!/bin/sh
# Bring the database up to date, then serve. For the container and `make run`.
set -eu
cd "$(dirname "$0")/.."
python manage.py migrate --no-input
# exec: the server itself gets the signals that stop it.
exec gunicorn -c tradebot/gunicorn_config.py tradebot.wsgi
