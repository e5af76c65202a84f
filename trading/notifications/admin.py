"""The admin of notifications: what was told, to whom, and what was not delivered."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from tradebot.adminsite.base import RecordAdmin
from tradebot.adminsite.filters import DateRangeFilter
from tradebot.adminsite.pagination import CappedPaginator
from trading.notifications.models import Notification, Webhook
from trading.notifications.outbox import notifications_retry


class StateFilter(admin.SimpleListFilter):
    title = parameter_name = "state"
    states = {
        "waiting": Q(next_try_at__isnull=False),
        "sent": Q(sent_at__isnull=False),
        "given up": Q(given_up_at__isnull=False),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state, state.capitalize()) for state in self.states]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        state = self.states.get(self.value() or "")
        return queryset if state is None else queryset.filter(state)


@admin.register(Notification)
class NotificationAdmin(RecordAdmin):
    """The outbox, the last one first."""

    list_display = (
        "id",
        "created_at",
        "user",
        "kind",
        "channel",
        "bot_config_id",
        "attempts",
        "sent_at",
        "next_try_at",
        "given_up_at",
        "last_error",
    )
    list_select_related = ("user",)
    list_filter = (
        StateFilter,
        "kind",
        "channel",
        ("user", AutocompleteSelectFilter),
        ("created_at", DateRangeFilter),
    )
    search_fields = ("user__email",)
    ordering = ("-id",)
    paginator = CappedPaginator
    show_full_result_count = False
    actions = ("retry",)
    fields = (
        "user",
        "kind",
        "channel",
        "bot_config_id",
        "payload",
        "created_at",
        "attempts",
        "next_try_at",
        "sent_at",
        "given_up_at",
        "last_error",
    )

    def has_retry_permission(self, request: HttpRequest) -> bool:
        # has_change_permission() says no to everybody: nobody edits what was told.
        return request.user.has_perm("trading.change_notification")

    @admin.action(
        description="Try selected ones that were given up again", permissions=["retry"]
    )
    def retry(self, request: HttpRequest, queryset: QuerySet[Notification]) -> None:
        count = notifications_retry(notifications=queryset, now=timezone.now())
        self.message_user(request, f"To be tried again: {count}.", messages.SUCCESS)


@admin.register(Webhook)
class WebhookAdmin(RecordAdmin):
    """Where users want to be told. A URL may hold a secret: its host is shown alone."""

    list_display = (
        "user",
        "host",
        "is_active",
        "created_at",
        "failed_at",
        "last_error",
    )
    list_select_related = ("user",)
    list_filter = ("is_active", ("user", AutocompleteSelectFilter))
    search_fields = ("user__email",)
    ordering = ("-user",)
    fields = ("user", "host", "is_active", "created_at", "failed_at", "last_error")

    @admin.display(description="host")
    def host(self, webhook: Webhook) -> str:
        return urlsplit(webhook.url).netloc

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        # ?url__startswith=… would tell it letter by letter.
        hidden = lookup.startswith(("encrypted_", "url"))
        return not hidden and super().lookup_allowed(lookup, value, request)
