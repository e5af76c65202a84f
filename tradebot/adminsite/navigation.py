"""The sidebar: what the one who asks may see, by what it is about."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse

# Titles, with the models under them and their icons, which are in unfold's font.
_GROUPS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "Trading",
        (
            ("bots.BotConfig", "smart_toy"),
            ("bots.BotState", "monitor_heart"),
            ("trading.Position", "account_balance_wallet"),
            ("trading.Order", "list_alt"),
            ("trading.Trade", "receipt_long"),
            ("trading.TradingHalt", "front_hand"),
            ("backtests.Backtest", "science"),
            ("backtests.BacktestRun", "pending_actions"),
            ("backtests.Sweep", "grid_on"),
            ("trading.CandleSeries", "candlestick_chart"),
        ),
    ),
    (
        "Notifications",
        (
            ("trading.Notification", "outbox"),
            ("trading.Webhook", "webhook"),
        ),
    ),
    (
        "Access",
        (
            ("accounts.User", "person"),
            ("auth.Group", "group"),
            ("apikeys.APIKey", "key"),
        ),
    ),
    ("Database", (("tradebot.SchemaEvent", "history"),)),
)


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the groups of the sidebar as unfold reads them."""
    home = {"title": "Dashboard", "icon": "dashboard", "link": reverse("admin:index")}
    groups: list[dict[str, Any]] = [{"items": [home]}]
    for title, models in _GROUPS:
        items = [
            _item(label, icon) for label, icon in models if may_view(request, label)
        ]
        if items:
            groups.append({"title": title, "items": items, "separator": True})
    if may_view(request, "tradebot.SchemaEvent"):
        history = groups[-1]["items"][-1]
        schema = {
            "title": "Schema",
            "icon": "account_tree",
            "link": reverse("admin:tradebot_schema"),
        }
        # Its address begins as that of the history: both would be marked.
        if request.path == schema["link"]:
            history["active"] = False
        groups[-1]["items"].append(schema)
    return groups


def may_view(request: HttpRequest, label: str) -> bool:
    """Say whether the one who asks sees rows of the model ``app.Model``."""
    model_admin = admin.site.get_model_admin(apps.get_model(label))
    return model_admin.has_view_or_change_permission(request)


def _item(label: str, icon: str) -> dict[str, Any]:
    options = apps.get_model(label)._meta
    title = str(options.verbose_name_plural)
    return {
        "title": title[0].upper() + title[1:],
        "icon": icon,
        "link": reverse(f"admin:{options.app_label}_{options.model_name}_changelist"),
    }
