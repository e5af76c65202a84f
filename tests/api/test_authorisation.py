"""Who may do what: every operation of the URL table, for everybody.

A route that is new here fails until ``TABLE`` says who may use it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from accounts.models import User
from apikeys.services import api_key_create
from backtests.runs import run_create
from bots.models import BotState
from tests.clients import JSONClient
from tests.factories import (
    BOT,
    make_backtest,
    make_bot,
    make_notification,
    make_sweep,
    make_trade,
    make_user,
)
from trading.notifications.outbox import webhook_save

pytestmark = [pytest.mark.alike, pytest.mark.django_db]

WRITES = {"POST", "PUT", "PATCH"}
USERS = ("owner", "other", "staff")
WHO = ("anonymous", "inactive", *USERS)
TRADE = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "order_type": "MARKET",
    "price": 1,
    "quantity_filled": 1,
    "quote_quantity_filled": 1,
}
RUN = {
    "symbol": "BTCUSDT",
    "interval": "1h",
    "start_date": "2025-01-01",
    "end_date": "2025-02-01",
    "parameters": {},
}
SWEEP = {**RUN, "grid": {"ema_fast": [5, 8]}}
KEY = {"api_key": "new-key", "secret_key": "new-secret"}
WEBHOOK = {"url": "https://receiver.example.com/"}
CREDENTIALS = {"email": "new@example.com", "password": "Correct-Horse-7"}

RESET = {"token": "unknown", "new_password": CREDENTIALS["password"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What becomes of an operation on what the owner has, or on one's own."""

    owner: int
    others: int
    """The answer to other users, whether or not they are staff."""
    body: dict[str, Any] | None = None
    """Values that are texts in braces are replaced by ids."""
    ids: dict[str, str] = field(default_factory=dict)
    """Of the path: the object of each id; by default the one of the owner."""


def own(status: int, body: dict[str, Any] | None = None, **ids: str) -> Row:
    """What only the owner sees: for others it is not there."""
    return Row(owner=status, others=404, body=body, ids=ids)


def each(status: int, body: dict[str, Any] | None = None) -> Row:
    """What each user has or makes for themselves."""
    return Row(owner=status, others=status, body=body)


PUBLIC: dict[tuple[str, str], tuple[int, dict[str, str]]] = {
    ("auth-register", "POST"): (201, CREDENTIALS),
    ("auth-login", "POST"): (401, CREDENTIALS),
    ("auth-forgot-password", "POST"): (422, {"email": "not an address"}),
    ("auth-reset-password", "POST"): (400, RESET),
    ("symbols-spot", "GET"): (503, {}),  # no exchange is there to ask
    ("symbols-futures", "GET"): (503, {}),
}
_BOT_ID = {"bot_config_id": "{bot}"}
TABLE: dict[tuple[str, str], list[Row]] = {
    ("auth-me", "GET"): [each(200)],
    ("api-key-list", "GET"): [each(200)],
    ("api-key-list", "POST"): [each(201, KEY)],
    ("api-key-default", "GET"): [own(200)],
    ("api-key-default", "DELETE"): [own(204)],
    ("api-key-detail", "GET"): [own(200, pk="key")],
    ("api-key-detail", "PUT"): [own(200, KEY, pk="key")],
    ("api-key-detail", "PATCH"): [own(200, {"environment": "live"}, pk="key")],
    ("api-key-detail", "DELETE"): [own(204, pk="key")],
    ("api-key-balance", "GET"): [own(502)],
    ("api-key-validate", "POST"): [own(502, pk="key")],
    ("bot-config-list", "GET"): [each(200)],
    ("bot-config-list", "POST"): [
        each(201, BOT),
        Row(owner=201, others=422, body={**BOT, "api_key_id": "{key}"}),
    ],
    ("bot-config-detail", "GET"): [own(200, pk="bot")],
    ("bot-config-detail", "PUT"): [
        own(200, BOT, pk="bot"),
        Row(
            owner=200,
            others=422,
            body={**BOT, "api_key_id": "{key}"},
            ids={"pk": "own bot"},
        ),
    ],
    ("bot-config-detail", "PATCH"): [
        own(200, {"name": "Other"}, pk="bot"),
        Row(owner=200, others=422, body={"api_key_id": "{key}"}, ids={"pk": "own bot"}),
    ],
    ("bot-config-detail", "DELETE"): [own(204, pk="bot")],
    ("bot-state-list", "GET"): [each(200)],
    ("bot-state-list", "POST"): [own(201, {"bot_config_id": "{new bot}"})],
    ("bot-state-detail", "GET"): [own(200)],
    ("bot-state-detail", "PUT"): [own(200, {"status": "stopped"})],
    ("bot-state-detail", "PATCH"): [own(200, {"status": "stopped"})],
    ("bot-state-detail", "DELETE"): [own(204)],
    ("bot-status-stream", "GET"): [own(503)],  # not served by threads
    ("bot-start", "POST"): [own(503)],  # its symbol is not stored
    ("bot-stop", "POST"): [own(200), own(200, {"close": True})],
    ("bot-confirm-live", "POST"): [own(409, {"name": "Some bot"})],
    ("bot-confirm-live", "DELETE"): [own(204)],
    ("bot-status", "GET"): [own(200)],
    ("bot-orders", "GET"): [own(200)],
    ("bot-positions", "GET"): [own(200)],
    ("bot-summary", "GET"): [each(200)],
    ("bot-performance", "GET"): [own(200)],
    ("bot-trades", "GET"): [own(200)],
    ("trade-list", "GET"): [each(200)],
    ("trade-list", "POST"): [own(201, {**TRADE, **_BOT_ID})],
    ("trade-detail", "GET"): [own(200, pk="trade")],
    ("trade-detail", "PUT"): [
        own(200, {**TRADE, **_BOT_ID}, pk="trade"),
        own(200, {**TRADE, **_BOT_ID}, pk="own trade"),
    ],
    ("trade-detail", "PATCH"): [
        own(200, {"price": 2}, pk="trade"),
        own(200, _BOT_ID, pk="own trade"),
    ],
    ("trade-detail", "DELETE"): [own(204, pk="trade")],
    ("notification-list", "GET"): [each(200)],
    ("notification-settings", "GET"): [each(200)],
    ("notification-settings", "PUT"): [each(200, {"email_kinds": []})],
    ("webhook", "GET"): [own(200)],
    ("webhook", "PUT"): [Row(owner=200, others=201, body=WEBHOOK)],
    ("webhook", "DELETE"): [own(204)],
    ("webhook-test", "POST"): [own(202)],
    ("backtest-list", "GET"): [each(200)],
    ("backtest-detail", "GET"): [own(200, pk="backtest")],
    ("backtest-delete", "DELETE"): [own(200, pk="backtest")],
    ("backtest-run", "POST"): [each(202, RUN)],  # nobody works on it
    ("backtest-run-list", "GET"): [each(200)],
    ("backtest-run-detail", "GET"): [own(200, pk="run")],
    ("backtest-run-cancel", "POST"): [own(200, pk="run")],
    ("backtest-sweep", "POST"): [each(202, SWEEP)],  # nobody works on it
    ("backtest-sweep-list", "GET"): [each(200)],
    ("backtest-sweep-detail", "GET"): [own(200, pk="sweep")],
    ("backtest-sweep-detail", "DELETE"): [own(204, pk="sweep")],
    ("backtest-sweep-cancel", "POST"): [own(200, pk="sweep")],
    ("backtest-sweep-results", "GET"): [own(200, pk="sweep")],
    ("backtest-cache-info", "GET"): [each(200)],
    ("backtest-cache-clear", "POST"): [each(200)],
    ("backtest-symbols", "GET"): [each(503)],  # no exchange is there to ask
    ("backtest-daily-csv", "GET"): [own(200, pk="backtest")],
    ("backtest-monthly-csv", "GET"): [own(200, pk="backtest")],
    ("backtest-trades-csv", "GET"): [own(409, pk="backtest")],
}
Case = tuple[str, str, Row]
CASES: list[Case] = [(*key, row) for key, rows in TABLE.items() for row in rows]


def patterns(
    among: list[URLPattern | URLResolver] | None = None, path: str = "/"
) -> Iterator[URLPattern]:
    """Yield the routes below /api/v1/."""
    for pattern in among or get_resolver().url_patterns:
        whole = path + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from patterns(pattern.url_patterns, whole)
        elif whole.startswith("/api/v1/") and whole != "/api/v1/":
            yield pattern


ROUTES = {str(pattern.name): pattern for pattern in patterns()}


def methods(pattern: URLPattern) -> set[str]:
    view: Any = pattern.callback
    named = getattr(view, "actions", None) or {
        name for name in view.cls.http_method_names if hasattr(view.cls, name)
    }
    return {name.upper() for name in named} - {"HEAD"}


def test_every_route_has_a_name_of_its_own() -> None:
    """Two of one name would have one row."""
    names = [pattern.name for pattern in patterns()]

    assert None not in names
    assert len(names) == len(set(names))


def test_no_other_routes_are_there() -> None:
    """What is not under /api/v1/ is nobody's, or asks for a login of its own."""
    assert {str(one.pattern) for one in get_resolver().url_patterns} == {
        *("", "api/v1/", "admin/", "health", "health/ready", "metrics"),
        *("openapi.json", "docs", "docs/oauth2-redirect", "redoc"),
    }


def test_every_operation_has_a_row() -> None:
    operations = {
        (name, method)
        for name, pattern in ROUTES.items()
        for method in methods(pattern)
    }

    assert operations == {*TABLE, *PUBLIC}


@pytest.fixture
def users() -> dict[str, User]:
    return {
        "owner": make_user(),
        "other": make_user("other@example.com"),
        "staff": make_user("staff@example.com", is_staff=True, is_superuser=True),
        "inactive": make_user("inactive@example.com", is_active=False),
    }


@pytest.fixture
def ids(users: dict[str, User]) -> dict[str, Any]:
    """What the owner has, and of ``own`` things one for each user."""
    owner = users["owner"]
    key = api_key_create(user=owner, values={"api_key": "k", "secret_key": "s"})
    bot = make_bot(owner, api_key=key)
    BotState.objects.create(bot_config=bot)
    found = {
        "key": key.pk,
        "bot": bot.pk,
        "bot_config_id": bot.pk,
        "new bot": make_bot(owner).pk,
        "trade": make_trade(bot).pk,
        "backtest": make_backtest(owner).pk,
        "run": run_create(user=owner, request={}).pk,
        "webhook": webhook_save(user=owner, values=WEBHOOK)[0].pk,
        "notification": make_notification(owner).pk,
        "sweep": make_sweep(owner).pk,
        "market_type": "spot",
    }
    for name in USERS:
        own_bot = make_bot(users[name])
        found[f"own bot of {name}"] = own_bot.pk
        found[f"own trade of {name}"] = make_trade(own_bot).pk
    return found


def send(who: str, client: JSONClient, case: Case, ids: dict[str, Any]) -> Any:
    name, method, row = case

    def id_of(thing: str) -> Any:
        whose = who if who in USERS else "owner"
        return ids.get(f"{thing} of {whose}") or ids[thing]

    parameters = ROUTES[name].pattern.converters
    kwargs = {one: id_of(row.ids.get(one, one)) for one in parameters}
    body = {
        key: id_of(value[1:-1]) if re.match(r"\{\w", str(value)) else value
        for key, value in (row.body or {}).items()
    }
    path = reverse(name, kwargs=kwargs).removeprefix("/api/v1")
    return client.send(method, path, body if method in WRITES else b"")


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def test_everybody_gets_what_is_theirs(
    users: dict[str, User], ids: dict[str, Any], case: Case, who: str
) -> None:
    row = case[2]
    client = JSONClient(users.get(who))

    response = send(who, client, case, ids)

    expected = {"anonymous": 401, "inactive": 400, "owner": row.owner}
    assert response.status_code == expected.get(who, row.others), response.content
    if who in {"other", "staff"} and response.status_code == 200:
        assert_nothing_of_others(json.loads(response.content), ids)


def assert_nothing_of_others(content: Any, ids: dict[str, Any]) -> None:
    """Fail where a list has a thing of the owner."""
    listed = content.get("data") if isinstance(content, dict) else content
    if isinstance(listed, list):
        found = {row.get("id", row.get("bot_config_id")) for row in listed}
        own = {id_ for name, id_ in ids.items() if " of " in name}
        assert found <= own


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("operation", PUBLIC, ids=lambda one: f"{one[0]}-{one[1]}")
def test_public_operations_ask_for_no_token(
    users: dict[str, User], operation: tuple[str, str], who: str
) -> None:
    name, method = operation
    status, body = PUBLIC[operation]
    path = reverse(name).removeprefix("/api/v1")

    response = JSONClient(users.get(who)).send(method, path, body)

    assert response.status_code == status, response.content
