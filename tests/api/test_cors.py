"""Pages of other origins, and the headers that confine what a browser does."""

from __future__ import annotations

import re

import pytest
from django.http import HttpResponse
from django.test import Client, override_settings
from pytest_django.fixtures import Settings

from accounts.models import User
from tests.api.endpoints import operations
from tests.clients import JSONClient, read, read_problem
from tests.factories import make_backtest, make_bot

pytestmark = pytest.mark.alike

ORIGIN = "https://app.example.com"
FROM_PAGE = {"Origin": ORIGIN}


@pytest.fixture(autouse=True)
def _one_origin(settings: Settings) -> None:
    settings.CORS_ALLOWED_ORIGINS = [ORIGIN, "http://localhost:3000"]


def preflight(path: str, origin: str = ORIGIN) -> HttpResponse:
    return Client().options(  # type: ignore[return-value]  # the stubs patch the class
        path,
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "DELETE",
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )


def is_let_in(response: HttpResponse) -> bool:
    """Say whether a page of ORIGIN may read an answer."""
    assert "Origin" in response.headers["Vary"].title()
    assert "Access-Control-Allow-Credentials" not in response.headers
    return response.headers.get("Access-Control-Allow-Origin") == ORIGIN


@pytest.mark.parametrize("path", sorted({path for _, path in operations()}))
def test_preflight_needs_no_token_in_either_form_of_a_path(path: str) -> None:
    bare = f"/api/v1{path.removesuffix('/')}"
    for address in (bare, f"{bare}/"):
        response = preflight(address)

        assert response.status_code == 200
        assert is_let_in(response)
        allowed = response.headers["Access-Control-Allow-Methods"]
        assert set(allowed.split(", ")) >= {"GET", "POST", "PUT", "PATCH", "DELETE"}
        allowed = response.headers["Access-Control-Allow-Headers"]
        assert set(allowed.split(", ")) >= {"authorization", "content-type"}


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example.com",
        "https://app.example.com.evil.example.com",
        "https://app.example.com:8443",
        "http://app.example.com",
        "null",
        "http://[",
    ],
)
def test_other_origin_is_not_let_in(origin: str) -> None:
    response = preflight("/api/v1/auth/me", origin)
    assert not is_let_in(response)
    assert "Access-Control-Allow-Origin" not in response.headers

    answer = Client().get("/health", headers={"Origin": origin})
    assert read(answer)["status"] == "healthy"  # type: ignore[arg-type]
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_no_origin_is_let_in_by_default(settings: Settings) -> None:
    settings.CORS_ALLOWED_ORIGINS = []

    assert not is_let_in(preflight("/api/v1/auth/me"))


def test_every_origin_is_let_in_where_the_operator_says_so(settings: Settings) -> None:
    settings.CORS_ALLOWED_ORIGINS = []
    settings.CORS_ALLOW_ALL_ORIGINS = True

    response = Client().get("/health", headers=FROM_PAGE)

    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize(
    ("address", "headers", "status"),
    [
        ("/api/v1/auth/me", {}, 401),
        ("/api/v1/nothing", {}, 404),
        ("/api/v1/auth/login", {}, 405),
        ("/health", {"Host": "evil.example.com"}, 400),
    ],
)
@pytest.mark.django_db
def test_page_reads_problems_too(
    address: str, headers: dict[str, str], status: int
) -> None:
    response = Client().get(address, headers=FROM_PAGE | headers)

    assert response.status_code == status
    assert is_let_in(response)  # type: ignore[arg-type]


@override_settings(ROOT_URLCONF="tests.api.test_problems")
def test_page_reads_that_the_server_failed(user: User) -> None:
    make_bot(user)
    client = JSONClient()
    client.raise_request_exception = False

    response = client.send("GET", "/break/other", headers=FROM_PAGE)

    read_problem(response, 500)
    assert is_let_in(response)


@override_settings(SECURE_SSL_REDIRECT=True)
def test_preflight_is_no_redirect() -> None:
    assert preflight("/api/v1/auth/me").status_code == 200


def test_page_reads_the_headers_that_answers_have(api: JSONClient, user: User) -> None:
    backtest = make_backtest(user)
    path = f"/backtest/download/{backtest.pk}/daily.csv"

    response = api.send("GET", path, headers=FROM_PAGE)

    exposed = response.headers["Access-Control-Expose-Headers"].split(", ")
    assert {
        "Content-Disposition",
        "X-Total-Count",
        "Link",
        "Retry-After",
        "Age",
    } <= set(exposed)
    assert "Content-Disposition" in response.headers


@pytest.mark.parametrize("address", ["/admin/login/", "/docs", "/"])
@pytest.mark.django_db
def test_pages_of_the_server_are_not_for_other_pages(address: str) -> None:
    response = Client().get(address, headers=FROM_PAGE)

    assert "Access-Control-Allow-Origin" not in response.headers


def test_options_without_an_origin_is_a_method_like_others(api: JSONClient) -> None:
    read_problem(api.send("OPTIONS", "/auth/me"), 405)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/auth/me"),
        ("POST", "/auth/login"),
        ("GET", "/bot-configs/"),
        ("GET", "/trades/999"),
    ],
)
def test_answers_stay_off_the_disk_of_a_browser(
    api: JSONClient, method: str, path: str
) -> None:
    assert api.send(method, path, b"{}").headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("address", ["/docs", "/redoc"])
def test_document_page_may_run_scripts_of_the_server_only(address: str) -> None:
    response = Client().get(address)

    policy = response.headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "connect-src 'self'"} <= set(
        policy
    )
    page = response.content.decode()
    scripts = re.findall(r"<script\b([^>]*)>(.*?)</script>", page, re.DOTALL)
    assert scripts
    assert all(
        re.search(r'src="/[^/]', attributes) and not inline
        for attributes, inline in scripts
    )
    assert not re.search(r"<[^>]*\son[a-z]+=", page)


def test_script_of_swagger_is_one_of_the_server() -> None:
    response = Client().get("/docs?script=")

    assert response.headers["Content-Type"] == "application/javascript"
    assert "/openapi.json" in response.content.decode()
