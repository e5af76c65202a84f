"""A worker that is killed at any moment leaves nothing that the next cannot settle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest
import time_machine
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts.models import User
from bots.models import BotConfig
from bots.services import bot_stop
from tests.databases import as_default
from tests.fake_exchange import FakeBinance
from tests.trading.running.exchange import (
    DOWN,
    World,
    disagreements,
    killed_at,
    look,
    make_bot_with_key,
    settle,
)
from trading.models import Order, Position

STEP = 12  # every which moment is tried in the short form

pytestmark = pytest.mark.alike


@pytest.fixture
def database(
    migrated_database: BaseDatabaseWrapper,
) -> Iterator[BaseDatabaseWrapper]:
    with as_default(migrated_database):
        yield migrated_database


def _enter(world: World) -> None:
    make_bot_with_key(world)


def _entered(world: World) -> BotConfig:
    bot = make_bot_with_key(world)
    look(world)
    assert Position.objects.filter(closed_at__isnull=True).count() == 1
    return bot


def _exit(world: World) -> None:
    _entered(world)
    world.signals[1] = DOWN
    world.wait(minutes=1)


def _stop_reached(world: World) -> None:
    _entered(world)
    world.book.set_price("BTCUSDT", "97")


def _target_reached(world: World) -> None:
    _entered(world)
    world.book.set_price("BTCUSDT", "105")


def _closing(world: World) -> None:
    bot_stop(bot=_entered(world), close=True)


def _unprotected(world: World) -> None:
    """Somebody has cancelled the stop and the target by hand."""
    _entered(world)
    for order in world.book.orders.values():
        if order.is_open:
            world.book.end(order, "CANCELED")


SCENES: dict[str, Callable[[World], object]] = {
    "enter": _enter,
    "exit": _exit,
    "stop": _stop_reached,
    "target": _target_reached,
    "closing": _closing,
    "unprotected": _unprotected,
}


# In the short form.
OFTEN = {("enter", "spot"), ("exit", "futures")}


@pytest.mark.parametrize(
    ("scene", "market"),
    [
        pytest.param(
            scene,
            market,
            marks=[] if (scene, market) in OFTEN else [pytest.mark.long],
        )
        for scene in SCENES
        for market in ("spot", "futures")
    ],
)
def test_killed_at_any_moment_all_is_settled_by_the_next_worker(
    scene: str,
    market: str,
    database: BaseDatabaseWrapper,
    settings: Settings,
    pytestconfig: pytest.Config,
) -> None:
    step = 1 if pytestconfig.getoption("long") else STEP
    moment = hash((scene, market)) % step
    tried = 0
    while True:
        with FakeBinance().serving() as fake:
            settings.BINANCE_TESTNET_SPOT_URL = fake.url
            settings.BINANCE_TESTNET_FUTURES_URL = fake.url
            fake.spot.balances["USDT"] = fake.futures.wallet = Decimal(10_000)
            with time_machine.travel(timezone.now()) as clock:
                world = World(fake, market, clock)
                SCENES[scene](world)
                was_killed = killed_at(moment, lambda: look(world))  # noqa: B023  # now
                settle(world)
                assert disagreements(world) == [], f"killed at moment {moment}"
            if not was_killed:
                break
        User.objects.all().delete()
        moment, tried = moment + step, tried + 1
    assert tried >= 3
    assert not Order.objects.filter(status="REJECTED").exists()
    connections.close_all()
