"""The admin of trades, also as CSV, and of what candles there are: to be read."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import BadRequest, PermissionDenied
from django.db import models
from django.db.models import OuterRef, Q, QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.urls import URLPattern, path
from unfold.contrib.filters.admin import AutocompleteSelectFilter

import trading.bot_admin
import trading.order_admin  # noqa: F401
from bots.admin import SymbolFilter
from bots.models import BotConfig
from tradebot.adminsite.base import NOTHING, RecordAdmin
from tradebot.adminsite.filters import AmountRangeFilter, DateRangeFilter
from tradebot.adminsite.pagination import CappedPaginator
from trading.export import trades_as_csv
from trading.models import Candle, CandleSeries, Trade
from trading.notifications import admin as _  # noqa: F401  # Django looks here


class WordFilter(admin.SimpleListFilter):
    """A filter by the usual words of a column, ``parameter_name``.

    Django's own would look for the words in the whole table, at each page of the list.
    """

    parameter_name: str
    words: tuple[str, ...]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(word, word) for word in self.words]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        word = self.value()
        return queryset.filter(**{self.parameter_name: word}) if word else queryset


class SideFilter(WordFilter):
    title = parameter_name = "side"
    words = ("BUY", "SELL")


class OrderTypeFilter(WordFilter):
    title = "order type"
    parameter_name = "order_type"
    words = ("MARKET", "LIMIT")


@admin.register(Trade)
class TradeAdmin(RecordAdmin):
    """Filled orders, the last one first.

    There may be millions: nothing here counts or sorts all of them unasked. Hence no
    date_hierarchy, which looks for the first and the last date each time.
    """

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
    list_filter = (
        ("timestamp", DateRangeFilter),
        ("user", AutocompleteSelectFilter),
        ("bot_config", AutocompleteSelectFilter),
        SymbolFilter,
        SideFilter,
        OrderTypeFilter,
        ("quote_quantity_filled", AmountRangeFilter),
        ("realized_pnl", AmountRangeFilter),
    )
    search_fields = ("=binance_order_id", "bot_config__name")  # and get_search_results
    search_help_text = "A bot, its symbol, its owner, or a whole order id"
    ordering = ("-id",)
    paginator = CappedPaginator
    show_full_result_count = False  # it would count the whole table at each search
    show_facets = admin.ShowFacets.NEVER
    # It would say how many there are, and be wrong beyond the pages.
    list_disable_select_all = True
    actions = ("export_selected",)
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

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Trade], search_term: str
    ) -> tuple[QuerySet[Trade], bool]:
        for word in search_term.split():
            bots = BotConfig.objects.filter(
                Q(name__icontains=word)
                | Q(symbol__icontains=word)
                | Q(user__email__icontains=word)
            )
            # Their keys, not a join: so it is two indexes that are asked, and not every
            # trade whether its bot has such a name.
            keys = list(bots.values_list("pk", flat=True))
            queryset = queryset.filter(
                Q(binance_order_id=word) | Q(bot_config__in=keys)
            )
        return queryset, False

    @admin.display(description="time (UTC)", ordering="timestamp")
    def filled_at(self, trade: Trade) -> str:
        # With seconds, which Django's own format leaves out.
        return f"{trade.timestamp:%Y-%m-%d %H:%M:%S}" if trade.timestamp else NOTHING

    @admin.action(description="Export selected trades as CSV", permissions=["view"])
    def export_selected(
        self, request: HttpRequest, queryset: QuerySet[Trade]
    ) -> StreamingHttpResponse:
        return _csv_response(queryset)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.export_view)
        return [path("export/", view, name="trading_trade_export"), *super().get_urls()]

    def export_view(self, request: HttpRequest) -> StreamingHttpResponse:
        """Export all that the list shows with the same filters and search."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            trades = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters as error:
            raise BadRequest("There is no such filter of trades.") from error
        return _csv_response(trades)


@admin.register(CandleSeries)
class CandleSeriesAdmin(RecordAdmin):
    """Which candles are stored. Commands bring them in and delete them, which takes
    longer than a page may.
    """

    list_display = ("symbol", "interval", "market", "source", "seed", "first", "last")
    list_filter = ("market", "interval", "source")
    search_fields = ("symbol",)
    ordering = ("symbol", "interval", "market", "seed")
    show_facets = admin.ShowFacets.NEVER
    fields = (
        "symbol",
        "interval",
        "market",
        "source",
        "seed",
        "base_price",
        "first",
        "last",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[CandleSeries]:
        # Two looks into the key, where an aggregate would read all candles.
        times = Candle.objects.filter(series=OuterRef("pk")).values("open_time")
        queryset: QuerySet[CandleSeries] = super().get_queryset(request)
        return queryset.annotate(
            first=times.order_by("open_time")[:1],
            last=times.order_by("-open_time")[:1],
        )

    def has_delete_permission(
        self, request: HttpRequest, obj: models.Model | None = None
    ) -> bool:
        return False

    @admin.display(description="first candle (UTC)")
    def first(self, series: Any) -> str:
        return f"{series.first:%Y-%m-%d %H:%M}" if series.first else NOTHING

    @admin.display(description="last candle (UTC)")
    def last(self, series: Any) -> str:
        return f"{series.last:%Y-%m-%d %H:%M}" if series.last else NOTHING


def _csv_response(trades: QuerySet[Trade]) -> StreamingHttpResponse:
    return StreamingHttpResponse(
        trades_as_csv(trades),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="trades.csv"'},
    )
