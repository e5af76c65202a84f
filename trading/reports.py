"""What came of bots: figures that the database makes of their trades.

Money is in the quote asset of a bot's symbol.
"""

from __future__ import annotations

import decimal
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.db.models import (
    Case,
    Count,
    F,
    Max,
    Min,
    Q,
    QuerySet,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Length, NullIf, Replace, Substr, Upper
from django.db.models.lookups import EndsWith, In, IsNull, StartsWith

from bots.models import BotConfig
from tradebot.fields import ExactDecimalField
from tradebot.sqlite.decimals import EXACT
from trading.quotes import QUOTES

_ASSET = NullIf(Upper("trades__commission_asset"), Value(""))
_SYMBOL = Replace(Upper("trades__symbol"), Value("/"), Value(""))
_IN_QUOTE = Q(In(_ASSET, QUOTES), EndsWith(_SYMBOL, _ASSET))
_IN_BASE = Q(
    StartsWith(_SYMBOL, _ASSET), In(Substr(_SYMBOL, Length(_ASSET) + 1), QUOTES)
)
# What was paid in coins is worth what they were traded for. In a third asset, as BNB,
# it cannot be told from the trade: it is counted instead.
_FEE = Case(
    When(_IN_QUOTE, then=F("trades__commission_amount")),
    When(_IN_BASE, then=F("trades__commission_amount") * F("trades__price")),
    default=Value(None),
    output_field=ExactDecimalField(),
)
_ANY = Q()
# Numbers have 30 digits on either side of the point: a ratio of sums of them can have
# more than twice as many before it.
_WIDE = decimal.Context(prec=200)


def reports(bots: QuerySet[BotConfig], *, trades: Q = _ANY) -> list[dict[str, Any]]:
    """Return the figures of each bot, by its id, with one query.

    ``trades`` chooses trades, by look-ups that begin with ``trades__``.
    """
    buys, sells = Q(trades__side="BUY"), Q(trades__side="SELL")
    realized = F("trades__realized_pnl")
    wins, losses = Q(trades__realized_pnl__gt=0), Q(trades__realized_pnl__lt=0)

    def count(condition: Q = _ANY) -> Count:
        return Count("trades", filter=trades & condition)

    def total(expression: Any, condition: Q = _ANY) -> Sum:
        return Sum(expression, filter=trades & condition, default=Decimal(0))

    rows = (
        bots.order_by("id")
        .values("name", "symbol", "strategy", bot_config_id=F("id"))
        .annotate(
            total_trades=count(),
            total_buy=count(buys),
            total_sell=count(sells),
            sold=total("trades__quote_quantity_filled", sells),
            bought=total("trades__quote_quantity_filled", buys),
            total_realized_pnl=total(realized),
            total_fees=total(_FEE),
            trades_with_other_fees=count(
                Q(IsNull(_FEE, True), trades__commission_amount__gt=0)
            ),
            winning_trades=count(wins),
            losing_trades=count(losses),
            profit=total(realized, wins),
            loss=total(realized, losses),
            best_trade=Max(realized, filter=trades),
            worst_trade=Min(realized, filter=trades),
            first_trade=Min("trades__timestamp", filter=trades),
            last_trade=Max("trades__timestamp", filter=trades),
        )
    )
    return [{**row, **_derived(row)} for row in rows]


def _derived(row: Mapping[str, Any]) -> dict[str, Decimal | None]:
    """Return the figures that follow from others: None where there is no such figure.

    A NaN that the old program stored makes the sums None.
    """
    pnl = win_rate = profit_factor = None
    if None not in (row["sold"], row["bought"], row["total_fees"]):
        spent = EXACT.add(row["bought"], row["total_fees"])
        pnl = EXACT.subtract(row["sold"], spent)
    if closed := row["winning_trades"] + row["losing_trades"]:
        win_rate = _ratio(100 * Decimal(row["winning_trades"]), Decimal(closed))
    if row["loss"] and row["profit"] is not None:
        profit_factor = _ratio(row["profit"], row["loss"].copy_negate())
    return {"total_pnl": pnl, "win_rate": win_rate, "profit_factor": profit_factor}


def _ratio(number: Decimal, by: Decimal) -> Decimal:
    return _WIDE.quantize(_WIDE.divide(number, by), Decimal("0.01"))
