from __future__ import annotations

import pytest

from accounts.models import User
from tests.clients import JSONClient, read
from tests.factories import make_bot


@pytest.mark.alike
@pytest.mark.parametrize(
    "media_type",
    ["", "application/json", "application/json; charset=utf-8", "APPLICATION/JSON"],
)
def test_body_of_json_or_unnamed_type_is_read(
    api: JSONClient, user: User, media_type: str
) -> None:
    bot = make_bot(user)

    response = api.generic(
        "PATCH", f"/api/v1/bot-configs/{bot.pk}", b'{"name": "renamed"}', media_type
    )

    assert read(response)["name"] == "renamed"  # type: ignore[arg-type]


@pytest.mark.alike
def test_letters_are_not_escaped(api: JSONClient, user: User) -> None:
    make_bot(user, name="Ärger für 日本")

    response = api.send("GET", "/bot-configs/")

    assert response.headers["Content-Type"] == "application/json"
    assert '"name":"Ärger für 日本"'.encode() in response.content


@pytest.mark.alike
@pytest.mark.parametrize("accept", ["text/html", "application/xml", "nonsense", ""])
def test_whatever_is_accepted_gets_json(api: JSONClient, accept: str) -> None:
    response = api.send("GET", "/trades/?format=xml", headers={"Accept": accept})

    assert read(response) == []


@pytest.mark.alike
@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        ("0.1", "0.1"),
        ("1.10", "1.10"),
        ("100", "100"),
        ("1e3", "1000"),
        ('"12.50"', "12.50"),
        ("-0.0", "0.0"),
        ("0.000000000000000001", "1E-18"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
    ],
)
def test_number_is_answered_with_its_digits(
    api: JSONClient, user: User, sent: str, answered: str
) -> None:
    address = f"/bot-configs/{make_bot(user).pk}"

    changed = api.send("PATCH", address, f'{{"initial_capital": {sent}}}'.encode())

    for response in (changed, api.send("GET", address)):
        assert f'"initial_capital":{answered},'.encode() in response.content
