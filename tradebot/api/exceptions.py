"""Refusals that views of several apps answer with."""

from __future__ import annotations

from http import HTTPStatus

from rest_framework.exceptions import APIException


class NotBuiltYet(APIException):
    """An operation that clients of the old program know and this one has not yet."""

    status_code = HTTPStatus.NOT_IMPLEMENTED
    default_code = "not_built"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
