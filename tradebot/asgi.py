"""The ASGI application: for event streams, which would each hold a thread of WSGI."""

import os

from django.conf import settings
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradebot.settings")

# A thread ends with its request here, and its connection with it: they are kept in a
# pool instead. More requests at once than this wait for a connection.
CONNECTIONS = 10
for database in settings.DATABASES.values():
    database["CONN_MAX_AGE"] = 0
    if database["ENGINE"] == "tradebot.postgresql":
        database["OPTIONS"]["pool"] = {"min_size": 1, "max_size": CONNECTIONS}

application = get_asgi_application()
