"""Celery, for those who have it on their machines: ``celery -A tradebot.celery …``.

A queue and nothing else: what makes a look at a bot safe, and what makes a backtest
happen once, is in the database. Without Celery ``manage.py runbots`` and ``runworker``
do the same, on many machines too. Backtests have a queue of their own.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from celery import Celery
from celery.signals import setup_logging
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradebot.settings")

if settings.CELERY_BROKER_URL is None:
    sys.exit(
        "CELERY_BROKER_URL is not set. Set it to the URL of a Redis, for example "
        "redis://localhost:6379/0, or run bots and backtests without Celery: manage.py "
        "runbots, manage.py runworker"
    )
app = Celery("tradebot")
app.conf.update(
    broker_url=settings.CELERY_BROKER_URL,
    broker_connection_retry_on_startup=True,
    # Whoever is killed in the middle loses nothing: the lease of the bot ends, or the
    # claim of the backtest.
    task_acks_late=False,
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    worker_prefetch_multiplier=1,
    # Longer than any look; a worker that hangs is killed, and the next one settles.
    # Backtests have another limit.
    task_time_limit=300,
    timezone="UTC",
    # A message is of use until the next one.
    beat_schedule={
        "dispatch bots": {
            "task": "trading.dispatch_bots",
            "schedule": 1.0,
            "options": {"expires": 5},
        },
        "deliver notifications": {
            "task": "trading.deliver_notifications",
            "schedule": 2.0,
            "options": {"expires": 5},
        },
        "call for backtests": {
            "task": "backtests.call_worker",
            "schedule": 1.0,
            "options": {"expires": 5},
        },
    },
)
app.autodiscover_tasks(["trading.running", "backtests"])


@setup_logging.connect  # type: ignore[untyped-decorator]
def _keep_logging(**options: Any) -> None:
    """Leave the logging as Django has set it up."""
