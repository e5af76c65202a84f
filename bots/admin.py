"""The admin of bots: their settings can be edited, their state can be read."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db import models
from django.http import HttpRequest, HttpResponse
from unfold.contrib.filters.admin import AutocompleteSelectFilter, DropdownFilter
from unfold.widgets import UnfoldBooleanSwitchWidget

from accounts.models import User
from bots.bounds import BOUNDS, MIN_NAME_LENGTH, TIMEFRAMES
from bots.models import BotConfig, BotState
from bots.services import (
    bot_config_delete,
    bot_config_update,
    bot_state_delete,
    bot_stop,
)
from tradebot.adminsite.actions import confirmation
from tradebot.adminsite.base import NOTHING, ModelAdmin, RecordAdmin
from tradebot.adminsite.filters import ActiveFilter, NullIsNoFilter


class SymbolFilter(DropdownFilter):  # type: ignore[misc]  # untyped
    """A filter by the symbols of the bots, which one can search in."""

    title = parameter_name = "symbol"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        symbols = BotConfig.objects.order_by("symbol").values_list("symbol", flat=True)
        return [(symbol, symbol) for symbol in symbols.distinct()]

    def queryset(
        self, request: HttpRequest, queryset: models.QuerySet[Any]
    ) -> models.QuerySet[Any]:
        return queryset.filter(symbol=self.value()) if self.value() else queryset


class BotConfigForm(forms.ModelForm):
    # A checkbox, where a nullable field would offer "Unknown": null means inactive.
    is_active = forms.BooleanField(
        label="Active", required=False, widget=UnfoldBooleanSwitchWidget
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Words of the old program that are none of the choices may stay as they are.
        for name in ("strategy", "position_type"):
            stored = getattr(self.instance, name)
            field: Any = self.fields.get(name)
            # None where the form is only for reading.
            if stored and field and stored not in dict(field.choices):
                field.choices = [*field.choices, (stored, stored)]

    def _get_validation_exclusions(self) -> set[str]:
        exclusions: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]  # Django has it
        if self.instance.pk is not None:
            exclusions |= self.fields.keys() - set(self.changed_data)
        return exclusions

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or self.cleaned_data
        owner, api_key = cleaned.get("user"), cleaned.get("api_key")
        owner_id = owner.pk if owner else self.instance.user_id
        # With the key of someone else it would trade with their money.
        if api_key and owner_id and api_key.user_id != owner_id:
            self.add_error("api_key", "This API key belongs to another user.")
        self._check_words(cleaned)
        for name in set(self.changed_data) & BOUNDS.keys():
            value = cleaned.get(name)
            if value is not None and not BOUNDS[name].holds(value):
                self.add_error(name, f"This must be {BOUNDS[name]}.")
        return cleaned

    def _check_words(self, cleaned: dict[str, Any]) -> None:
        name = cleaned.get("name")
        if "name" in self.changed_data and name and len(name) < MIN_NAME_LENGTH:
            self.add_error("name", f"Use at least {MIN_NAME_LENGTH} characters.")
        timeframe = cleaned.get("timeframe")
        if "timeframe" in self.changed_data and timeframe not in TIMEFRAMES:
            self.add_error("timeframe", f"Choose one of: {', '.join(TIMEFRAMES)}.")


@admin.register(BotConfig)
class BotConfigAdmin(ModelAdmin):
    """The settings of bots."""

    form = BotConfigForm
    list_display: tuple[str, ...] = (
        "name",
        "user",
        "symbol",
        "timeframe",
        "strategy",
        "position_type",
        "leverage",
        "active",
        "status",
        "created_at",
    )
    list_select_related = ("user", "state")
    list_filter: ClassVar[tuple[Any, ...]] = (
        ActiveFilter,
        ("user", AutocompleteSelectFilter),
        SymbolFilter,
        "strategy",
        "position_type",
        "timeframe",
    )
    actions: tuple[str, ...] = ("stop",)
    search_fields = ("name", "symbol", "user__email")
    ordering = ("-id",)
    date_hierarchy = "created_at"
    autocomplete_fields = ("user",)
    raw_id_fields = ("api_key",)  # its list says whose each key is
    readonly_fields: ClassVar[tuple[str, ...]] = (
        "status",
        "live_confirmed_at",
        "candle_seed",
        "created_at",
        "updated_at",
    )
    fieldsets: ClassVar[tuple[Any, ...]] = (
        (
            None,
            {
                "fields": (
                    "user",
                    "name",
                    "api_key",
                    "symbol",
                    "timeframe",
                    "strategy",
                    "is_active",
                    "status",
                )
            },
        ),
        (
            "Position",
            {
                "fields": (
                    "environment",
                    "live_confirmed_at",
                    "candle_seed",
                    "position_type",
                    "allow_short",
                    "leverage",
                    "initial_capital",
                    "position_size_perc",
                    "position_size_fixed",
                    "auto_transfer_funds",
                    "transfer_amount",
                )
            },
        ),
        (
            "Exits and limits",
            {
                "fields": (
                    "stop_loss_perc",
                    "take_profit_perc",
                    "trailing_stop_perc",
                    "trailing_stop_active",
                    "daily_target_perc",
                    "max_daily_loss_perc",
                    "max_daily_trades",
                    "check_interval_seconds",
                )
            },
        ),
        (
            "Indicators",
            {
                "fields": (
                    "ema_fast",
                    "ema_slow",
                    "rsi_period",
                    "rsi_oversold",
                    "rsi_overbought",
                    "ema_period",
                )
            },
        ),
        (
            "Custom values",
            {
                "description": "Where set, these win over the fields above.",
                "fields": (
                    "custom_ema_fast",
                    "custom_ema_slow",
                    "custom_rsi_period",
                    "custom_rsi_oversold",
                    "custom_rsi_overbought",
                    "custom_stop_loss",
                    "custom_take_profit",
                    "custom_trailing_stop",
                ),
            },
        ),
        ("Dates", {"fields": ("created_at", "updated_at")}),
    )

    @admin.display(description="active", boolean=True, ordering="is_active")
    def active(self, bot: BotConfig) -> bool:
        return bool(bot.is_active)

    @admin.display(description="status", ordering="state__status")
    def status(self, bot: BotConfig) -> str:
        # There is no state before the first start.
        state: BotState | None = getattr(bot, "state", None)
        return (state and state.status) or NOTHING

    def get_readonly_fields(
        self, request: HttpRequest, obj: models.Model | None = None
    ) -> list[str] | tuple[str, ...]:
        fields = super().get_readonly_fields(request, obj)
        # The trades of a bot name its user as well.
        return fields if obj is None else (*fields, "user")

    def save_model(
        self, request: HttpRequest, obj: BotConfig, form: Any, change: bool
    ) -> None:
        if not change:
            super().save_model(request, obj, form, change)
            return
        edited = {name: form.cleaned_data[name] for name in form.changed_data}
        bot_config_update(bot=obj, values=edited)

    def delete_model(self, request: HttpRequest, obj: BotConfig) -> None:
        bot_config_delete(bot=obj)

    @admin.action(description="Stop selected bots", permissions=["change"])
    def stop(
        self, request: HttpRequest, queryset: models.QuerySet[BotConfig]
    ) -> HttpResponse | None:
        running = queryset.filter(is_active=True).order_by("pk")
        question = (
            "Stop these bots? They open nothing any more. What they have stays, with "
            "the stop behind it."
        )
        if page := confirmation(self, request, running, question):
            return page
        bots = list(running)
        for bot in bots:
            bot_stop(bot=bot)
            self.log_change(request, bot, [{"changed": {"fields": ["Active"]}}])
        self.message_user(request, f"Stopped: {len(bots)}.", messages.SUCCESS)
        return None


class InPositionFilter(NullIsNoFilter):
    title = "in position"
    parameter_name = "in_position"


@admin.register(BotState)
class BotStateAdmin(RecordAdmin):
    """Where the bots stand."""

    list_display = (
        "bot_config",
        "owner",
        "status",
        "reason",
        "holds",
        "entry_price",
        "current_position_size_coins",
        "daily_pnl",
        "daily_trades_count",
        "last_run_at",
        "last_error_message",
    )
    list_select_related = ("bot_config__user",)
    list_filter = (
        InPositionFilter,
        "status",
        ("bot_config__user", AutocompleteSelectFilter),
    )
    search_fields = (
        "bot_config__name",
        "bot_config__symbol",
        "bot_config__user__email",
    )
    ordering = ("-bot_config",)
    date_hierarchy = "last_run_at"
    fields = (
        "bot_config",
        "owner",
        "status",
        "reason",
        "paused_until",
        "holds",
        "entry_price",
        "current_position_size_coins",
        "take_profit_price",
        "stop_loss_price",
        "trailing_stop_price",
        "max_price_since_entry",
        "daily_pnl",
        "daily_trades_count",
        "last_run_at",
        "last_error_message",
        "last_updated_at",
    )

    @admin.display(description="user", ordering="bot_config__user__email")
    def owner(self, state: BotState) -> User:
        return state.bot_config.user

    @admin.display(description="in position", boolean=True, ordering="in_position")
    def holds(self, state: BotState) -> bool:
        return bool(state.in_position)

    def delete_model(self, request: HttpRequest, obj: BotState) -> None:
        bot_state_delete(state=obj)
