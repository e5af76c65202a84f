"""The pages that show the OpenAPI document, and may do nothing else."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny
from rest_framework.renderers import TemplateHTMLRenderer
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


class OAuth2RedirectView(_ConfinedView):
    """The page to which a provider of log-ins would send Swagger's window back.

    There is none: log in at ``/api/v1/auth/login``. Clients of the old program find the
    address all the same.
    """

    renderer_classes = [TemplateHTMLRenderer]
    authentication_classes = []
    permission_classes = [AllowAny]

    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:
        return Response(template_name="tradebot/oauth2_redirect.html")


class RedocView(_ConfinedView, SpectacularRedocView):
    """To read."""

    template_name = "tradebot/redoc.html"
