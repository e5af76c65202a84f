from __future__ import annotations

import io
import os
import pty
import select
import subprocess
import sys
import time
from contextlib import suppress

import pytest
from django.core.management import CommandError, call_command
from django.db.backends.base.base import BaseDatabaseWrapper

from accounts.models import User
from tests.admin_data import PASSWORD, stored_hash
from tests.factories import make_user
from tests.processes import ROOT, SECRETS, database_url, environment, manage


def create(monkeypatch: pytest.MonkeyPatch, **variables: str) -> str:
    """Run the command without questions, with these environment variables."""
    for name in ("EMAIL", "PASSWORD"):
        monkeypatch.delenv(f"DJANGO_SUPERUSER_{name}", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(f"DJANGO_SUPERUSER_{name}", value)
    output = io.StringIO()
    call_command("createsuperuser", interactive=False, stdout=output)
    return output.getvalue()


@pytest.mark.alike
@pytest.mark.django_db
def test_superuser_from_the_environment_is_created(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    output = create(monkeypatch, EMAIL="Admin@EXAMPLE.com", PASSWORD=PASSWORD)

    assert "Superuser created successfully." in output
    user = User.objects.get()
    assert user.email == "Admin@example.com"
    assert (user.is_active, user.is_staff, user.is_superuser) == (True, True, True)
    assert user.check_password(PASSWORD)
    assert stored_hash(user).startswith("$2b$")


@pytest.mark.alike
@pytest.mark.django_db
@pytest.mark.parametrize("taken", ["admin@example.com", "Admin@Example.COM"])
@pytest.mark.parametrize("email", ["ADMIN@example.com", "Ada <admin@EXAMPLE.com>"])
def test_superuser_with_an_address_that_is_taken_in_any_form_is_refused(
    monkeypatch: pytest.MonkeyPatch, taken: str, email: str
) -> None:
    make_user(taken)

    with pytest.raises(CommandError, match="That e-mail address is already taken"):
        create(monkeypatch, EMAIL=email, PASSWORD=PASSWORD)

    assert User.objects.count() == 1


@pytest.mark.alike
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "You must use --email with --noinput"),
        ({"EMAIL": ""}, "E-mail address cannot be blank"),
        ({"EMAIL": "no address"}, "Enter a valid e-mail address"),
    ],
)
def test_superuser_without_a_usable_address_is_refused(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], message: str
) -> None:
    with pytest.raises(CommandError, match=message):
        create(monkeypatch, PASSWORD=PASSWORD, **variables)

    assert not User.objects.exists()


@pytest.mark.alike
@pytest.mark.django_db
@pytest.mark.parametrize("variables", [{}, {"PASSWORD": ""}, {"PASSWORD": "short"}])
def test_superuser_without_a_password_that_the_policy_accepts_is_refused(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    with pytest.raises(
        CommandError, match=r"DJANGO_SUPERUSER_PASSWORD: .* at least 12"
    ):
        create(monkeypatch, EMAIL="admin@example.com", **variables)

    assert not User.objects.exists()


def converse(command: list[str], answers: list[tuple[str, str]], **env: str) -> str:
    """Run a command at a terminal; type each answer when its question is asked.

    Return all that the terminal showed. Fails after a minute.
    """
    master, terminal = pty.openpty()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(**env),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    until = time.monotonic() + 60
    shown, read_up_to = "", 0
    waiting = list(answers)
    try:
        # Reading fails once the program has closed its side.
        with suppress(OSError):
            while True:
                ready, _, _ = select.select([master], [], [], until - time.monotonic())
                assert ready, f"it asks nothing more: {shown!r}"
                data = os.read(master, 4096)
                if not data:
                    break
                shown += data.decode()
                while waiting and waiting[0][0] in shown[read_up_to:]:
                    question, answer = waiting.pop(0)
                    read_up_to = shown.index(question, read_up_to) + len(question)
                    os.write(master, f"{answer}\n".encode())
        assert process.wait(timeout=30) == 0, shown
    finally:
        process.kill()
        process.wait()
        os.close(master)
    assert not waiting, f"it never asked {waiting}: {shown!r}"
    return shown


@pytest.mark.long
@pytest.mark.alike
def test_superuser_at_a_terminal_is_asked_for_address_and_password_only(
    migrated_database: BaseDatabaseWrapper,
) -> None:
    url = (
        database_url(migrated_database)
        if migrated_database.vendor == "postgresql"
        else f"sqlite:///{migrated_database.settings_dict['NAME']}"
    )
    env = {**SECRETS, "DATABASE_URL": url}
    migrated = manage("migrate", **env)
    assert migrated.returncode == 0, migrated.stderr
    User.objects.using(migrated_database.alias).create(email="First@example.com")

    shown = converse(
        [sys.executable, "manage.py", "createsuperuser"],
        [
            ("E-mail address: ", "first@example.com"),
            ("Error: That e-mail address is already taken.", ""),
            ("Error: This field cannot be blank.", "no address"),
            ("Error: Enter a valid e-mail address", "second@example.com"),
            ("Password: ", "too short"),
            ("Password (again): ", "too short"),
            ("The password must have at least 12 characters.", "n"),
            ("Password: ", PASSWORD),
            ("Password (again): ", PASSWORD),
        ],
        **env,
    )

    assert "Superuser created successfully." in shown
    assert PASSWORD not in shown
    first, second = User.objects.using(migrated_database.alias).order_by("id")
    assert (first.email, first.is_superuser) == ("First@example.com", False)
    assert (second.email, second.is_superuser) == ("second@example.com", True)
    assert second.check_password(PASSWORD)
