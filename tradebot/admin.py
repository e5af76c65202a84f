"""The admin of the schema's history, and the page that draws the schema."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import connections, models, router
from django.db.migrations.loader import MigrationLoader
from django.db.models.functions import Concat
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from tradebot.adminsite.base import NOTHING, RecordAdmin
from tradebot.models import SchemaEvent
from tradebot.schema.branches import branches_fault
from tradebot.schema.drawing import draw_graph
from tradebot.schema.graph import Graph, build_graph
from tradebot.schema.history import OUTCOMES, History, format_seconds

admin.site.index_title = "Administration"

_BAR_PX = 120
# Status, whether archived, and what it means.
_LEGEND = (
    ("applied", False, "applied"),
    ("adopted", False, "adopted: the old program had done it"),
    ("faked", False, "faked: recorded because the operator said so"),
    ("pending", False, "pending"),
    ("pending", True, "archived: its data is kept until it is applied again"),
)


class OutcomeFilter(admin.SimpleListFilter):
    title = "outcome"
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(outcome, outcome) for outcome in OUTCOMES]

    def queryset(
        self, request: HttpRequest, queryset: models.QuerySet[Any]
    ) -> models.QuerySet[Any]:
        return queryset.filter(outcome=self.value()) if self.value() else queryset


@admin.register(SchemaEvent)
class SchemaEventAdmin(RecordAdmin):
    """What was done to the schema, the last action first; nobody can change it.

    An action is one line, whose start and end are two rows.
    """

    list_display = (
        "time",
        "action",
        "migration",
        "outcome",
        "duration_bar",
        "who",
        "version",
    )
    list_filter = (OutcomeFilter, "action", "app")
    search_fields = ("app", "name", "os_user", "host", "version", "error", "end__error")
    ordering = ("-id",)
    date_hierarchy = "at"
    actions = None
    fields = (
        "time",
        "action",
        "migration",
        "outcome",
        "duration",
        "error_message",
        "details_of_end",
        "os_user",
        "host",
        "pid",
        "db_user",
        "session",
        "version",
        "run",
        "checksum",
    )

    def has_delete_permission(
        self, request: HttpRequest, obj: models.Model | None = None
    ) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[SchemaEvent]:
        return _history().queryset()

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not _history().has_table():
            self.message_user(
                request,
                "This database has no history yet: migrate begins it with the next "
                "migration.",
            )
        return super().changelist_view(request, extra_context)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist = super().get_changelist_instance(request)
        longest = max((row.duration or 0 for row in changelist.result_list), default=0)
        for row in changelist.result_list:
            row.share = (row.duration or 0) / longest if longest else 0
        return changelist

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.schema_view)
        return [path("schema/", view, name="tradebot_schema"), *super().get_urls()]

    def schema_view(self, request: HttpRequest) -> HttpResponse:
        """Draw all migrations, what they depend on and how they stand."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        loader = MigrationLoader(connections[router.db_for_read(SchemaEvent)])
        if fault := branches_fault(loader.disk_migrations):
            self.message_user(request, str(fault), messages.WARNING)
        graph = build_graph(loader)
        context = {
            **self.admin_site.each_context(request),
            "title": "Schema",
            "opts": self.opts,
            "history_url": reverse("admin:tradebot_schemaevent_changelist"),
            "legend": _LEGEND,
            "picture": draw_graph(graph),
            "rows": _rows(graph),
            "nothing": NOTHING,
        }
        return TemplateResponse(
            request, "admin/tradebot/schemaevent/schema.html", context
        )

    @admin.display(description="time (UTC)", ordering="at")
    def time(self, row: Any) -> str:
        return f"{row.at:%Y-%m-%d %H:%M:%S}"

    @admin.display(ordering=Concat("app", "name"))
    def migration(self, row: Any) -> str:
        return f"{row.app}.{row.name}".strip(".") or NOTHING

    @admin.display(ordering="outcome")
    def outcome(self, row: Any) -> str:
        return str(row.outcome)

    @admin.display(description="duration")
    def duration(self, row: Any) -> str:
        return NOTHING if row.duration is None else format_seconds(row.duration)

    @admin.display(description="duration", ordering="duration")
    def duration_bar(self, row: Any) -> str:
        """Draw the duration beside the longest one of the page."""
        if row.duration is None:
            return NOTHING
        # Attributes, not style=, which a content security policy may forbid.
        return format_html(
            '<svg width="{}" height="10" aria-hidden="true">'
            '<rect width="{}" height="10" fill="{}"/></svg> {}',
            _BAR_PX,
            f"{max(1.0, row.share * _BAR_PX):.1f}",
            "currentColor" if row.outcome == "ok" else "#dc2626",
            format_seconds(row.duration),
        )

    @admin.display(ordering="host")
    def who(self, row: Any) -> str:
        return f"{row.os_user}@{row.host}"

    @admin.display(description="error")
    def error_message(self, row: Any) -> str:
        return row.message or NOTHING

    @admin.display(description="details")
    def details_of_end(self, row: Any) -> str:
        details = row.end.details if hasattr(row, "end") else row.details
        return NOTHING if details is None else str(details)


def _history() -> History:
    return History(connections[router.db_for_read(SchemaEvent)])


def _rows(graph: Graph) -> list[dict[str, Any]]:
    """Return the rows of the table that says in words what the graph shows."""
    return [
        {
            "migration": ".".join(state.key),
            "revisions": state.revisions,
            "status": [state.status, *(["archived"] if state.archived else [])],
            "when": f"{state.at:%Y-%m-%d %H:%M:%S}" if state.at else "",
            "how_long": "" if state.seconds is None else format_seconds(state.seconds),
            "depends_on": [
                ".".join(edge.parent) for edge in graph.edges if edge.child == state.key
            ],
        }
        for state in graph.states
    ]
