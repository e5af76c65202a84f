"""The first page of the admin: what its reader may see of how things stand."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

from django.db import connections, router
from django.http import HttpRequest
from django.utils import timezone

from tradebot.adminsite.navigation import may_view
from tradebot.models import SchemaEvent
from tradebot.schema.faults import PreflightError
from tradebot.schema.history import History, format_seconds
from tradebot.schema.version import read_version
from tradebot.sqlite.decimals import EXACT
from trading.dashboard import figures
from trading.dashboard.chart import draw_bars


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add the panels to the context of the page.

    Those of a model that its reader may not see are not even asked for.
    """
    panels: tuple[tuple[str, str, Callable[[], Any]], ...] = (
        ("bots", "bots.BotConfig", _bots),
        ("errors", "bots.BotState", figures.recent_errors),
        ("profit", "trading.Trade", _profit),
        ("trades", "trading.Trade", figures.recent_trades),
        ("users", "accounts.User", figures.count_users),
        ("keys", "apikeys.APIKey", figures.count_keys),
        ("schema", "tradebot.SchemaEvent", _schema),
    )
    return {
        **context,
        "panels": {
            name: figure() for name, model, figure in panels if may_view(request, model)
        },
    }


def _bots() -> dict[str, Any]:
    states = figures.bots_by_state()
    return {
        "states": states,
        "total": sum(state.total for state in states),
        "active": sum(state.active for state in states),
    }


def _profit() -> dict[str, Any]:
    profit = figures.profit(timezone.now().date())
    charts = []
    for quote in profit.by_quote:
        series = profit.series(quote)
        total = reduce(EXACT.add, (amount for _, amount in series))
        charts.append(
            {
                "quote": quote,
                "total": format(total, "+f"),
                "picture": draw_bars(series),
            }
        )
    return {
        "charts": charts,
        "days": figures.DAYS,
        "trades": profit.trades,
        "is_cut": profit.is_cut,
        "at_most": figures.TRADES_AT_MOST,
    }


def _schema() -> dict[str, Any]:
    connection = connections[router.db_for_read(SchemaEvent)]
    try:
        version = read_version(connection)
    except PreflightError as fault:
        state, text = "branches", str(fault)
    else:
        state = {0: "up to date", 1: "behind", 3: "ahead"}.get(
            version.exit_code, "of another version"
        )
        text = str(version)
    last = next(iter(History(connection).entries(limit=1)), None)
    took = last and last.seconds is not None and format_seconds(last.seconds)
    return {"state": state, "text": text, "last": last, "took": took}
