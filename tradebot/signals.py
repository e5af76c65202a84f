"""Signals that are not about rows."""

from django.dispatch import Signal

# The server process is about to end: what would keep a connection open ends now.
server_closing = Signal()
