from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from tests.api.endpoints import document


@pytest.mark.alike
def test_document_is_valid_and_complete(tmp_path: Path) -> None:
    target = tmp_path / "openapi.yaml"

    call_command("spectacular", "--validate", "--fail-on-warn", file=str(target))

    assert target.read_text().startswith("openapi: 3.1")


@pytest.mark.alike
def test_document_is_served_as_json() -> None:
    response = Client().get("/openapi.json")

    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    content = json.loads(response.content)
    assert content["openapi"].startswith("3.1")
    assert content["info"]["title"] == "TradeBot API"


@pytest.mark.alike
def test_bounds_are_those_of_what_is_sent() -> None:
    """Stored rows break some of them; texts of errors have any length."""
    schemas = document()["components"]["schemas"]

    assert schemas["BotConfigRequest"]["properties"]["name"]["maxLength"] == 255
    assert schemas["BotConfigRequest"]["properties"]["leverage"]["maximum"] == 125
    for name in ("BotConfig", "Run", "Sweep", "Status", "Backtest"):
        told = json.dumps(schemas[name])
        assert not re.search("maxLength|minLength|maximum|minimum", told), name


@pytest.mark.parametrize("path", ["/docs", "/docs/oauth2-redirect", "/redoc"])
def test_pages_need_no_other_server(path: str) -> None:
    page = Client().get(path).content.decode()

    assert "/static/drf_spectacular_sidecar/" in page
    assert "//cdn" not in page
    assert "https://" not in page


@pytest.mark.alike
@pytest.mark.parametrize(
    "path", ["/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json", "/health"]
)
def test_pages_ignore_tokens(path: str) -> None:
    client = Client(headers={"Authorization": "Bearer nonsense"})

    assert client.get(path).status_code == 200


def answers(method: str, path: str) -> dict[str, Any]:
    responses: dict[str, Any] = document()["paths"][path][method]["responses"]
    return responses


@pytest.mark.alike
@pytest.mark.parametrize(
    ("method", "path", "codes"),
    [
        ("get", "/health", "200"),
        ("post", "/api/v1/auth/register", "201 409 413 415 422 429 503"),
        ("post", "/api/v1/auth/login", "200 400 401 413 415 422 429 503"),
        ("post", "/api/v1/auth/forgot-password", "200 413 415 422 429 503"),
        ("post", "/api/v1/auth/reset-password", "200 400 413 415 422 429 503"),
        ("get", "/api/v1/auth/me", "200 400 401 503"),
        ("get", "/api/v1/bot-configs/", "200 400 401 422 503"),
        ("put", "/api/v1/bot-configs/{id}", "200 400 401 404 409 413 415 422 503"),
        ("delete", "/api/v1/api-keys/me", "204 400 401 404 409 503"),
        ("post", "/api/v1/trades/", "201 400 401 404 409 413 415 422 503"),
        ("delete", "/api/v1/backtest/delete/{id}", "200 400 401 404 422 503"),
        ("get", "/api/v1/symbols/spot", "200 422 503"),
        ("post", "/api/v1/bots/{bot_config_id}/start", "200 400 401 404 409 422 503"),
        ("post", "/api/v1/backtest/run", "200 202 400 401 409 413 415 422 503"),
        ("get", "/api/v1/backtest/symbols/{market_type}", "200 400 401 404 503"),
    ],
)
def test_operation_declares_what_it_answers(method: str, path: str, codes: str) -> None:
    responses = answers(method, path)

    assert sorted(responses) == codes.split()
    for code, response in responses.items():
        media_types = set(response.get("content", {}))
        if code >= "400":
            assert media_types == {"application/problem+json"}
        else:
            assert media_types <= {"application/json"}
