"""What the admin pages of all apps share, and the page of the schema's history.

Each app registers its own models.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.db import DataError, connections, models, router, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.models.functions import Concat
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from tradebot.api.fields import MAX_DIGITS, MAX_LENGTH
from tradebot.errors import ConflictError
from tradebot.fields import ExactDecimalField
from tradebot.models import SchemaEvent
from tradebot.schema.branches import branches_fault
from tradebot.schema.drawing import draw_graph
from tradebot.schema.graph import Graph, build_graph
from tradebot.schema.history import OUTCOMES, History, format_seconds

admin.site.site_header = admin.site.site_title = "TradeBot"
admin.site.index_title = "Administration"
admin.site.site_url = None  # there are no pages for browsers to go back to

# Shown for null. Pages of one row ignore empty_value_display for computed fields.
NOTHING = "-"


class UnreadableInputMiddleware:
    """Answer 400 where an admin page was sent what it never offers.

    Django's admin does not expect an id that is no number or has twenty digits, or a
    NUL in a filter: it fails while it asks the database or while it writes the page. A
    view sees the former only, a middleware both.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        unreadable = isinstance(exception, ValueError | OverflowError | DataError)
        if unreadable and request.path.startswith(reverse("admin:index")):
            # Django logs it with its cause: it may be a fault of ours all the same.
            raise BadRequest("The admin cannot read this input.") from exception


class ExactDecimalInput(forms.TextInput):
    """A text input with all digits of a number, never an exponent.

    Not Django's number input: it is filled with ``1E-8``, and browsers step its value
    through binary floats.
    """

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(
            {"class": "vTextField", "inputmode": "decimal", **(attrs or {})}
        )

    def format_value(self, value: Any) -> str | None:
        if isinstance(value, Decimal):
            return format(value, "f")
        text: str | None = super().format_value(value)
        return text


class ModelAdmin(admin.ModelAdmin):
    """An admin whose saves and deletions may meet a ConflictError of a service.

    It is shown as a message, and nothing is written.
    """

    list_per_page = 50
    # The bounds of the API, whose users read what is entered here.
    formfield_overrides = {
        ExactDecimalField: {
            "widget": ExactDecimalInput,
            "max_digits": 2 * MAX_DIGITS,
            "decimal_places": MAX_DIGITS,
        },
        models.CharField: {"max_length": MAX_LENGTH},
    }

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        view = super().changeform_view
        return self._or_conflict(
            request, lambda: view(request, object_id, form_url, extra_context)
        )

    def delete_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        view = super().delete_view
        return self._or_conflict(
            request, lambda: view(request, object_id, extra_context)
        )

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        view = super().changelist_view
        return self._or_conflict(request, lambda: view(request, extra_context))

    def delete_queryset(
        self, request: HttpRequest, queryset: models.QuerySet[Any]
    ) -> None:
        # Row by row, since a service may have a say in it.
        for row in queryset:
            self.delete_model(request, row)

    def _or_conflict(
        self, request: HttpRequest, view: Callable[[], HttpResponse]
    ) -> HttpResponse:
        try:
            # An action has written its log entries before the first deletion.
            with transaction.atomic():
                return view()
        except ConflictError as error:
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())


class RecordAdmin(ModelAdmin):
    """An admin of what has happened: to be read, and deleted by superusers only."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(
        self, request: HttpRequest, obj: models.Model | None = None
    ) -> bool:
        return False

    def has_delete_permission(
        self, request: HttpRequest, obj: models.Model | None = None
    ) -> bool:
        return request.user.is_superuser and super().has_delete_permission(request, obj)


class NullIsNoFilter(admin.SimpleListFilter):
    """A filter by a nullable boolean, ``parameter_name``, in which null means no."""

    parameter_name: str

    def lookups(
        self, request: HttpRequest, model_admin: Any
    ) -> tuple[tuple[str, str], ...]:
        return (("yes", "Yes"), ("no", "No"))

    def queryset(
        self, request: HttpRequest, queryset: models.QuerySet[Any]
    ) -> models.QuerySet[Any]:
        is_true = {self.parameter_name: True}
        if self.value() == "yes":
            return queryset.filter(**is_true)
        if self.value() == "no":
            return queryset.exclude(**is_true)
        return queryset


class ActiveFilter(NullIsNoFilter):
    title = "active"
    parameter_name = "is_active"


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
            "currentColor" if row.outcome == "ok" else "var(--error-fg)",
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
