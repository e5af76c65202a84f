"""Every error of the API as problem details (RFC 9457).

One handler for what the views raise, and Django's own handlers for what happens around
them. The details repeat nothing that was submitted and may be a secret.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from django.core.exceptions import ObjectDoesNotExist, RequestDataTooBig
from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy
from django.views import defaults
from rest_framework import exceptions, serializers
from rest_framework.settings import api_settings

from tradebot.api.languages import language_headers
from tradebot.errors import BusyError, ConflictError, RateLimitError, RefusedError

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5  # where nobody knows when the database comes back
BODY = "body"  # the "field" of an error that is about the body as a whole

TITLES = {status.value: status.phrase for status in HTTPStatus} | {
    # Python 3.13 renamed them; clients see the names of RFC 9110.
    413: "Content Too Large",
    422: "Unprocessable Content",
}

_NOT_FOUND = gettext_lazy(
    "There is nothing at this address. Check the path and the id in it."
)
_TOO_LARGE = gettext_lazy("The body is too large. Send less at once.")
_GONE = gettext_lazy(
    "What was asked for has been deleted meanwhile, or it is not yours."
)
_TAKEN = gettext_lazy(
    "This contradicts what is stored: the same already exists, or something it refers "
    "to has just been deleted. Load the current data and try again."
)
_UNAVAILABLE = gettext_lazy(
    "The database does not answer at the moment. Try again after the seconds in "
    "Retry-After."
)
_UNSTORABLE = gettext_lazy(
    "The database cannot store these values. Check them and try again."
)


class FieldErrorSerializer(serializers.Serializer[Any]):
    field = serializers.CharField(
        help_text=f'The field, or "{BODY}" for the body as a whole.'
    )
    code = serializers.CharField()
    message = serializers.CharField()


class ProblemSerializer(serializers.Serializer[Any]):
    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="What was wrong and what to do.")
    errors = FieldErrorSerializer(  # type: ignore[assignment]  # a field, taken away
        many=True, required=False, help_text="One entry for each rule that was broken."
    )


def problem(
    status: int,
    detail: str | Promise,
    *,
    errors: list[dict[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> HttpResponse:
    """Return an answer of problem details.

    ``detail`` is in the language of the request; ``title`` is a name of RFC 9110.
    """
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": TITLES[status],
        "status": status,
        "detail": str(detail),
    }
    if errors is not None:
        content["errors"] = errors
    return HttpResponse(
        msgspec.json.encode(content),
        status=status,
        content_type=MEDIA_TYPE,
        headers={**language_headers(), **(headers or {})},
    )


def exception_handler(exc: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """Answer for an exception of a view; None where it is a fault of the server."""
    match exc:
        case exceptions.ValidationError():
            return _invalid(exc)
        case exceptions.APIException():
            return _refused(exc, context)
        case ConflictError() | RefusedError():
            conflicts = isinstance(exc, ConflictError)
            status = HTTPStatus.CONFLICT if conflicts else HTTPStatus.BAD_REQUEST
            return problem(status, str(exc))
        case RateLimitError() | BusyError():
            return _later(exc)
        case Http404():
            return problem(HTTPStatus.NOT_FOUND, _NOT_FOUND)
        case ObjectDoesNotExist():
            # A look-up of a service: the row was there when the view found it.
            return problem(HTTPStatus.NOT_FOUND, _GONE)
        case RequestDataTooBig():
            return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_LARGE)
        case IntegrityError() | DataError():
            return _unstorable(exc, context)
        case OperationalError() | InterfaceError() if _may_pass(exc):
            return _unavailable(exc, context)
    return None


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400, or 413 for a body that is too large (Django's handler400)."""
    if _is_page(request):
        return defaults.bad_request(request, exception)
    if isinstance(exception, RequestDataTooBig):
        return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_LARGE)
    return problem(
        HTTPStatus.BAD_REQUEST,
        gettext(
            "The request is not valid HTTP for this server. Check the address, the "
            "Host header and the body."
        ),
    )


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404 (Django's handler404)."""
    if _is_page(request):
        return defaults.page_not_found(request, exception)
    return problem(HTTPStatus.NOT_FOUND, _NOT_FOUND)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500 (Django's handler500, which has logged the exception)."""
    if _is_page(request):
        return defaults.server_error(request)
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        gettext(
            "The server failed. Try again later; if it stays, tell its operator, who "
            "finds the cause in the log."
        ),
    )


def _is_page(request: HttpRequest) -> bool:
    return request.path.startswith(reverse("admin:index"))


def _invalid(exc: exceptions.ValidationError) -> HttpResponse:
    errors = [
        {"field": field, "code": detail.code, "message": str(detail)}
        for field, detail in _flatten(exc.detail)
    ]
    return problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        " ".join(
            error["message"]
            if error["field"] == BODY
            else f"{error['field']}: {error['message']}"
            for error in errors
        ),
        errors=errors,
    )


def _flatten(detail: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the errors with the path of their field."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            own = "" if name == api_settings.NON_FIELD_ERRORS_KEY else str(name)
            yield from _flatten(inner, ".".join(filter(None, (path, own))))
    elif isinstance(detail, list):
        for inner in detail:
            yield from _flatten(inner, path)
    else:
        yield path or BODY, detail


def _refused(exc: exceptions.APIException, context: dict[str, Any]) -> HttpResponse:
    detail = str(exc.detail)
    headers = {}
    if challenge := getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if (wait_s := getattr(exc, "wait", None)) is not None:
        headers["Retry-After"] = str(math.ceil(wait_s))
    match exc:
        case exceptions.NotAuthenticated():
            detail = gettext(
                'Not authenticated. Log in and send the header "Authorization: Bearer '
                '<access_token>".'
            )
        case exceptions.MethodNotAllowed():
            allowed = ", ".join(context["view"].allowed_methods)
            detail = gettext(
                "This address does not know the method. It knows: %(methods)s."
            ) % {"methods": allowed}
        case exceptions.UnsupportedMediaType():
            detail = gettext(
                'The body must be JSON. Send "Content-Type: application/json".'
            )
    return problem(exc.status_code, detail, headers=headers)


def _later(exc: RateLimitError | BusyError) -> HttpResponse:
    busy = isinstance(exc, BusyError)
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE if busy else HTTPStatus.TOO_MANY_REQUESTS,
        str(exc),
        headers={"Retry-After": str(exc.retry_after_s)},
    )


def _may_pass(exc: Exception) -> bool:
    """Say whether the database is away or held up; SQLite has other reasons too."""
    name = getattr(exc.__cause__, "sqlite_errorname", "SQLITE_BUSY")
    return bool(name == "SQLITE_BUSY")


def _unavailable(exc: Exception, context: dict[str, Any]) -> HttpResponse:
    logger.error(
        "%s: the database does not answer: %s",
        type(context["view"]).__name__,
        str(exc).partition("\n")[0],
    )
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        _UNAVAILABLE,
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )


def _unstorable(
    exc: IntegrityError | DataError, context: dict[str, Any]
) -> HttpResponse:
    cause = exc.__cause__
    # The text of the exception holds values of the row.
    logger.warning(
        "%s: the database refused a row: %s",
        type(context["view"]).__name__,
        type(cause).__name__,
    )
    kind = getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None)
    if kind in _CONTRADICTIONS:
        return problem(HTTPStatus.CONFLICT, _TAKEN)
    return problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        _UNSTORABLE,
        errors=[{"field": BODY, "code": "unstorable", "message": str(_UNSTORABLE)}],
    )


# Unique and foreign keys, as PostgreSQL and SQLite name them.
_CONTRADICTIONS = {
    "23503",
    "23505",
    "SQLITE_CONSTRAINT_FOREIGNKEY",
    "SQLITE_CONSTRAINT_PRIMARYKEY",
    "SQLITE_CONSTRAINT_UNIQUE",
}
