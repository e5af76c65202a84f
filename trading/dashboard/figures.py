"""The figures of the dashboard, by few queries, however many rows there are.

There may be millions of trades, and no index on their time alone. The key grows with
time: what is asked about trades is about the last ones by key, and so takes the same
time at any number of them.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Count, F, Q, QuerySet, Sum
from django.db.models.functions import TruncDate

from accounts.models import User
from apikeys.models import APIKey
from bots.models import BotConfig, BotState
from tradebot.sqlite.decimals import EXACT
from trading.models import Trade
from trading.quotes import quote_of

DAYS = 30
TRADES_AT_MOST = 100_000
_RECENT = 8  # rows of a list


@dataclass(frozen=True, slots=True, kw_only=True)
class BotsInState:
    """How many bots have a status, as the bots themselves wrote it."""

    status: str
    active: int
    inactive: int

    @property
    def total(self) -> int:
        return self.active + self.inactive


def bots_by_state() -> list[BotsInState]:
    """Count the bots by status, the most frequent first."""
    rows = (
        BotConfig.objects.order_by()
        .values("state__status")
        .annotate(total=Count("pk"), active=Count("pk", filter=Q(is_active=True)))
    )
    states = [
        BotsInState(
            status=row["state__status"] or "no state yet",
            active=row["active"],
            inactive=row["total"] - row["active"],
        )
        for row in rows
    ]
    return sorted(states, key=lambda state: (-state.total, state.status))


@dataclass(frozen=True, slots=True, kw_only=True)
class Profit:
    """What trades have realized, day by day, in the asset that their prices are in."""

    days: Sequence[dt.date]
    by_quote: Mapping[str, Mapping[dt.date, Decimal]]
    """Sums of ``realized_pnl``; days without any are missing."""
    trades: int
    is_cut: bool
    """There are more trades in these days than were looked at."""

    def series(self, quote: str) -> list[tuple[dt.date, Decimal]]:
        """Return the sum of every day, 0 where nothing was realized."""
        sums = self.by_quote[quote]
        return [(day, sums.get(day, Decimal(0))) for day in self.days]


def profit(today: dt.date) -> Profit:
    """Sum what was realized in the last 30 days, in UTC, up to today."""
    days = [today - dt.timedelta(days=ago) for ago in reversed(range(DAYS))]
    since = dt.datetime.combine(days[0], dt.time(), dt.UTC)
    until = dt.datetime.combine(today + dt.timedelta(days=1), dt.time(), dt.UTC)
    newest = Trade.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    oldest = newest - TRADES_AT_MOST
    rows = (
        Trade.objects.filter(pk__gt=oldest, timestamp__gte=since, timestamp__lt=until)
        .order_by()
        .values("symbol", day=TruncDate("timestamp"))
        .annotate(total=Sum("realized_pnl"), trades=Count("pk"))
    )
    by_quote: dict[str, dict[dt.date, Decimal]] = defaultdict(dict)
    trades = 0
    for row in rows:
        trades += row["trades"]
        if row["total"] is not None:
            sums = by_quote[quote_of(row["symbol"])]
            before = sums.get(row["day"], Decimal(0))
            sums[row["day"]] = EXACT.add(before, row["total"])
    older = Trade.objects.filter(pk__lte=oldest).order_by("-pk")
    last_older = older.values_list("timestamp", flat=True).first()
    return Profit(
        days=days,
        by_quote=dict(sorted(by_quote.items())),
        trades=trades,
        is_cut=last_older is not None and last_older >= since,
    )


def recent_trades() -> QuerySet[Trade]:
    return Trade.objects.select_related("bot_config").order_by("-pk")[:_RECENT]


def recent_errors() -> QuerySet[BotState]:
    """Return the bots that ran last among those that tell of an error."""
    return (
        BotState.objects.exclude(last_error_message=None)
        .exclude(last_error_message="")
        .select_related("bot_config")
        .order_by(F("last_run_at").desc(nulls_last=True), "-pk")[:_RECENT]
    )


def count_users() -> dict[str, int]:
    return User.objects.aggregate(
        total=Count("pk"), active=Count("pk", filter=Q(is_active=True))
    )


def count_keys() -> dict[str, int]:
    return APIKey.objects.aggregate(
        total=Count("pk"), valid=Count("pk", filter=Q(is_valid=True))
    )
