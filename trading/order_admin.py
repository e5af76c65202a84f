"""The admin of orders, from intent to fill, of positions, and of halts."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from bots.admin import SymbolFilter
from bots.models import BotConfig
from tradebot.adminsite.base import NOTHING, RecordAdmin
from tradebot.adminsite.filters import DateRangeFilter
from tradebot.adminsite.pagination import CappedPaginator
from trading.halts import halt_in_force, trading_halt, trading_lift
from trading.models import Fill, Order, Position, TradingHalt


class FillInline(TabularInline, admin.TabularInline):  # type: ignore[misc]  # untyped
    """The executions of an order."""

    model = Fill
    extra = 0
    ordering = ("filled_at", "pk")
    fields = readonly_fields = (
        "time",
        "trade_id",
        "price",
        "quantity",
        "commission",
        "commission_asset",
        "commission_quote",
    )

    @admin.display(description="time (UTC)")
    def time(self, fill: Fill) -> str:
        return _spelled(fill.filled_at)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True  # of who sees the order


@admin.register(Order)
class OrderAdmin(RecordAdmin):
    """Orders of all bots, the last one first. Nothing here counts all of them."""

    list_display = (
        "id",
        "created",
        "bot",
        "environment",
        "symbol",
        "role",
        "side",
        "kind",
        "quantity",
        "price",
        "status",
        "error",
    )
    list_select_related = ("bot",)
    list_filter = (
        ("created_at", DateRangeFilter),
        "status",
        "role",
        "environment",
        ("bot", AutocompleteSelectFilter),
        ("bot__user", AutocompleteSelectFilter),
        SymbolFilter,
    )
    search_fields = (
        "=client_id",
        "=exchange_id",
        "bot__name",
        "bot__symbol",
        "bot__user__email",
    )
    search_help_text = "A bot, its symbol, its owner, or a whole order id"
    ordering = ("-id",)
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_disable_select_all = True
    inlines = (FillInline,)
    readonly_fields = ("created", "decided", "signed", "updated")
    fieldsets = (
        (
            "What was meant",
            {
                "fields": (
                    "bot",
                    "position",
                    "role",
                    "side",
                    "kind",
                    "quantity",
                    "price",
                    "reduce_only",
                    "decided",
                )
            },
        ),
        (
            "What became of it",
            {
                "fields": (
                    "status",
                    "error",
                    "environment",
                    "market",
                    "symbol",
                    "client_id",
                    "exchange_id",
                    "created",
                    "signed",
                    "updated",
                    "trade",
                )
            },
        ),
    )

    @admin.display(description="intent (UTC)", ordering="created_at")
    def created(self, order: Order) -> str:
        return _spelled(order.created_at)

    @admin.display(description="decided on the candle of (UTC)")
    def decided(self, order: Order) -> str:
        return _spelled(order.candle_at)

    @admin.display(description="sent (UTC)")
    def signed(self, order: Order) -> str:
        return _spelled(order.signed_at)

    @admin.display(description="last change (UTC)")
    def updated(self, order: Order) -> str:
        return _spelled(order.updated_at)


class OpenFilter(admin.SimpleListFilter):
    title = "open"
    parameter_name = "open"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Yes"), ("no", "No")]

    def queryset(
        self, request: HttpRequest, queryset: models.QuerySet[Any]
    ) -> models.QuerySet[Any]:
        if self.value() not in ("yes", "no"):
            return queryset
        return queryset.filter(closed_at__isnull=self.value() == "yes")


@admin.register(Position)
class PositionAdmin(RecordAdmin):
    """What bots have, and had."""

    list_display = (
        "id",
        "opened",
        "bot",
        "environment",
        "symbol",
        "direction",
        "entry_quantity",
        "quantity",
        "price",
        "realized_pnl",
        "reason",
        "closed",
    )
    list_select_related = ("bot",)
    list_filter = (
        OpenFilter,
        ("opened_at", DateRangeFilter),
        "direction",
        "reason",
        "environment",
        ("bot", AutocompleteSelectFilter),
        ("bot__user", AutocompleteSelectFilter),
        SymbolFilter,
    )
    search_fields = ("bot__name", "bot__symbol", "bot__user__email")
    ordering = ("-id",)
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_disable_select_all = True
    fields = (
        "bot",
        "environment",
        "market",
        "symbol",
        "direction",
        "leverage",
        "quantity",
        "price",
        "entry_quantity",
        "entry_quote",
        "entry_fees",
        "exit_quantity",
        "exit_quote",
        "exit_fees",
        "realized_pnl",
        "stop_price",
        "target_price",
        "best_price",
        "opened",
        "closed",
        "reason",
    )

    @admin.display(description="still open")
    def quantity(self, position: Position) -> str:
        return f"{position.quantity.normalize():f}"

    @admin.display(description="entry price")
    def price(self, position: Position) -> str:
        return f"{position.entry_price:f}" if position.entry_quantity else NOTHING

    @admin.display(description="opened (UTC)", ordering="opened_at")
    def opened(self, position: Position) -> str:
        return _spelled(position.opened_at)

    @admin.display(description="closed (UTC)", ordering="closed_at")
    def closed(self, position: Position) -> str:
        return _spelled(position.closed_at)


@admin.register(TradingHalt)
class TradingHaltAdmin(RecordAdmin):
    """Who has stopped all bots, and when that was lifted; the page that does so.

    To halt takes the permission to add a halt, to lift one that to change it.
    """

    list_display = ("at", "halted_by", "reason", "keeps_protection", "lifted")
    ordering = ("-id",)
    show_facets = admin.ShowFacets.NEVER
    fields = ("at", "halted_by", "reason", "keeps_protection", "lifted")

    def has_delete_permission(
        self, request: HttpRequest, obj: models.Model | None = None
    ) -> bool:
        return False

    @admin.display(description="halted (UTC)", ordering="halted_at")
    def at(self, halt: TradingHalt) -> str:
        return _spelled(halt.halted_at)

    @admin.display(description="lifted (UTC)", ordering="lifted_at")
    def lifted(self, halt: TradingHalt) -> str:
        return _spelled(halt.lifted_at)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.halt_view)
        return [path("halt/", view, name="trading_halt"), *super().get_urls()]

    def halt_view(self, request: HttpRequest) -> HttpResponse:
        """Halt trading, or lift the halt."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        may_halt = request.user.has_perm("trading.add_tradinghalt")
        may_lift = request.user.has_perm("trading.change_tradinghalt")
        if request.method == "POST":
            action = request.POST.get("action")
            if not {"halt": may_halt, "lift": may_lift}.get(str(action)):
                raise PermissionDenied
            act = self._halt if action == "halt" else self._lift
            act(request)
            return HttpResponseRedirect(reverse("admin:trading_tradinghalt_changelist"))
        context = {
            **self.admin_site.each_context(request),
            "title": "Halt trading",
            "opts": self.opts,
            "halt": halt_in_force(),
            "active": BotConfig.objects.filter(is_active=True).count(),
            "positions": Position.objects.filter(closed_at__isnull=True).count(),
            "may_halt": may_halt,
            "may_lift": may_lift,
        }
        return TemplateResponse(request, "admin/trading/tradinghalt/halt.html", context)

    def _halt(self, request: HttpRequest) -> None:
        positions = request.POST.get("positions")
        sure = request.POST.get("sure") == "yes"
        if positions not in ("keep", "close", "cancel") or not sure:
            raise BadRequest("Say what becomes of positions, and that you are sure.")
        halted = trading_halt(
            by=str(request.user),
            reason=request.POST.get("reason", ""),
            close=positions == "close",
            keep_protection=positions == "keep",
        )
        self.log_addition(request, halted.halt, [{"added": {}}])
        self.message_user(
            request,
            f"Trading is halted. Bots switched off: {halted.stopped}; open positions: "
            f"{len(halted.positions)}.",
            messages.WARNING,
        )

    def _lift(self, request: HttpRequest) -> None:
        halt = halt_in_force()
        if halt is not None:
            trading_lift(by=str(request.user))
            self.log_change(request, halt, [{"changed": {"fields": ["Lifted at"]}}])
        self.message_user(
            request,
            "The halt is lifted. Bots are still switched off.",
            messages.SUCCESS,
        )


def _spelled(moment: Any) -> str:
    # With seconds, which Django's own format leaves out.
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else NOTHING
