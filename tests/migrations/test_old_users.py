"""Users of the old program go on as before: passwords, tokens, keys and rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal

import jwt
import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder
from django.test import override_settings
from django.utils import timezone
from pytest_django.plugin import DjangoDbBlocker

from accounts.hashers import BcryptPasswordHasher
from accounts.models import User
from apikeys import crypto
from apikeys.models import APIKey
from backtests.models import Backtest
from bots.models import BotConfig, BotState
from tests.clients import JSONClient, read, read_problem
from tests.databases import scratch_database
from tests.factories import make_bot, make_trade
from tests.migrations import old_program
from tests.migrations.old_program import ADA, BOB, HEAD, INACTIVE, JUERGEN, PASSWORDS
from tradebot.schema.revisions import load_revisions
from trading.models import Trade

pytestmark = pytest.mark.postgresql


@pytest.fixture(scope="module")
def old_database(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[BaseDatabaseWrapper]:
    """The database of the old program, migrated to our head, as the default one."""
    with django_db_blocker.unblock(), scratch_database() as scratch:
        old_program.build(scratch, HEAD, rows=True)
        recorder = MigrationRecorder(scratch)
        recorder.ensure_schema()
        for revision in load_revisions():
            recorder.record_applied(*revision.migration)
        with override_settings(NAIVE_TIMES_ZONE="UTC"):
            call_command("migrate", database=scratch.alias, verbosity=0)
        default = connections["default"]
        default_settings = connections.databases["default"]
        connections.databases["default"] = scratch.settings_dict
        del connections["default"]
        try:
            yield connections["default"]
        finally:
            connections["default"].close()
            connections.databases["default"] = default_settings
            connections["default"] = default


@pytest.fixture(autouse=True)
def _settings_of_the_old_program(
    old_database: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """The old values under their new names, and hashes as costly as they were."""
    monkeypatch.setattr(BcryptPasswordHasher, "rounds", 12)
    with override_settings(
        JWT_SECRET=old_program.SECRET_KEY,
        JWT_ALGORITHM="HS256",
        JWT_WITHOUT_IAT_UNTIL=timezone.now() + dt.timedelta(days=1),
        FERNET_KEYS=[old_program.FERNET_KEY],
    ):
        yield


def old_token(email: str, id_: int, secret: str = old_program.SECRET_KEY) -> str:
    """Return a token as the old program made it."""
    expires = int(timezone.now().timestamp()) + 60
    claims = {"sub": email, "user_id": id_, "exp": expires}
    return jwt.encode(claims, secret, algorithm="HS256")


def log_in(email: str, password: str, status: int) -> object:
    body = {"email": email, "password": password}
    response = JSONClient().send("POST", "/auth/login", body)
    return read(response) if status == 200 else read_problem(response, status)


def hash_of(email: str, database: BaseDatabaseWrapper) -> str:
    with database.cursor() as cursor:
        cursor.execute("SELECT hashed_password FROM users WHERE email = %s", [email])
        return str(cursor.fetchone()[0])


@pytest.mark.parametrize("email", [ADA, JUERGEN, BOB])
def test_old_user_logs_in_with_the_old_password(
    email: str, old_database: BaseDatabaseWrapper
) -> None:
    before = hash_of(email, old_database)

    log_in(email, PASSWORDS[email], 200)

    # As the old program wants it, should it come back.
    assert hash_of(email, old_database) == before
    assert before.startswith("$2b$12$")


def test_old_user_with_another_password_is_refused() -> None:
    log_in(JUERGEN, PASSWORDS[JUERGEN].strip(), 401)


def test_inactive_old_user_is_told_so() -> None:
    log_in(INACTIVE, PASSWORDS[INACTIVE], 400)


def test_old_user_logs_in_with_the_address_in_another_case() -> None:
    log_in(ADA.lower(), PASSWORDS[ADA], 200)


@pytest.mark.parametrize(("email", "id_"), [(ADA, 3), (JUERGEN, 7), (BOB, 8)])
def test_old_token_is_accepted(email: str, id_: int) -> None:
    headers = {"Authorization": f"Bearer {old_token(email, id_)}"}

    answer = read(JSONClient().send("GET", "/auth/me", headers=headers))

    assert answer == {"id": id_, "email": email, "is_active": True}


def test_old_token_is_void_once_the_password_has_changed() -> None:
    headers = {"Authorization": f"Bearer {old_token(BOB, 8)}"}
    user = User.objects.get(email=BOB)
    user.set_password("Correct-Horse-8")
    user.save()

    read_problem(JSONClient().send("GET", "/auth/me", headers=headers), 401)
    read(JSONClient(user).send("GET", "/auth/me"))


def test_old_token_of_a_short_secret_is_accepted_beside_new_ones() -> None:
    headers = {"Authorization": f"Bearer {old_token(ADA, 3, 'changeme!')}"}
    client = JSONClient()
    read_problem(client.send("GET", "/auth/me", headers=headers), 401)

    with override_settings(
        JWT_SECRET=settings.SECRET_KEY,
        JWT_ALGORITHM="HS512",
        JWT_OLD_SECRET="changeme!",
    ):
        read(client.send("GET", "/auth/me", headers=headers))
        read(JSONClient(User.objects.get(email=BOB)).send("GET", "/auth/me"))


def test_old_exchange_keys_are_decrypted() -> None:
    keys = {
        key.pk: (
            crypto.decrypt(key.encrypted_api_key),
            crypto.decrypt(key.encrypted_secret_key),
        )
        for key in APIKey.objects.all()
    }

    assert keys == old_program.EXCHANGE_KEYS


@pytest.mark.parametrize(
    ("email", "counts"),
    [
        (ADA, {"api-keys": 1, "bot-configs": 1, "trades": 3, "backtest/list": 1}),
        (JUERGEN, {"api-keys": 1, "bot-configs": 2, "trades": 1, "backtest/list": 1}),
        (BOB, {"api-keys": 0, "bot-configs": 0, "trades": 0, "backtest/list": 0}),
    ],
)
def test_old_rows_are_served(email: str, counts: dict[str, int]) -> None:
    client = JSONClient(User.objects.get(email=email))

    for path, count in counts.items():
        answer = read(client.send("GET", f"/{path}"))
        rows = answer["data"] if isinstance(answer, dict) else answer
        assert len(rows) == count, path
        if path != "backtest/list":
            for row in rows:
                read(client.send("GET", f"/{path}/{row['id']}"))


def test_every_model_reads_its_table(old_database: BaseDatabaseWrapper) -> None:
    for model in apps.get_models(include_auto_created=True):
        rows = model._base_manager.all()
        with old_database.cursor() as cursor:
            cursor.execute(f'SELECT count(*) FROM "{model._meta.db_table}"')  # noqa: S608
            assert len([str(row) for row in rows]) == cursor.fetchone()[0], model


def test_old_values_are_read_as_they_were_written() -> None:
    exact = Decimal("12345678.123456789012345678")
    bot = BotConfig.objects.get(pk=6)
    trade = Trade.objects.get(pk=90_001)
    state = BotState.objects.get(pk=6)

    assert bot.position_size_fixed == state.entry_price == exact
    assert bot.max_daily_loss_perc == Decimal("1e-8")
    assert trade.price == Decimal("1e-30")
    assert trade.quantity_filled == Decimal(123456789012345678901234567890)
    assert trade.timestamp == dt.datetime(2025, 10, 26, 2, 30, tzinfo=dt.UTC)
    assert state.last_error_message == "line one\nline two: “ü”\t\\"
    assert BotConfig.objects.get(pk=4).leverage is None


def test_old_json_can_be_asked() -> None:
    def found(**look_up: object) -> list[int]:
        return list(Backtest.objects.filter(**look_up).values_list("pk", flat=True))

    assert found(parameters__leverage=1) == [1]
    assert found(parameters__note="ü") == [1]
    assert found(parameters__has_key="ü ₿") == [12]
    assert found(parameters__b=2) == [12], "the last of two equal names counts"
    assert found(daily_results__0__trades=2) == [1]
    assert found(monthly_results__isnull=True) == [12]


def test_next_ids_follow_the_highest_ever_used() -> None:
    user = User.objects.create_user("new@example.com")
    key = APIKey.objects.create(
        user=user, encrypted_api_key="x", encrypted_secret_key="x"
    )
    bot = make_bot(user)
    trade = make_trade(bot)
    old_backtest = Backtest.objects.get(pk=1)
    old_backtest.pk = None
    old_backtest.save()

    new = {row._meta.db_table: row.pk for row in (user, key, bot, trade, old_backtest)}
    assert new == {table: last + 1 for table, last in old_program.LAST_IDS.items()}
    user.delete()
