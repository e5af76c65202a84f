from __future__ import annotations

import pytest
from django.db import (
    DataError,
    IntegrityError,
    OperationalError,
    connection,
    transaction,
)
from django.test import Client, override_settings
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import User
from bots.models import BotConfig
from tests.clients import JSONClient, read, read_problem
from tests.factories import make_bot, make_trade
from tradebot.api.views import APIView
from tradebot.urls import handler400, handler404, handler500
from tradebot.urls import urlpatterns as real
from trading.models import Trade


class BreakingView(APIView):
    """Fails in the way that ``what`` names."""

    authentication_classes = []
    permission_classes = []

    def get(self, request: Request, what: str) -> Response:
        bot = BotConfig.objects.first()
        assert bot is not None
        match what:
            case "duplicate":
                make_trade(bot, binance_order_id="once")
                make_trade(bot, binance_order_id="once")
            case "orphan":
                with transaction.atomic():
                    Trade.objects.filter(bot_config=bot).update(bot_config_id=999_999)
            case "null":
                BotConfig.objects.filter(pk=bot.pk).update(stop_loss_perc=None)
            case "data":
                raise DataError("out of range")
            case "lost":
                raise OperationalError("the server at secret.example.com is away")
            case "broken":
                with transaction.atomic(), connection.cursor() as cursor:
                    cursor.execute("SELECT * FROM secret")
            case "gone":
                BotConfig.objects.get(pk=999_999)
        raise RuntimeError("the secret reason")


urlpatterns = [*real, path("api/v1/break/<what>", BreakingView.as_view())]
__all__ = ["handler400", "handler404", "handler500", "urlpatterns"]


@pytest.mark.parametrize(
    ("what", "status"),
    [
        ("duplicate", 409),
        # A foreign key is checked at the commit, which has to be a real one.
        pytest.param("orphan", 409, marks=pytest.mark.django_db(transaction=True)),
        ("null", 422),
        ("data", 422),
        ("lost", 503),
        ("broken", 500),
        ("gone", 404),
        ("other", 500),
    ],
)
@override_settings(ROOT_URLCONF=__name__)
@pytest.mark.alike
def test_failure_is_answered_without_its_reason(
    user: User, what: str, status: int
) -> None:
    make_trade(make_bot(user))
    client = JSONClient()
    client.raise_request_exception = False

    response = client.send("GET", f"/break/{what}")

    problem = read_problem(response, status)
    assert ("Retry-After" in response.headers) == (status == 503)
    assert "once" not in str(problem)
    assert "secret" not in str(problem)


@pytest.mark.alike
@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("ema_fast", 0, "Ensure this value is greater than or equal to 1. You sent 0."),
        ("ema_fast", "x" * 60, f"A whole number is required. You sent '{'x' * 50}'…."),
        ("timeframe", "2h\n", r". You sent '2h\n'."),
        ("stop_loss_perc", True, "A number is required. You sent true."),
        ("stop_loss_perc", 1.5e-40, "decimal point. You sent 1.5E-40."),
        ("ema_fast", 10**60, "2147483647."),
        ("ema_fast", [1], "A whole number is required."),
        ("name", 5, "A text is required."),
    ],
)
def test_message_says_what_was_sent(
    api: JSONClient, user: User, name: str, value: object, told: str
) -> None:
    path = f"/bot-configs/{make_bot(user).pk}"

    problem = read_problem(api.send("PATCH", path, {name: value}), 422)

    (error,) = problem["errors"]
    assert error["field"] == name
    assert error["message"].endswith(told)
    assert problem["detail"].endswith(told)


@pytest.mark.alike
def test_message_says_what_was_sent_in_turkish(api: JSONClient) -> None:
    response = api.send("GET", "/trades/?side=HOLD", HTTP_ACCEPT_LANGUAGE="tr")

    assert read_problem(response, 422)["detail"].endswith(" Gönderilen: 'HOLD'.")


@pytest.mark.alike
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/auth/register", {"email": "hunter2", "password": "hunter2"}),
        ("/auth/login", {"email": "hunter2", "password": ["hunter2"]}),
        ("/auth/reset-password", {"token": {"t": "hunter2"}, "new_password": "h"}),
        ("/api-keys/", {"api_key": "hunter2" * 99, "secret_key": "hunter2" * 99}),
        ("/notifications/webhook", {"url": "http://hunter2.example.com"}),
    ],
)
def test_message_repeats_no_secret(
    api: JSONClient, path: str, body: dict[str, object]
) -> None:
    method = "PUT" if "webhook" in path else "POST"
    assert "hunter2" not in str(read_problem(api.send(method, path, body), 422))


@pytest.mark.alike
@pytest.mark.parametrize(
    "address", ["/nothing", "/api/", "/api/v1/nothing", "/api/v2/trades"]
)
def test_unknown_address_is_missing(address: str) -> None:
    read_problem(Client().get(address), 404)  # type: ignore[arg-type]


@pytest.mark.alike
@pytest.mark.parametrize("address", ["/", "/api/v1/"])
def test_address_that_people_try_first_leads_to_the_documents(address: str) -> None:
    response = Client().get(address)

    assert (response.status_code, response.headers["Location"]) == (302, "/docs")


@pytest.mark.alike
@pytest.mark.django_db
def test_unknown_address_of_the_admin_is_a_page(admin_client: Client) -> None:
    response = admin_client.get("/admin/nothing/")

    assert response.status_code == 404
    assert response.headers["Content-Type"].startswith("text/html")


@pytest.mark.alike
def test_unknown_host_is_bad_request() -> None:
    response = Client(headers={"Host": "evil.example.com"}).get("/health")

    read_problem(response, 400)  # type: ignore[arg-type]


@pytest.mark.alike
@pytest.mark.parametrize("address", ["/docs", "/openapi.json", "/health"])
@pytest.mark.parametrize("method", ["POST", "OPTIONS"])
def test_wrong_method_beside_the_api_is_refused(method: str, address: str) -> None:
    read_problem(Client().generic(method, address), 405)  # type: ignore[arg-type]


@pytest.mark.alike
def test_health_needs_neither_login_nor_database() -> None:
    # Without the django_db mark, the database is out of reach.
    for address in ("/health", "/health/"):
        assert read(Client().get(address)) == {  # type: ignore[arg-type]
            "status": "healthy",
            "service": "tradebot-backend",
        }


@pytest.mark.alike
def test_integrity_error_has_a_cause_that_the_handler_knows(user: User) -> None:
    bot = make_bot(user)
    make_trade(bot, binance_order_id="once")

    with pytest.raises(IntegrityError) as caught:
        make_trade(bot, binance_order_id="once")

    cause = caught.value.__cause__
    assert hasattr(cause, "sqlstate") or hasattr(cause, "sqlite_errorname")
