"""How the process is, for load balancers and supervisors."""

from __future__ import annotations

from http import HTTPStatus

from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from tradebot import readiness
from tradebot.api.views import APIView


@extend_schema(tags=["health"])
class HealthView(APIView):
    """Say that the process is alive, without asking the database."""

    asks_the_database = False
    authentication_classes = []
    permission_classes = [AllowAny]

    @extend_schema(
        responses={
            (200, "application/json"): {
                "type": "object",
                "properties": {
                    "status": {"type": "string", "const": "healthy"},
                    "service": {"type": "string", "const": "tradebot-backend"},
                },
                "required": ["status", "service"],
            }
        }
    )
    def get(self, request: Request) -> Response:
        return Response({"status": "healthy", "service": "tradebot-backend"})


_READINESS = {
    "type": "object",
    "properties": {
        "status": {"enum": ["ready", "not ready"]},
        "database": {"enum": ["ok", "unreachable"]},
        "migrations": {"enum": ["ok", "behind", "ahead", "other version", "unknown"]},
        "queue": {"enum": ["ok", "behind", "unknown"]},
        "workers": {"enum": ["ok", "missing", "unknown"]},
        "bots": {"enum": ["ok", "behind", "unknown"]},
    },
    "required": ["status", "database", "migrations", "queue", "workers", "bots"],
}


@extend_schema(tags=["health"])
class ReadyView(APIView):
    """Say whether the process can serve: 503 where it cannot.

    What it found is a few seconds old at most. On a schema ahead of the code it can,
    on one that is behind or of another version it cannot. A queue that is behind, where
    a backtest has waited for a minute, workers that are missing, and bots at which
    nobody has looked when it was time, are told, and no reason for a 503: everything
    else is served.
    """

    authentication_classes = []
    permission_classes = [AllowAny]

    @extend_schema(
        responses={
            (200, "application/json"): _READINESS,
            (503, "application/json"): _READINESS,
        }
    )
    def get(self, request: Request) -> Response:
        found = readiness.probe.read()
        return Response(
            {
                "status": "ready" if found.ready else "not ready",
                "database": found.database,
                "migrations": found.migrations,
                "queue": found.queue,
                "workers": found.workers,
                "bots": found.bots,
            },
            status=HTTPStatus.OK if found.ready else HTTPStatus.SERVICE_UNAVAILABLE,
        )
