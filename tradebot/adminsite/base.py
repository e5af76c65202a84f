"""The admin that those of all models are made from."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django.contrib import admin, messages
from django.db import models, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html
from unfold import widgets
from unfold.admin import ModelAdmin as UnfoldModelAdmin

from tradebot.api.fields import MAX_DIGITS, MAX_LENGTH
from tradebot.errors import ConflictError, RefusedError, TemporaryError
from tradebot.fields import ExactDecimalField

# Shown for null. Pages of one row ignore empty_value_display for computed fields.
NOTHING = "-"


def indented_json(data: Any) -> str:
    """Return what a JSON column holds as text to be read."""
    if data is None:
        return NOTHING
    return format_html("<pre>{}</pre>", json.dumps(data, indent=2, ensure_ascii=False))


class ExactDecimalInput(widgets.UnfoldAdminTextInputWidget):  # type: ignore[misc]  # untyped
    """A text input with all digits of a number, never an exponent.

    Not Django's number input: it is filled with ``1E-8``, and browsers step its value
    through binary floats.
    """

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__({"inputmode": "decimal", **(attrs or {})})

    def format_value(self, value: Any) -> str | None:
        if isinstance(value, Decimal):
            return format(value, "f")
        text: str | None = super().format_value(value)
        return text


class ModelAdmin(UnfoldModelAdmin, admin.ModelAdmin):  # type: ignore[misc]  # untyped
    """An admin whose saves and deletions a service may refuse.

    Its error is shown as a message, and nothing is written.
    """

    list_per_page = 50
    list_filter_submit = True  # ranges are typed, and sent together
    list_fullwidth = True  # the tables are wide
    # The bounds of the API, whose users read what is entered here.
    formfield_overrides = {
        ExactDecimalField: {
            "widget": ExactDecimalInput,
            "max_digits": 2 * MAX_DIGITS,
            "decimal_places": MAX_DIGITS,
        },
        models.CharField: {
            "max_length": MAX_LENGTH,
            "widget": widgets.UnfoldAdminTextInputWidget,
        },
    }

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        view = super().changeform_view
        return self._or_refused(
            request, lambda: view(request, object_id, form_url, extra_context)
        )

    def delete_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        view = super().delete_view
        return self._or_refused(
            request, lambda: view(request, object_id, extra_context)
        )

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        view = super().changelist_view
        return self._or_refused(request, lambda: view(request, extra_context))

    def delete_queryset(
        self, request: HttpRequest, queryset: models.QuerySet[Any]
    ) -> None:
        # Row by row, since a service may have a say in it.
        for row in queryset:
            self.delete_model(request, row)

    def _or_refused(
        self, request: HttpRequest, view: Callable[[], HttpResponse]
    ) -> HttpResponse:
        try:
            # An action has written its log entries before the first deletion.
            with transaction.atomic():
                return view()
        except (ConflictError, RefusedError, TemporaryError) as error:
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
