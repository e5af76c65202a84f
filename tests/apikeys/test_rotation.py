"""Stored credentials move to a new key, whatever happens meanwhile."""

from __future__ import annotations

import datetime as dt
import signal
import subprocess
import sys
import threading
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import override_settings

from apikeys import crypto, rotation
from apikeys.models import APIKey
from apikeys.services import api_key_update
from bots.models import BotConfig
from tests.databases import as_default, url_of
from tests.factories import make_bot, make_user
from tests.processes import ROOT, SECRETS, environment, serving
from trading.notifications.models import Webhook

OLD, NEW, LOST = (Fernet.generate_key().decode() for _ in range(3))
WHEN = dt.datetime(2025, 5, 23, 1, 2, 3, tzinfo=dt.UTC)


def make_keys(*fernet_keys: str) -> list[APIKey]:
    """Store a credential under each of these keys."""
    user = make_user(f"user{APIKey.objects.count()}@example.com")
    made = []
    for number, fernet_key in enumerate(fernet_keys):
        cipher = Fernet(fernet_key)
        made.append(
            APIKey(
                user=user,
                encrypted_api_key=cipher.encrypt(b"key %d" % number).decode(),
                encrypted_secret_key=cipher.encrypt(b"secret").decode(),
            )
        )
    APIKey.objects.bulk_create(made)
    APIKey.objects.update(updated_at=WHEN)
    return made


def run(*arguments: Any) -> str:
    output = StringIO()
    call_command("rotate_keys", *arguments, stdout=output)
    return output.getvalue()


def columns() -> list[Any]:
    return list(APIKey.objects.order_by("pk").values())


def secrets_under(*fernet_keys: str) -> list[str]:
    with override_settings(FERNET_KEYS=list(fernet_keys)):
        return [
            crypto.decrypt(key.encrypted_secret_key)
            for key in APIKey.objects.order_by("pk")
        ]


@pytest.mark.django_db
def test_rotation_leaves_the_first_key_alone_needed_and_nothing_else_changed() -> None:
    make_keys(OLD, NEW, OLD, NEW, OLD)
    before = columns()

    with override_settings(FERNET_KEYS=[NEW, OLD]):
        assert "current: 2\nto rotate: 3\nunreadable: 0\n" in run("--dry-run")
        assert columns() == before
        assert "5 seen, 3 rotated\n" in run("--batch", "2")
        once = columns()
        assert "current: 5\nto rotate: 0\n" in run()

    assert secrets_under(NEW) == ["secret"] * 5
    assert columns() == once, "a second run writes nothing"
    for old, new in zip(before, once, strict=True):
        moved = {name for name in old if old[name] != new[name]}
        assert moved in (set(), {"encrypted_api_key", "encrypted_secret_key"})
    assert {row["updated_at"] for row in once} == {WHEN}


@pytest.mark.alike
@pytest.mark.django_db
def test_rotation_names_what_it_cannot_read_and_does_the_rest() -> None:
    _, lost, half, _ = make_keys(OLD, LOST, OLD, OLD)
    half.encrypted_secret_key = Fernet(LOST).encrypt(b"x").decode()
    half.save()
    before = {row["id"]: row for row in columns()}

    with override_settings(FERNET_KEYS=[NEW, OLD]):
        for arguments in (["--dry-run"], []):
            with pytest.raises(CommandError) as error:
                run(*arguments)
            assert f"api_keys: {lost.pk}, {half.pk}. Add the key" in str(error.value)
            assert error.value.returncode == 1
        after = {row["id"]: row for row in columns()}

    assert [after[key.pk] for key in (lost, half)] == [
        before[key.pk] for key in (lost, half)
    ]
    with override_settings(FERNET_KEYS=[NEW]):
        moved = [crypto.is_readable(row["encrypted_api_key"]) for row in after.values()]
    assert moved == [True, False, False, True]


@pytest.mark.alike
@pytest.mark.django_db
def test_rotation_takes_the_secrets_of_webhooks_too() -> None:
    make_keys(OLD)
    for name, fernet_key in (("a", OLD), ("b", NEW), ("c", LOST), ("d", OLD)):
        Webhook.objects.create(
            user=make_user(f"{name}@example.com"),
            url="https://example.com",
            encrypted_secret=Fernet(fernet_key).encrypt(name.encode()).decode(),
        )
    lost = Webhook.objects.get(user__email="c@example.com")

    with (
        override_settings(FERNET_KEYS=[NEW, OLD]),
        pytest.raises(CommandError, match=f"id: webhooks: {lost.pk}. Add the key"),
    ):
        run("--batch", "1")

    with override_settings(FERNET_KEYS=[NEW]):
        assert [
            crypto.decrypt(webhook.encrypted_secret)
            for webhook in Webhook.objects.exclude(pk=lost.pk).order_by("pk")
        ] == ["a", "b", "d"]
    assert secrets_under(NEW) == ["secret"]
    assert lost.encrypted_secret == Webhook.objects.get(pk=lost.pk).encrypted_secret


@pytest.mark.alike
@pytest.mark.django_db
def test_delete_takes_what_cannot_be_read_alone() -> None:
    good, lost = make_keys(OLD, LOST)
    bot = make_bot(lost.user, api_key=lost, is_active=True)

    with (
        override_settings(FERNET_KEYS=[OLD]),
        pytest.raises(CommandError, match=f"Not deleted: {good.pk}, 999999."),
    ):
        run("--delete", str(good.pk), str(lost.pk), "999999")

    assert APIKey.objects.get() == good
    bot = BotConfig.objects.get(pk=bot.pk)
    assert (bot.api_key, bot.is_active) == (None, False)


@pytest.mark.usefixtures("shared_database")
def test_rotation_waits_for_who_changes_a_row_and_keeps_the_change() -> None:
    _, other = make_keys(OLD, OLD)
    done = threading.Event()

    def rotate() -> None:
        try:
            for _ in rotation.rotate():
                pass
        finally:
            connection.close()
            done.set()

    with override_settings(FERNET_KEYS=[NEW, OLD]):
        with transaction.atomic():
            api_key_update(api_key=other, values={"secret_key": "changed"})
            thread = threading.Thread(target=rotate)
            thread.start()
            assert not done.wait(0.5)
        thread.join()

    assert secrets_under(NEW) == ["secret", "changed"]


def test_rotation_that_is_killed_is_continued(
    migrated_database: BaseDatabaseWrapper,
) -> None:
    url = url_of(migrated_database)
    settings = {**SECRETS, "FERNET_KEYS": f"{NEW},{OLD}", "DATABASE_URL": url}
    command = [sys.executable, "manage.py", "rotate_keys", "--batch", "10"]
    with as_default(migrated_database):
        make_keys(*[OLD] * 2000)

        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(**settings),
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stdout is not None
            for _ in range(3):
                assert "rotated" in process.stdout.readline()
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL

        with override_settings(FERNET_KEYS=[NEW]):
            rotated = sum(
                crypto.is_readable(key.encrypted_secret_key)
                for key in APIKey.objects.all()
            )
        assert 30 <= rotated < 2000
        assert rotated % 10 == 0
        assert secrets_under(NEW, OLD) == ["secret"] * 2000
        again = subprocess.run(
            command,
            cwd=ROOT,
            env=environment(**settings),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert f"current: {rotated:,}\nto rotate: {2000 - rotated:,}\n" in again.stdout
        assert secrets_under(NEW) == ["secret"] * 2000


@pytest.mark.alike
def test_server_says_which_credentials_it_cannot_read_and_stops_at_none(
    tmp_path: Path, migrated_database: BaseDatabaseWrapper
) -> None:
    settings = {**SECRETS, "DATABASE_URL": url_of(migrated_database)}
    command = [sys.executable, "-m", "gunicorn", "-c", "tradebot/gunicorn_config.py"]
    with as_default(migrated_database):
        _, lost, _ = make_keys(OLD, LOST, OLD)
        Webhook.objects.create(
            user=lost.user,
            url="https://example.com",
            encrypted_secret=Fernet(LOST).encrypt(b"secret").decode(),
        )
    for keys, expected in (
        (OLD, f"api_keys 1 cannot be read with any of FERNET_KEYS: {lost.pk}."),
        (OLD, "webhooks 1 cannot be read with any of FERNET_KEYS: "),
        (NEW, "Not served: none of the stored exchange credentials can be read"),
    ):
        settings["FERNET_KEYS"] = keys
        with serving(tmp_path, command, **settings) as server:
            if keys == OLD:
                assert server.get("/health").status == 200
                server.stop()
            else:
                assert server.process.wait(timeout=30) == 1
            assert expected in server.log
            assert "gAAAA" not in server.log


@pytest.mark.alike
@pytest.mark.django_db
def test_sample_looks_further_only_where_nothing_can_be_read() -> None:
    with override_settings(FERNET_KEYS=[OLD]):
        assert rotation.take_sample() == rotation.Sample(
            unreadable={}, any_key_readable=True
        )
        _, lost, newest = make_keys(OLD, LOST, LOST)

        sample = rotation.take_sample(rows=2)

        assert sample.unreadable == {"api_keys": [newest.pk, lost.pk]}
        assert sample.any_key_readable
        APIKey.objects.filter(pk__lt=lost.pk).delete()
        assert not rotation.take_sample(rows=1).any_key_readable
