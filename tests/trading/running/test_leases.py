"""Several workers, one bot."""

from __future__ import annotations

import threading

import pytest
from django.db import connections
from django.utils import timezone

from bots.models import BotRun
from tests.trading.running.exchange import World, disagreements, make_bot_with_key
from trading.models import Order
from trading.running.runner import Runner


@pytest.mark.postgresql  # a database in memory belongs to one thread
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("time", range(2))
def test_four_workers_on_one_bot_send_one_order(world: World, time: int) -> None:
    make_bot_with_key(world)
    BotRun.objects.update(due_at=timezone.now())
    start = threading.Barrier(4)

    def work() -> None:
        try:
            runner = Runner(feed=world, threads=1)
            start.wait()
            runner.step()
        finally:
            connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert Order.objects.filter(role="ENTRY").count() == 1
    assert disagreements(world) == []
