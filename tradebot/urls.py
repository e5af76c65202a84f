from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.renderers import OpenApiJsonRenderer2
from drf_spectacular.views import SpectacularJSONAPIView

import tradebot.api.paths  # noqa: F401  # registers <id:…>
from tradebot.api.documents import OAuth2RedirectView, RedocView, SwaggerView
from tradebot.api.health import HealthView, ReadyView
from tradebot.metrics import metrics_view

api = [
    path("", include("accounts.api.urls")),
    # Before those of the keys, which take its "balance" for an id.
    path("", include("trading.api.urls")),
    path("", include("apikeys.api.urls")),
    path("", include("bots.api.urls")),
    path("", include("backtests.api.urls")),
]

# The two addresses that people try first.
to_documents = RedirectView.as_view(pattern_name="swagger")

urlpatterns = [
    path("", to_documents),
    path("api/v1/", to_documents),
    path("admin/", admin.site.urls),
    path("api/v1/", include(api)),
    path("metrics", metrics_view, name="metrics"),
    path("health", HealthView.as_view(), name="health"),
    path("health/ready", ReadyView.as_view(), name="ready"),
    path(
        "openapi.json",
        # The renderer whose media type is plain application/json.
        SpectacularJSONAPIView.as_view(renderer_classes=[OpenApiJsonRenderer2]),
        name="schema",
    ),
    path("docs", SwaggerView.as_view(), name="swagger"),
    path("docs/oauth2-redirect", OAuth2RedirectView.as_view(), name="oauth2-redirect"),
    path("redoc", RedocView.as_view(), name="redoc"),
]

handler400 = "tradebot.api.problems.bad_request"
handler404 = "tradebot.api.problems.not_found"
handler500 = "tradebot.api.problems.server_error"
