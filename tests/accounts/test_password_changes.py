"""Whichever way a password is set, the tokens from before are void."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from accounts.models import User
from tests.admin_data import make_superuser
from tests.clients import JSONClient, read, read_problem
from tests.factories import make_user

pytestmark = [pytest.mark.alike, pytest.mark.django_db]
NEW = "another Horse 5"


def by_command(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getpass", lambda prompt: NEW)
    call_command("changepassword", user.email, stdout=StringIO())


def by_administrator(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client()
    client.force_login(make_superuser())
    form = {"password1": NEW, "password2": NEW, "usable_password": "true"}
    path = reverse("admin:auth_user_password_change", args=[user.pk])
    assert client.post(path, form).status_code == 302


def by_taking_it_away(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    user.set_unusable_password()
    user.save()


@pytest.mark.parametrize("change", [by_command, by_administrator, by_taking_it_away])
def test_tokens_are_void_after_a_change_of_the_password(
    change: Callable[[User, pytest.MonkeyPatch], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    user = make_user()
    client = JSONClient(user)
    read(client.send("GET", "/auth/me"))

    change(user, monkeypatch)

    read_problem(client.send("GET", "/auth/me"), 401)
    user.refresh_from_db()
    read(JSONClient(user).send("GET", "/auth/me"))


def test_new_users_begin_with_a_time_of_their_password() -> None:
    superuser = User.objects.create_superuser("admin@example.com", NEW)

    assert superuser.password_changed_at is not None
