"""A user with bots and backtests on candles that are made up, so that pages show
something.

Nothing is invented but the candles, which say so: bots trade through the hours that are
over as they do through those to come, with the same runner, whose clock is moved. No
other runner looks at them meanwhile, and others may write: what takes its time is done
outside of transactions.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts.models import User
from backtests.api.requests import BacktestRequest
from backtests.models import BacktestRun
from backtests.runs import Status as RunStatus
from backtests.runs import run_create, run_execute
from bots.models import BotConfig, BotRun
from bots.services import bot_config_create, bot_stop
from tradebot.errors import ConflictError
from trading.candles import EPOCH, Period
from trading.models import CandleSeries, CandleSource, Interval, Order, Position
from trading.synthetic import candles_make

EMAIL = "demo@example.com"
_MINUTE = dt.timedelta(minutes=1)
_WARMUP = dt.timedelta(hours=6)  # of minutes, before the first decision
_BACKTEST_DAYS = 30
_BACKTEST_SEED = 2026_00

# Markets, symbols, seeds and base prices; a seed is of one symbol, or two would move
# as one.
_SYMBOLS: dict[tuple[str, str], tuple[int, int]] = {
    ("spot", "BTCUSDT"): (2026_01, 60_000),
    ("spot", "ETHUSDT"): (2026_02, 2_500),
    ("futures", "BTCUSDT"): (2026_03, 60_000),
    ("futures", "SOLUSDT"): (2026_04, 150),
}
_BOT: dict[str, Any] = {
    "timeframe": "1m",
    "strategy": "ema",
    "position_type": "spot",
    "initial_capital": Decimal(10_000),
    "position_size_perc": Decimal(20),
    "stop_loss_perc": Decimal("0.5"),
    "take_profit_perc": Decimal("0.8"),
    "ema_fast": 9,
    "ema_slow": 21,
    "rsi_period": 14,
    "rsi_oversold": 30,
    "rsi_overbought": 70,
    "leverage": 1,
}
_TRAILING = {"trailing_stop_active": True, "trailing_stop_perc": Decimal("0.3")}
_FUTURES = {"position_type": "futures", "leverage": 5, "allow_short": True}
_BOTS: tuple[dict[str, Any], ...] = (
    {"name": "Demo: crossing averages", "symbol": "BTCUSDT"},
    {"name": "Demo: trailing stop", "symbol": "ETHUSDT", **_TRAILING},
    {"name": "Demo: long and short", "symbol": "BTCUSDT", **_FUTURES},
    {
        "name": "Demo: votes of many indicators",
        "symbol": "SOLUSDT",
        "strategy": "multi",
        **_FUTURES,
        **_TRAILING,
    },
    {"name": "Demo: two trades a day", "symbol": "ETHUSDT", "max_daily_trades": 2},
)
# To be stopped with a position: they trade often, and no stop comes first.
_HOLDING = {
    "ema_fast": 3,
    "ema_slow": 8,
    "stop_loss_perc": Decimal(20),
    "take_profit_perc": Decimal(40),
}
_CLOSED = {"name": "Demo: stopped, position closed", "symbol": "BTCUSDT", **_HOLDING}
_KEPT = {"name": "Demo: stopped, position kept", "symbol": "ETHUSDT", **_HOLDING}
_MISCONFIGURED = {
    "name": "Demo: misconfigured",
    "symbol": "BTCUSDT",
    "position_size_perc": None,
    "is_active": True,
}
_BACKTESTS: tuple[dict[str, Any], ...] = (
    {"strategy": "ema"},
    {"strategy": "ema", "stop_loss": 1, "take_profit": 4},
    {"strategy": "multi"},
)


def demo_user() -> User | None:
    """Return the demo user where there is one.

    Raises ConflictError where somebody else has the address.
    """
    user = User.objects.filter(email=EMAIL).first()
    if user is None:
        return None
    bots = user.bot_configs.all()
    if not bots or any(bot.candle_seed is None for bot in bots):
        raise ConflictError(
            f"{EMAIL} is a user who has other bots than those of the demo. Nothing was "
            "changed."
        )
    return user


def demo_is_whole(user: User) -> bool:
    """Say whether the demo was made to its end."""
    return user.backtests.count() >= len(_BACKTESTS)


def demo_delete(user: User | None) -> bool:
    """Delete the demo user with all they have, and the candles that were made up.

    Returns whether there was anything: candles may be there without the user, where
    the demo was cut off.
    """
    seeds = [_BACKTEST_SEED, *(seed for seed, _ in _SYMBOLS.values())]
    if user is not None:
        user.delete()
    left = list(CandleSeries.objects.filter(seed__in=seeds))
    for series in left:
        series.delete()
    return user is not None or bool(left)


def demo_create(
    *, now: dt.datetime, hours: int, follow: Callable[[float], None]
) -> User:
    """Make the demo user, and let the bots trade through the last ``hours``.

    They have no password yet. ``follow`` is told the progress, from 0 to 1.
    """
    end = now - (now - EPOCH) % _MINUTE
    start = end - dt.timedelta(hours=hours)
    for (market, symbol), (seed, price) in _SYMBOLS.items():
        _make_candles(market, symbol, Interval.M1, seed, price, start - _WARMUP, end)
    user = _make_bots()
    _trade(user, start, end, follow)
    _try_out(user, end)
    return user


def _make_candles(
    market: str,
    symbol: str,
    interval: Interval,
    seed: int,
    price: int,
    start: dt.datetime,
    end: dt.datetime,
) -> None:
    series = CandleSeries(
        market=market,
        symbol=symbol,
        interval=interval,
        source=CandleSource.SYNTHETIC,
        seed=seed,
        base_price=Decimal(price),
    )
    candles_make(series, Period(start, end), now=end)


def _make_bots() -> User:
    # NumPy and the engine come with it.
    from trading.running.services import bot_start

    with transaction.atomic():
        user = User.objects.create_user(EMAIL)

        def make(values: dict[str, Any]) -> BotConfig:
            whole = {**_BOT, **values}
            seed, _ = _SYMBOLS[whole["position_type"], whole["symbol"]]
            return bot_config_create(user=user, values={**whole, "candle_seed": seed})

        for values in (*_BOTS, _CLOSED, _KEPT):
            bot_start(bot=make(values))
        BotRun.objects.create(bot=make(_MISCONFIGURED))
        _keep(user)
    return user


def _trade(
    user: User, start: dt.datetime, end: dt.datetime, follow: Callable[[float], None]
) -> None:
    """Let a runner look at the bots at each minute between two times."""
    # NumPy and the engine come with them.
    from trading.running.feed import LiveFeed
    from trading.running.looks import looks_store
    from trading.running.runner import Runner

    runs = BotRun.objects.filter(bot__user=user).order_by("pk")
    # The other says the same always, so it is looked at once.
    trading = runs.exclude(bot__name=_MISCONFIGURED["name"])
    now = start
    runner = Runner(feed=LiveFeed(), threads=1, clock=lambda: now)
    stop_at = start + (end - start) / 2
    while now < end:
        now += _MINUTE
        if now >= stop_at:
            _stop_with_position(user)
        due = trading if now < end else runs
        looks = list(runner.looks(list(due.all())))  # as they are stored by now
        # In one transaction, so that no other runner finds them free.
        with transaction.atomic():
            looks_store(looks, now=now)
            _keep(user)
        follow((now - start) / (end - start))
    # As if they had been stored when they were sent.
    Order.objects.filter(bot__user=user).update(created_at=F("signed_at"))
    runs.update(leased_until=None)


def _stop_with_position(user: User) -> None:
    """Stop those that are to be stopped and have something: to sell it, or keep it."""
    held = Position.objects.filter(
        bot__user=user, bot__is_active=True, closed_at__isnull=True, reason=None
    )
    for values in (_CLOSED, _KEPT):
        for position in held.filter(bot__name=values["name"]).select_related("bot"):
            bot_stop(bot=position.bot, close=values is _CLOSED)


def _keep(user: User) -> None:
    """Keep other runners from these bots for a while."""
    until = timezone.now() + dt.timedelta(hours=1)
    BotRun.objects.filter(bot__user=user).update(leased_until=until)


def _try_out(user: User, now: dt.datetime) -> None:
    """Run backtests on a month of hours."""
    from backtests.simulation import simulate

    midnight = dt.datetime.combine(now.date(), dt.time(), dt.UTC)
    start = midnight - dt.timedelta(days=_BACKTEST_DAYS)
    before = dt.timedelta(days=20)  # of hours, before the first decision
    _make_candles(
        "futures", "BTCUSDT", Interval.H1, _BACKTEST_SEED, 60_000, start - before,
        midnight,
    )  # fmt: skip
    for parameters in _BACKTESTS:
        asked = BacktestRequest(
            data={
                "symbol": "BTCUSDT",
                "interval": "1h",
                "market_type": "futures",
                "start_date": start.date().isoformat(),
                "end_date": (midnight - dt.timedelta(days=1)).date().isoformat(),
                "seed": _BACKTEST_SEED,
                "parameters": parameters,
            }
        )
        asked.is_valid(raise_exception=True)
        # In one transaction, so that no worker finds it waiting.
        with transaction.atomic():
            run = run_create(user=user, request=asked.validated_data)
            moment = timezone.now()
            BacktestRun.objects.filter(pk=run.pk).update(
                status=RunStatus.RUNNING, worker="demo", started_at=moment,
                beat_at=moment,
            )  # fmt: skip
        run.refresh_from_db()
        run_execute(run, simulate)
