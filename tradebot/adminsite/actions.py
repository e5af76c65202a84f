"""Actions on several rows of a list that ask before they act."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import helpers
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse

_SHOWN = 20  # rows that are named


def confirmation(
    model_admin: Any, request: HttpRequest, rows: QuerySet[Any], question: str
) -> TemplateResponse | None:
    """Return the page that asks the question, None where the answer is there: yes.

    ``rows`` are those that would be changed.
    """
    if request.POST.get("post"):
        return None
    context = {
        **model_admin.admin_site.each_context(request),
        "title": "Are you sure?",
        "opts": model_admin.opts,
        "question": question,
        "rows": rows[:_SHOWN],
        "more": max(0, rows.count() - _SHOWN),
        "action": request.POST.get("action"),
        "select_across": request.POST.get("select_across", "0"),
        "selected": request.POST.getlist(helpers.ACTION_CHECKBOX_NAME),
        "action_checkbox_name": helpers.ACTION_CHECKBOX_NAME,
    }
    return TemplateResponse(request, "admin/action_confirmation.html", context)
