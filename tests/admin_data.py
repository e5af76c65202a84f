"""What tests of the admin share: rows with secrets, forms as browsers send them."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

from django.contrib.auth.models import Permission
from django.db import connection, models
from django.test import Client
from django.urls import reverse

from accounts.models import User
from apikeys import crypto
from apikeys.models import APIKey
from backtests.models import Backtest, BacktestRun, Sweep
from bots.models import BotConfig, BotState
from tests.factories import (
    make_backtest,
    make_bot,
    make_closed_position,
    make_notification,
    make_run,
    make_sweep,
    make_trade,
    make_user,
)
from trading.models import Order, Position, Trade
from trading.notifications.models import Notification, Webhook

PASSWORD = "Right password 1!"
# bcrypt of "Old password 1!", as the old program wrote it.
OLD_PASSWORD = "Old password 1!"
OLD_HASH = "$2b$12$/0KnxXDAD.00NyvlPfrsKeGpEHVNjhDEVFog8ao3Vti9v0If5JAWG"
SALT, DIGEST = OLD_HASH[7:29], OLD_HASH[29:]
API_KEY, API_SECRET = (
    "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zv",
    "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP",
)
MASKED_KEY = "vmPU****E2zv"
WEBHOOK_SECRET, URL_TOKEN = "whsec_hq3mZ0", "T0ken-in-a-path"
RESET_TOKEN = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
# More digits than a float has, and fewer than Python prints without an exponent.
LONG, SMALL = Decimal("12345678.123456789012345678"), Decimal("0.0000000030")

SWEPT: dict[str, Any] = {
    "request": {
        "symbol": "ETHUSDT",
        "interval": "1h",
        "market_type": "futures",
        "rank_by": "sharpe",
        "grid": {"ema_fast": ["5"]},
    },
    "status": "done",
    "summary": {
        "best": {"number": 0, "parameters": {"ema_fast": "5"}, "score": 1.5},
        "luck": {
            "tries": 1,
            "days": 10,
            "sharpe": 1.5,
            "luckiest_sharpe": 1.25,
            "deflated_sharpe": 0.5,
            "sharpe_interval": [-1.0, 3.0],
        },
        "walk_forward": {
            "windows": [
                {
                    "train": ["2025-01-31", "2025-02-03"],
                    "test": ["2025-02-04", "2025-02-06"],
                    "best": 0,
                    "parameters": {"ema_fast": "5", "trailing_stop": None},
                    "train_score": 2.25,
                    "test_score": None,
                    "test_return": -1.375,
                    "test_trades": 3,
                },
            ],
            "total_return": -1.375,
            "sharpe": None,
        },
    },
}
"""A sweep that was done, as far as its pages show it."""

MODELS: tuple[type[models.Model], ...] = (
    User,
    APIKey,
    BotConfig,
    BotState,
    Trade,
    Order,
    Position,
    Backtest,
    BacktestRun,
    Sweep,
    Notification,
    Webhook,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """One owner with a row of every model."""

    owner: User
    api_key: APIKey
    bot: BotConfig
    state: BotState
    trade: Trade
    order: Order
    position: Position
    backtest: Backtest
    run: BacktestRun
    sweep: Sweep
    notification: Notification
    webhook: Webhook

    @property
    def all(self) -> tuple[models.Model, ...]:
        return (
            self.owner,
            self.api_key,
            self.bot,
            self.state,
            self.trade,
            self.order,
            self.position,
            self.backtest,
            self.run,
            self.sweep,
            self.notification,
            self.webhook,
        )


def make_rows(number: int = 1) -> Rows:
    owner = make_user(f"owner{number}@example.com")
    owner.reset_token = RESET_TOKEN
    owner.save()
    store_hash(owner, OLD_HASH)
    api_key = make_api_key(owner)
    bot = make_bot(owner, api_key=api_key, initial_capital=LONG, transfer_amount=SMALL)
    position = make_closed_position(bot)
    backtest = make_backtest(
        owner,
        parameters={"ema_fast": 9},
        daily_results=[{"date": "2025-01-01", "pnl_pct": 1.5}],
    )
    return Rows(
        owner=owner,
        order=position.orders.get(),
        position=position,
        api_key=api_key,
        bot=bot,
        state=BotState.objects.create(
            bot_config=bot,
            entry_price=LONG,
            current_position_size_coins=SMALL,
            last_run_at=dt.datetime(2025, 5, 23, 12, tzinfo=dt.UTC),
        ),
        trade=make_trade(
            bot,
            LONG,
            quantity_filled=SMALL,
            binance_order_id=str(number),
            timestamp=dt.datetime(2025, 5, 23, 12, tzinfo=dt.UTC),
        ),
        backtest=backtest,
        run=make_run(owner, status="done", backtest=backtest),
        sweep=make_sweep(owner, **SWEPT),
        notification=make_notification(owner, bot_config_id=bot.pk),
        webhook=Webhook.objects.create(
            user=owner,
            url=f"https://receiver.example.com/{URL_TOKEN}",
            encrypted_secret=crypto.encrypt(WEBHOOK_SECRET),
        ),
    )


def make_api_key(owner: User, **values: Any) -> APIKey:
    return APIKey.objects.create(
        **{
            "user": owner,
            "label": "Main account",
            "encrypted_api_key": crypto.encrypt(API_KEY),
            "encrypted_secret_key": crypto.encrypt(API_SECRET),
            **values,
        }
    )


def secrets_of(rows: Rows) -> list[str]:
    """Return what no page may contain: secrets, and the parts that identify them."""
    return [
        API_KEY,
        API_SECRET,
        API_KEY[4:10],
        rows.api_key.encrypted_api_key,
        rows.api_key.encrypted_secret_key,
        "gAAAA",
        WEBHOOK_SECRET,
        URL_TOKEN,
        RESET_TOKEN,
        RESET_TOKEN[:8],
        SALT[:6],  # Django would show six characters of each of these
        DIGEST[:6],
        "bcrypt",
    ]


def store_hash(user: User, password_hash: str) -> None:
    """Write a password hash as the old program did, past Django."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE users SET hashed_password = %s WHERE id = %s",
            [password_hash, user.pk],
        )


def stored_hash(user: User) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT hashed_password FROM users WHERE id = %s", [user.pk])
        (value,) = cursor.fetchone()
    assert isinstance(value, str)
    return value


def make_superuser(email: str = "admin@example.com") -> User:
    return User.objects.create_superuser(email, PASSWORD)


def make_staff(*permissions: str, email: str = "staff@example.com") -> User:
    """Make a user who may enter the admin and do there what is named, as in
    ``view_trade``, and nothing else.
    """
    user = make_user(email, password=PASSWORD, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def admin_url(page: str, row: models.Model | type[models.Model], *args: Any) -> str:
    """Return the path of an admin page: of a row where one is given."""
    if isinstance(row, models.Model) and not args:
        args = (row.pk,)
    options = row._meta
    return reverse(f"admin:{options.app_label}_{options.model_name}_{page}", args=args)


class _FormParser(HTMLParser):
    """Collect what a browser would send of the form of a row, as it comes."""

    def __init__(self) -> None:
        super().__init__()
        self.data: dict[str, list[str]] = {}
        self._inside = False
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name, value = given.get("name") or "", given.get("value") or ""
        if tag == "form":
            self._inside = (given.get("id") or "").endswith("_form")
        elif not self._inside:
            return
        elif tag == "select":
            self._select = name
        elif tag == "option" and "selected" in given:
            self.data.setdefault(self._select, []).append(value)
        elif tag == "input" and given.get("type") == "checkbox":
            if "checked" in given:
                self.data[name] = [value or "on"]
        elif tag == "input" and given.get("type") != "submit" and name:
            self.data[name] = [value]


def form_data(client: Client, path: str) -> dict[str, list[str]]:
    """Open the form of a row; return what a browser would send of it, unedited."""
    parser = _FormParser()
    parser.feed(client.get(path).content.decode())
    assert parser.data, f"there is no form at {path}"
    return parser.data


def cells_of(text: str, field: str) -> list[str]:
    """Return what a change list shows of a field, row by row, without markup."""
    cells = re.findall(
        rf'<t[hd] class="field-{field} [^>]*>(.*?)</t[hd]>', text, re.DOTALL
    )
    return [re.sub(r"<[^>]*>", "", cell).strip() for cell in cells]
