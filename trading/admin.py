"""The admin of trades: to be read."""

from __future__ import annotations

from django.contrib import admin

from tradebot.admin import NOTHING, RecordAdmin
from trading.models import Trade


@admin.register(Trade)
class TradeAdmin(RecordAdmin):
    """Filled orders, the last one first."""

    list_display = (
        "id",
        "filled_at",
        "user",
        "bot_config",
        "symbol",
        "side",
        "order_type",
        "price",
        "quantity_filled",
        "quote_quantity_filled",
        "commission_amount",
        "commission_asset",
        "realized_pnl",
    )
    list_select_related = ("user", "bot_config")
    list_filter = ("side", "order_type", "symbol")
    search_fields = ("symbol", "=binance_order_id", "bot_config__name", "user__email")
    ordering = ("-id",)
    date_hierarchy = "timestamp"
    show_full_result_count = False  # it would count the whole table at each search
    fields = (
        "filled_at",
        "user",
        "bot_config",
        "binance_order_id",
        "symbol",
        "side",
        "order_type",
        "price",
        "quantity_filled",
        "quote_quantity_filled",
        "commission_amount",
        "commission_asset",
        "pnl",
        "realized_pnl",
    )

    @admin.display(description="time (UTC)", ordering="timestamp")
    def filled_at(self, trade: Trade) -> str:
        # With seconds, which Django's own format leaves out.
        return f"{trade.timestamp:%Y-%m-%d %H:%M:%S}" if trade.timestamp else NOTHING
