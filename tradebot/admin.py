"""What the admin pages of all apps share; each app registers its own models."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import BadRequest
from django.db import DataError, models, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from tradebot.api.fields import MAX_DIGITS, MAX_LENGTH
from tradebot.errors import ConflictError
from tradebot.fields import ExactDecimalField

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
