from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest

from accounts.models import User
from tests.clients import JSONClient, broken_fields, read
from tests.factories import make_bot, make_trade


@pytest.fixture
def ids(user: User) -> list[int]:
    bot = make_bot(user)
    return [make_trade(bot).pk for _ in range(5)]


def links(header: str) -> dict[str, int]:
    """Return the offsets by relation."""
    found = re.findall(r'<([^>]+)>; rel="(\w+)"', header)
    queries = {relation: parse_qs(urlsplit(url).query) for url, relation in found}
    assert all(query["limit"] == ["2"] for query in queries.values())
    return {relation: int(query["offset"][0]) for relation, query in queries.items()}


@pytest.mark.alike
def test_list_without_parameters_is_whole(api: JSONClient, ids: list[int]) -> None:
    response = api.send("GET", "/trades/")

    assert [one["id"] for one in read(response)] == ids
    assert response.headers["X-Total-Count"] == "5"
    assert "Link" not in response.headers


@pytest.mark.alike
@pytest.mark.parametrize(
    ("query", "window", "expected"),
    [
        ("limit=2", slice(0, 2), {"first": 0, "next": 2}),
        ("limit=2&offset=2", slice(2, 4), {"first": 0, "prev": 0, "next": 4}),
        ("limit=2&offset=4", slice(4, 5), {"first": 0, "prev": 2}),
        ("limit=2&offset=99", slice(5, 5), {"first": 0, "prev": 97}),
        ("offset=3", slice(3, 5), {}),
    ],
)
def test_list_window_has_total_and_links(
    api: JSONClient,
    ids: list[int],
    query: str,
    window: slice,
    expected: dict[str, int],
) -> None:
    response = api.send("GET", f"/trades/?{query}")

    assert [one["id"] for one in read(response)] == ids[window]
    assert response.headers["X-Total-Count"] == "5"
    assert (links(response.headers["Link"]) if expected else {}) == expected


@pytest.mark.alike
@pytest.mark.parametrize(
    "path", ["/trades", "/bot-configs", "/bot-states", "/api-keys"]
)
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("offset=-1", "offset"),
        ("offset=%00", "offset"),
        ("offset=1e99", "offset"),
    ],
)
def test_list_bad_window_is_refused(
    api: JSONClient, path: str, query: str, field: str
) -> None:
    assert broken_fields(api.send("GET", f"{path}?{query}")) == {field}


@pytest.mark.alike
def test_window_and_choice_are_refused_together(api: JSONClient) -> None:
    for path in ("/trades", "/bots/summary"):
        response = api.send("GET", f"{path}?limit=0&offset=x&start_date=soon")

        assert broken_fields(response) == {"limit", "offset", "start_date"}
