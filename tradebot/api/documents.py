"""The pages that show the OpenAPI document, and may do nothing else."""

from __future__ import annotations

from typing import Any

from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerSplitView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

# Scripts, requests and images of this server only: ReDoc would fetch a logo elsewhere.
# Both pages write styles and images into themselves, and ReDoc searches in a worker.
_POLICY = "; ".join(
    [
        "default-src 'none'",
        "base-uri 'none'",
        "connect-src 'self'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "img-src 'self' data:",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "worker-src blob:",
    ]
)


class _ConfinedView(APIView):
    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Response:
        answer = super().finalize_response(request, response, *args, **kwargs)
        answer.headers["Content-Security-Policy"] = _POLICY
        return answer


class SwaggerView(_ConfinedView, SpectacularSwaggerSplitView):
    """To read and to try; its script is an answer of its own, at ``?script=``."""


class RedocView(_ConfinedView, SpectacularRedocView):
    """To read."""

    template_name = "tradebot/redoc.html"
