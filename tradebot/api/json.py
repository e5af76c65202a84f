"""JSON in which numbers keep every digit, both ways."""

from __future__ import annotations

import decimal
from collections.abc import Mapping
from decimal import Decimal
from typing import IO, Any

import msgspec
from django.utils.translation import gettext
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from tradebot.api.problems import BODY

_decoder = msgspec.json.Decoder(float_hook=Decimal)
encode = msgspec.json.Encoder(decimal_format="number").encode


class ExactJSONParser(BaseParser):
    """Read a JSON body: numbers with a fraction or an exponent become Decimals.

    Raises ValidationError for anything else, RequestDataTooBig for a body of more than
    DATA_UPLOAD_MAX_MEMORY_SIZE bytes.
    """

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        request = (parser_context or {})["request"]
        # The stream would be read without Django's limit.
        body = request._request.body
        try:
            return _decoder.decode(body)
        except (
            msgspec.DecodeError,
            UnicodeDecodeError,
            decimal.InvalidOperation,  # an exponent of twenty digits
            RecursionError,
        ):
            raise ValidationError(
                {
                    BODY: ErrorDetail(
                        gettext(
                            "The body is not valid JSON in UTF-8. Check its syntax; "
                            "NaN and Infinity are not JSON."
                        ),
                        code="json_invalid",
                    )
                }
            ) from None


class ExactJSONRenderer(BaseRenderer):
    """Write JSON in UTF-8: Decimals as numbers with all their digits."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        return b"" if data is None else encode(data)
