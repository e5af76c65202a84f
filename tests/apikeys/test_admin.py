from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from apikeys import crypto
from apikeys.models import APIKey
from bots.models import BotConfig
from tests.admin_data import (
    API_KEY,
    API_SECRET,
    MASKED_KEY,
    Rows,
    admin_url,
    cells_of,
    client_of,
    form_data,
    make_api_key,
    make_rows,
    make_superuser,
    secrets_of,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def rows() -> Rows:
    return make_rows()


@pytest.fixture
def superuser() -> Client:
    return client_of(make_superuser())


@pytest.mark.alike
def test_key_on_list_and_form_is_masked(superuser: Client, rows: Rows) -> None:
    for path in (admin_url("changelist", APIKey), admin_url("change", rows.api_key)):
        assert MASKED_KEY in superuser.get(path).content.decode()


@pytest.mark.alike
def test_key_that_cannot_be_decrypted_is_masked_whole(
    superuser: Client, rows: Rows
) -> None:
    APIKey.objects.update(encrypted_api_key="gAAAAno-token")

    text = superuser.get(admin_url("changelist", APIKey)).content.decode()

    assert cells_of(text, "key") == ["****"]
    assert "no-token" not in text


@pytest.mark.alike
def test_form_offers_the_label_alone(superuser: Client, rows: Rows) -> None:
    page = superuser.get(admin_url("change", rows.api_key))

    assert list(page.context["adminform"].form.fields) == ["label"]


@pytest.mark.alike
def test_label_edited_is_stored_and_the_rest_untouched(
    superuser: Client, rows: Rows
) -> None:
    path = admin_url("change", rows.api_key)
    form = form_data(superuser, path)

    superuser.post(
        path,
        {**form, "label": "Savings", "is_valid": "on", "encrypted_api_key": "forged"},
    )

    stored = APIKey.objects.get()
    assert stored.label == "Savings"
    assert stored.is_valid is False
    assert crypto.decrypt(stored.encrypted_api_key) == API_KEY
    assert crypto.decrypt(stored.encrypted_secret_key) == API_SECRET
    assert stored.updated_at is not None
    assert rows.api_key.updated_at is not None
    assert stored.updated_at > rows.api_key.updated_at


@pytest.mark.alike
def test_history_of_an_edited_key_shows_no_secret(
    superuser: Client, rows: Rows
) -> None:
    superuser.post(admin_url("change", rows.api_key), {"label": "Savings"})

    text = superuser.get(admin_url("history", rows.api_key)).content.decode()

    assert "Changed Label." in text
    assert not [secret for secret in secrets_of(rows) if secret in text]
    assert LogEntry.objects.get().object_repr == "Savings"


@pytest.mark.alike
def test_key_is_not_added(superuser: Client) -> None:
    assert superuser.get(admin_url("add", APIKey)).status_code == 403


@pytest.mark.alike
def test_label_that_the_user_has_already_is_refused(
    superuser: Client, rows: Rows
) -> None:
    make_api_key(rows.owner, label="Savings")

    response = superuser.post(
        admin_url("change", rows.api_key), {"label": "Savings"}, follow=True
    )

    assert "Choose another label." in response.content.decode()
    assert "was changed successfully" not in response.content.decode()
    rows.api_key.refresh_from_db()
    assert rows.api_key.label == "Main account"
    assert not LogEntry.objects.exists()


@pytest.mark.alike
@pytest.mark.parametrize("by", ["page", "action"])
def test_key_deleted_leaves_its_bot_without_key(
    superuser: Client, rows: Rows, by: str
) -> None:
    delete(superuser, rows, by)

    assert not APIKey.objects.exists()
    assert BotConfig.objects.get().api_key is None
    assert LogEntry.objects.count() == 1


@pytest.mark.alike
@pytest.mark.parametrize("by", ["page", "action"])
def test_key_of_a_running_bot_is_not_deleted(
    superuser: Client, rows: Rows, by: str
) -> None:
    BotConfig.objects.update(is_active=True)

    text = delete(superuser, rows, by)

    assert "before deleting it." in text
    assert APIKey.objects.exists()
    assert BotConfig.objects.get().api_key == rows.api_key
    assert not LogEntry.objects.exists()


def delete(superuser: Client, rows: Rows, by: str) -> str:
    """Delete the key on its own page, or by the action of the list."""
    path, data = {
        "page": (admin_url("delete", rows.api_key), {}),
        "action": (
            admin_url("changelist", APIKey),
            {"action": "delete_selected", "_selected_action": rows.api_key.pk},
        ),
    }[by]
    response = superuser.post(path, {**data, "post": "yes"}, follow=True)
    assert response.status_code == 200
    return response.content.decode()
