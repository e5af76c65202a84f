"""The language of what the API says."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core import mail
from django.http import HttpResponse
from django.test import Client, override_settings
from django.utils.translation import get_language

from accounts import resets
from accounts.models import User
from apikeys.services import api_key_create
from bots.models import BotState
from tests.clients import JSONClient, read, read_problem
from tests.factories import make_backtest, make_bot, make_trade, make_user

PASSWORD = "correct Horse 4"
NOTHING = {
    "en": "There is nothing at this address. Check the path and the id in it.",
    "tr": "Bu adreste bir şey yok. Lütfen yolu ve içindeki id değerini kontrol edin.",
}
# What English cannot do without and Turkish has not.
ENGLISH = re.compile(
    r"\b(?:a|an|and|at|be|by|for|in|is|it|not|of|the|this|to|with|you|your)\b", re.I
)


def ask(client: Client, accepted: str | None, path: str = "/nothing") -> HttpResponse:
    headers = {} if accepted is None else {"Accept-Language": accepted}
    return client.get(path, headers=headers)  # type: ignore[return-value]  # the stubs patch the class


@pytest.mark.alike
@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("tr", "tr"),
        ("TR", "tr"),
        ("tr-TR;q=0.9", "tr"),
        ("tr-TR,tr;q=0.9,en-US;q=0.8,en;q=0.7", "tr"),
        ("de,tr;q=0.5,en;q=0.4", "tr"),
        ("en", "en"),
        ("en-GB,tr;q=0.5", "en"),
        ("tr;q=0", "en"),
        ("de", "en"),
        ("*", "en"),
        ("", "en"),
        ("☃;;q=x", "en"),
        ("tr" * 5000, "en"),
        (None, "en"),
    ],
)
@pytest.mark.parametrize("path", ["/nothing", "/api/v1/nothing"])
def test_language_is_the_one_that_the_client_likes_best(
    accepted: str | None, language: str, path: str
) -> None:
    response = ask(Client(), accepted, path)

    assert read_problem(response, 404)["detail"] == NOTHING[language]
    assert response.headers["Content-Language"] == language
    assert "Accept-Language" in response.headers["Vary"]
    assert get_language() == "en"


@pytest.mark.alike
@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/admin/login/", "/docs", "/redoc", "/openapi.json"])
def test_page_is_in_english_whatever_its_reader_likes(path: str) -> None:
    english, turkish = (
        # Without the token against forged requests, which is another each time.
        re.sub(rb"\w{64}", b"", ask(Client(), accepted, path).content)
        for accepted in ("en", "tr")
    )

    assert turkish == english


@pytest.fixture
def rows(user: User) -> dict[str, int]:
    """One of everything: ids, by the names that stand in paths."""
    values = {"api_key": "key-1", "secret_key": "secret", "label": "main"}
    key = api_key_create(user=user, values=values)
    running = make_bot(user, api_key=key, is_active=True)
    stopped = make_bot(user)
    for bot in (running, stopped):
        BotState.objects.create(bot_config=bot)
    make_trade(stopped, binance_order_id="once")
    make_user("inactive@example.com", password=PASSWORD, is_active=False)
    return {"key": key.pk, "running": running.pk, "stopped": stopped.pk}


NO_MAIL = "django.core.mail.backends.dummy.EmailBackend"
LOGIN, REGISTER = "/auth/login", "/auth/register"
FORGOT, RESET = "/auth/forgot-password", "/auth/reset-password"
OWNER = {"email": "owner@example.com", "password": PASSWORD}
INACTIVE = {"email": "inactive@example.com", "password": PASSWORD}
LONG = {"email": "x" * 300, "password": "Ü1!a" * 19}
NUL = {"email": 5, "password": "\0"}
EMPTY = {"email": "", "password": ""}
KEY = {"api_key": "key-1", "secret_key": "x", "label": "other"}
TRADE = {
    "bot_config_id": 0,
    "symbol": "BTCUSDT",
    "side": "BUY",
    "order_type": "MARKET",
    "price": 1,
    "quantity_filled": 1,
    "quote_quantity_filled": 1,
}
BOT = {
    "name": "x",
    "symbol": "x" * 256,
    "timeframe": "2h",
    "is_active": "perhaps",
    "initial_capital": -1,
    "position_size_fixed": "1e40",
    "stop_loss_perc": "much",
    "take_profit_perc": None,
    "ema_fast": 1.5,
    "ema_slow": 10**10,
    "rsi_oversold": 101,
    "strategy": "",
    "api_key_id": 10**6,
}


@pytest.mark.alike
@pytest.mark.parametrize(
    ("status", "method", "path", "body", "headers"),
    [
        (400, "GET", "/trades/", b"", {"Host": "evil.example.com"}),
        (401, "GET", "/trades/", b"", {"Authorization": "Basic x"}),
        (401, "GET", "/trades/", b"", {"Authorization": "Bearer x"}),
        (404, "GET", "/nothing", b"", {}),
        (405, "PUT", "/auth/me", {}, {}),
        (413, "POST", LOGIN, b" " * 1_100_000, {}),
        (415, "POST", LOGIN, b"x", {"Content-Type": "text/plain"}),
        (422, "POST", LOGIN, b"{", {}),
        (422, "POST", LOGIN, [], {}),
        (422, "POST", LOGIN, {}, {}),
        (422, "POST", LOGIN, {"email": "x", "password": None}, {}),
        (400, "POST", LOGIN, INACTIVE, {}),
        (401, "POST", LOGIN, OWNER, {}),
        (409, "POST", REGISTER, OWNER, {}),
        (422, "POST", REGISTER, LONG, {}),
        (422, "POST", REGISTER, NUL, {}),
        (422, "POST", REGISTER, EMPTY, {}),
        (503, "POST", FORGOT, OWNER, {}),
        (400, "POST", RESET, {"token": "x", "new_password": PASSWORD}, {}),
        (404, "GET", "/api-keys/0", b"", {}),
        (404, "GET", "/bot-configs/0", b"", {}),
        (404, "GET", "/bot-states/0", b"", {}),
        (404, "GET", "/trades/0", b"", {}),
        (404, "GET", "/bots/0/trades", b"", {}),
        (404, "GET", "/backtest/detail/0", b"", {}),
        (503, "GET", "/bots/{running}/status-stream", b"", {}),
        (409, "POST", "/api-keys/", KEY, {}),
        (409, "POST", "/api-keys/", KEY | {"label": "main"}, {}),
        (409, "PATCH", "/api-keys/{key}", {"secret_key": "another"}, {}),
        (409, "DELETE", "/api-keys/{key}", b"", {}),
        (409, "PATCH", "/bot-states/{running}", {"status": "x"}, {}),
        (409, "POST", "/bot-states/", {"bot_config_id": 0}, {}),
        (409, "POST", "/trades/", TRADE | {"binance_order_id": "once"}, {}),
        (422, "POST", "/trades/", TRADE | {"price": 0, "timestamp": "now"}, {}),
        (422, "POST", "/bot-configs/", BOT, {}),
        (422, "GET", "/trades/?limit=0&side=both", b"", {}),
    ],
)
def test_error_is_told_in_turkish(
    api: JSONClient,
    rows: dict[str, int],
    status: int,
    method: str,
    path: str,
    body: Any,
    headers: dict[str, str],
) -> None:
    if isinstance(body, dict) and "bot_config_id" in body:
        body = body | {"bot_config_id": rows["stopped"]}

    with override_settings(
        EMAIL_BACKEND="django.core.mail.backends.dummy.EmailBackend"
    ):
        english, turkish = (
            api.send(
                method,
                path.format(**rows),
                body,
                headers={**headers, "Accept-Language": language},
            )
            for language in ("en", "tr")
        )

    assert_translated(read_problem(english, status), read_problem(turkish, status))
    assert turkish.headers["Content-Language"] == "tr"


@pytest.mark.alike
@pytest.mark.usefixtures("rows")
@override_settings(ROOT_URLCONF="tests.api.test_problems")
@pytest.mark.parametrize(
    ("what", "status"), [("data", 422), ("gone", 404), ("other", 500)]
)
def test_failure_is_told_in_turkish(
    anonymous: JSONClient, what: str, status: int
) -> None:
    anonymous.raise_request_exception = False

    english, turkish = (
        anonymous.send("GET", f"/break/{what}", headers={"Accept-Language": language})
        for language in ("en", "tr")
    )

    assert_translated(read_problem(english, status), read_problem(turkish, status))


@pytest.mark.alike
def test_limit_is_told_in_turkish(anonymous: JSONClient) -> None:
    def log_in(language: str) -> HttpResponse:
        headers = {"Accept-Language": language}
        return anonymous.send("POST", LOGIN, OWNER, headers=headers)

    for _ in range(5):
        read_problem(log_in("tr"), 401)
    assert_translated(read_problem(log_in("en"), 429), read_problem(log_in("tr"), 429))


def assert_translated(english: dict[str, Any], turkish: dict[str, Any]) -> None:
    """Compare two problems that must say the same in two languages."""
    texts = [(english["detail"], turkish["detail"])]
    errors = english.get("errors", []), turkish.get("errors", [])
    for one, other in zip(*errors, strict=True):
        assert (other["field"], other["code"]) == (one["field"], one["code"])
        texts.append((one["message"], other["message"]))
    for text, translation in texts:
        assert translation != text
        assert not ENGLISH.findall(translation)
    assert turkish["title"] == english["title"]


@pytest.mark.alike
@pytest.mark.usefixtures("shared_database")
def test_forgotten_password_is_answered_and_mailed_in_turkish() -> None:
    make_user(OWNER["email"])
    headers = {"Accept-Language": "tr"}

    response = JSONClient().send("POST", FORGOT, OWNER, headers=headers)

    assert not ENGLISH.findall(read(response)["message"])
    assert response.headers["Content-Language"] == "tr"
    resets._sender.submit(int).result(timeout=20)
    (message,) = mail.outbox
    assert message.subject == "TradeBot şifrenizi sıfırlayın"
    assert "http://localhost:3000/reset-password?token=" in message.body
    assert not ENGLISH.findall(str(message.body))


@pytest.mark.alike
def test_deleted_backtest_is_told_in_turkish(api: JSONClient, user: User) -> None:
    path = f"/backtest/delete/{make_backtest(user).pk}"

    response = api.send("DELETE", path, headers={"Accept-Language": "tr"})

    assert read(response)["message"] == "Backtest silindi."
    assert response.headers["Content-Language"] == "tr"
