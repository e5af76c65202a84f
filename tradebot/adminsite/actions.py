"""Actions on several rows of a list that ask before they act."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.admin import helpers
from django.core.exceptions import BadRequest
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse

_SHOWN = 20  # rows that are named


def confirmation(
    model_admin: Any,
    request: HttpRequest,
    rows: QuerySet[Any],
    question: str,
    choices: Mapping[str, str] | None = None,
) -> TemplateResponse | None:
    """Return the page that asks the question, None where the answer is there: yes.

    ``rows`` are those that would be changed. Of ``choices``, with what is said of them,
    one is then in the request as ``choice``; raises BadRequest where it is not.
    """
    if request.POST.get("post"):
        if choices is not None and request.POST.get("choice") not in choices:
            raise BadRequest(f"Choose one of: {', '.join(choices)}.")
        return None
    context = {
        **model_admin.admin_site.each_context(request),
        "title": "Are you sure?",
        "opts": model_admin.opts,
        "question": question,
        "choices": choices,
        "rows": rows[:_SHOWN],
        "more": max(0, rows.count() - _SHOWN),
        "action": request.POST.get("action"),
        "select_across": request.POST.get("select_across", "0"),
        "selected": request.POST.getlist(helpers.ACTION_CHECKBOX_NAME),
        "action_checkbox_name": helpers.ACTION_CHECKBOX_NAME,
    }
    return TemplateResponse(request, "admin/action_confirmation.html", context)
