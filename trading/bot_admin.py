"""The admin of bots with what they do: starting and stopping, positions, profit."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.contrib import admin, messages
from django.db import models
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html

from bots.admin import BotConfigAdmin
from bots.models import BotConfig, BotState
from bots.services import bot_stop
from tradebot.adminsite.actions import confirmation
from tradebot.adminsite.base import NOTHING
from tradebot.errors import ConflictError, RefusedError, TemporaryError
from tradebot.sqlite.decimals import EXACT
from trading.dashboard.line import draw_line
from trading.halts import bots_halt, concerned
from trading.models import Position

_DRAWN = 500  # closed positions
_SHOWN = 60  # characters of an error in the list

admin.site.unregister(BotConfig)


@admin.register(BotConfig)
class RunningBotAdmin(BotConfigAdmin):
    """Bots, what they have and what came of it."""

    list_display = (
        "name",
        "user",
        "symbol",
        "timeframe",
        "strategy",
        "environment",
        "active",
        "status",
        "reason",
        "position",
        "realized",
        "last_error",
        "created_at",
    )
    list_filter = (*BotConfigAdmin.list_filter, "environment")
    actions = ("start", "stop", "stop_and_close", "halt")
    readonly_fields = (
        *BotConfigAdmin.readonly_fields,
        "reason",
        "position",
        "last_error",
        "records",
        "equity",
    )
    fieldsets = (
        BotConfigAdmin.fieldsets[0],
        (
            "How it is",
            {"fields": ("reason", "position", "last_error", "records", "equity")},
        ),
        *BotConfigAdmin.fieldsets[1:],
    )

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist = super().get_changelist_instance(request)
        bots = list(changelist.result_list)
        positions = Position.objects.filter(bot__in=bots)
        held = {one.bot_id: one for one in positions.filter(closed_at__isnull=True)}
        sums = dict(
            positions.order_by().values_list("bot").annotate(Sum("realized_pnl"))
        )
        for bot in bots:
            bot.held, bot.realized_pnl = held.get(bot.pk), sums.get(bot.pk)
        changelist.result_list = bots
        return changelist

    def save_model(
        self, request: HttpRequest, obj: BotConfig, form: Any, change: bool
    ) -> None:
        if "is_active" not in form.changed_data or not obj.is_active:
            super().save_model(request, obj, form, change)
            return
        # NumPy and the engine come with it.
        from trading.running.services import bot_start, bot_update_and_start

        if change:
            edited = {name: form.cleaned_data[name] for name in form.changed_data}
            bot_update_and_start(bot=obj, values=edited)
            return
        obj.is_active = False
        super().save_model(request, obj, form, change)
        bot_start(bot=obj)

    @admin.display(description="reason", ordering="state__reason")
    def reason(self, bot: BotConfig) -> str:
        state = _state(bot)
        return (state and state.reason) or NOTHING

    @admin.display(description="position")
    def position(self, bot: BotConfig) -> str:
        held = getattr(bot, "held", ...)
        if held is ...:  # on the page of one bot
            held = Position.objects.filter(bot=bot, closed_at__isnull=True).first()
        if held is None:
            return NOTHING
        return f"{held.direction} {held.quantity:.6g} at {held.entry_price:.8g}"

    @admin.display(description="realized PnL")
    def realized(self, bot: Any) -> str:
        if bot.realized_pnl is None:
            return NOTHING
        return f"{bot.realized_pnl.quantize(Decimal('0.01')):+f}"

    @admin.display(description="last error", ordering="state__last_error_message")
    def last_error(self, bot: BotConfig) -> str:
        state = _state(bot)
        text = (state and state.last_error_message) or NOTHING
        on_list = hasattr(bot, "held")
        return f"{text[:_SHOWN]}…" if on_list and len(text) > _SHOWN else text

    @admin.display(description="records")
    def records(self, bot: BotConfig) -> str:
        if bot.pk is None:
            return NOTHING
        links = [
            (
                f"{reverse(f'admin:trading_{model}_changelist')}?{name}__id__exact="
                f"{bot.pk}",
                title,
            )
            for model, name, title in (
                ("order", "bot", "Orders"),
                ("position", "bot", "Positions"),
                ("trade", "bot_config", "Trades"),
            )
        ]
        return format_html(
            '<a href="{}">{}</a> · <a href="{}">{}</a> · <a href="{}">{}</a>',
            *(part for link in links for part in link),
        )

    @admin.display(description="what it has realized")
    def equity(self, bot: BotConfig) -> str:
        """Draw the sum of what closed positions have realized."""
        closed = Position.objects.filter(bot=bot.pk, closed_at__isnull=False)
        last = list(closed.order_by("-closed_at", "-pk")[: _DRAWN + 1])
        points: list[dict[str, Any]] = []
        total = Decimal(0)
        for one in reversed(last[:_DRAWN]):
            total = EXACT.add(total, one.realized_pnl)
            points.append(
                {
                    "closed_at": one.closed_at,
                    "reason": one.reason,
                    "realized": f"{one.realized_pnl:+f}",
                    "sum": f"{total:+f}",
                    "amount": total,
                }
            )
        return render_to_string(
            "admin/bots/equity.html",
            {
                "points": points,
                "total": f"{total:+f}",
                "cut": len(last) > _DRAWN,
                "picture": draw_line(
                    [(point["closed_at"], point["amount"]) for point in points]
                ),
            },
        )

    @admin.action(description="Start selected bots", permissions=["change"])
    def start(
        self, request: HttpRequest, queryset: models.QuerySet[BotConfig]
    ) -> HttpResponse | None:
        # NumPy and the engine come with it.
        from trading.running.services import bot_start

        stopped = queryset.exclude(is_active=True).order_by("pk")
        question = "Start these bots? They trade as their settings say."
        if page := confirmation(self, request, stopped, question):
            return page
        started = 0
        for bot in list(stopped):
            try:
                bot_start(bot=bot)
            except (ConflictError, RefusedError, TemporaryError) as error:
                self.message_user(request, f"{bot}: {error}", messages.ERROR)
                continue
            self.log_change(request, bot, [{"changed": {"fields": ["Active"]}}])
            started += 1
        self.message_user(request, f"Started: {started}.", messages.SUCCESS)
        return None

    @admin.action(
        description="Stop selected bots and close positions", permissions=["change"]
    )
    def stop_and_close(
        self, request: HttpRequest, queryset: models.QuerySet[BotConfig]
    ) -> HttpResponse | None:
        open_ = Position.objects.filter(closed_at__isnull=True).values("bot")
        concerned = queryset.filter(
            models.Q(is_active=True) | models.Q(pk__in=open_)
        ).order_by("pk")
        question = (
            "Stop these bots, cancel their orders and sell at the market what they "
            "have? A runner does so as soon as it looks at them."
        )
        if page := confirmation(self, request, concerned, question):
            return page
        bots = list(concerned)
        for bot in bots:
            bot_stop(bot=bot, close=True)
            self.log_change(request, bot, [{"changed": {"fields": ["Active"]}}])
        self.message_user(
            request, f"Stopped, and closing: {len(bots)}.", messages.SUCCESS
        )
        return None

    def has_halt_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("trading.add_tradinghalt")

    @admin.action(description="Halt selected bots (kill switch)", permissions=["halt"])
    def halt(
        self, request: HttpRequest, queryset: models.QuerySet[BotConfig]
    ) -> HttpResponse | None:
        halted = concerned(queryset).order_by("pk")
        question = (
            "Halt these bots? They are switched off at once, all together, and open "
            "nothing any more. What becomes of their positions?"
        )
        choices = {
            "keep": "They are kept, with the stops and targets behind them.",
            "close": "Their orders are canceled, and they are closed at the market.",
        }
        if page := confirmation(self, request, halted, question, choices):
            return page
        bots = list(halted)
        close = request.POST["choice"] == "close"
        stopped = bots_halt(bots=queryset, by=str(request.user), close=close)
        for bot in bots:
            self.log_change(request, bot, [{"changed": {"fields": ["Active"]}}])
        self.message_user(
            request,
            f"Bots switched off: {stopped}. Runners see to what they have as they "
            "look at them.",
            messages.WARNING,
        )
        return None


def _state(bot: BotConfig) -> BotState | None:
    # There is no state before the first start.
    return getattr(bot, "state", None)
