"""What holds for every operation alike."""

from __future__ import annotations

import json
from typing import Any

import pytest

from accounts.models import User
from tests.api.endpoints import (
    operations,
    protected,
    with_ids,
    writes,
    written_fields,
)
from tests.clients import JSONClient, broken_fields, read_problem
from tests.factories import make_one_of_everything, make_symbols, make_user

NOT_JSON = [
    b"{",
    b"nonsense",
    b"{'a': 1}",
    b'{"a": NaN}',
    b'{"a": Infinity}',
    b'{"a": 1e99999999999999999999}',
    b"\xff\xfe",
    b'"\xed\xa0\x80"',
    b'{"a": "\\ud800"}',
    b'{"a": "\\ude00x"}',
    b"\xef\xbb\xbf{}",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"a": ' + b"9" * 5000 + b"}",
]
NOT_JSON_TYPES = [
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/plain",
    "application/xml",
    "nonsense",
]
IDS_OF_NOTHING = ["0", "-1", "2147483648", "9" * 30, "9" * 5000]
NO_IDS = ["abc", "1.5", "%00", "１", "1e3", "' or 1", "-", "1-1"]
NOT_OBJECTS: list[object] = [[], [{}], "text", 5, 1.5, True]
_VALUES: list[object] = [
    *(None, True, "", " ", "\0", "text", "\u202e\U0001f600", "x" * 20_000),
    *(0, -1, 5, 1.5, 50, 2**31, 2**63, 2**64, -(2**63), 10**30, 10**400),
    *("NaN", "-Infinity", "1e400", "1e-400", "1e999999", "9" * 5000),
    *([], {}, [[]], {"a": {}}, ["\0"]),
]
ODD_VALUES = [json.dumps(value).encode() for value in _VALUES] + [
    *(b"1e400", b"-1e400", b"1e-400", b"1e999999999", b"-1e-999999999"),
    *(b"-0.0", b"0e-400"),
]


@pytest.mark.alike
@pytest.mark.parametrize(("method", "path"), protected())
def test_anonymous_is_challenged(anonymous: JSONClient, method: str, path: str) -> None:
    response = anonymous.send(method, path, b"{}")

    read_problem(response, 401)
    assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.alike
@pytest.mark.django_db
@pytest.mark.parametrize(("method", "path"), protected())
def test_inactive_is_bad_request(method: str, path: str) -> None:
    client = JSONClient(make_user(is_active=False))

    read_problem(client.send(method, path, b"{}"), 400)


@pytest.mark.alike
@pytest.mark.parametrize("path", sorted({path for _, path in operations()}))
def test_wrong_method_is_told_the_right_ones(api: JSONClient, path: str) -> None:
    known = {method for method, one in operations() if one == path}
    if "GET" in known:
        known.add("HEAD")
    every = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO"}

    for method in sorted(every - known - {"HEAD"}):
        response = api.send(method, path)
        read_problem(response, 405)
        assert set(response.headers["Allow"].split(", ")) == known


@pytest.mark.alike
@pytest.mark.parametrize(("method", "path"), operations())
def test_both_forms_of_the_path_are_served(
    anonymous: JSONClient, method: str, path: str
) -> None:
    other = path.removesuffix("/") if path.endswith("/") else f"{path}/"

    codes = {anonymous.send(method, one, b"{}").status_code for one in (path, other)}

    assert codes in ({401}, {422}, {503})


@pytest.mark.alike
@pytest.mark.parametrize(
    ("method", "path"), [one for one in operations() if "/1" in one[1]]
)
def test_odd_id_is_missing_or_refused(
    api: JSONClient, anonymous: JSONClient, method: str, path: str
) -> None:
    for pk in IDS_OF_NOTHING:
        response = api.send(method, path.replace("/1", f"/{pk}"), b"{}")
        # Some fields of a PUT are required, and that is told first.
        assert response.status_code in ({404, 422} if method == "PUT" else {404})
    for pk in NO_IDS:
        odd = path.replace("/1", f"/{pk}")
        assert broken_fields(api.send(method, odd, b"{}")) == {"id"}
        read_problem(anonymous.send(method, odd, b"{}"), 401)


@pytest.mark.alike
@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("PATCH", "/bot-configs/1", {"leverage": 500}, "leverage"),
        ("PUT", "/bot-states/1", {"status": 5}, "status"),
        ("PATCH", "/trades/1", {"price": -1}, "price"),
        ("PATCH", "/api-keys/1", {"environment": "moon"}, "environment"),
        ("POST", "/bots/1/stop", {"close": "x"}, "close"),
    ],
)
def test_malformed_body_is_told_before_that_nothing_is_there(
    api: JSONClient, method: str, path: str, body: dict[str, Any], field: str
) -> None:
    assert broken_fields(api.send(method, path, body)) == {field}
    read_problem(
        api.send(method, path, {} if method != "PUT" else {"status": "x"}), 404
    )


@pytest.mark.alike
@pytest.mark.parametrize(("method", "path"), writes())
def test_body_that_is_not_json_is_refused_before_the_login(
    anonymous: JSONClient, method: str, path: str
) -> None:
    for body in NOT_JSON:
        response = anonymous.send(method, path, body)
        assert broken_fields(response) == {"body"}, body[:20]


@pytest.mark.alike
@pytest.mark.parametrize(("method", "path"), writes())
def test_body_of_another_type_is_refused(
    anonymous: JSONClient, method: str, path: str
) -> None:
    for media_type in NOT_JSON_TYPES:
        response = anonymous.generic(
            method, f"/api/v1{path}", b"email=a%40example.com", media_type
        )

        detail = read_problem(response, 415)["detail"]  # type: ignore[arg-type]
        assert "application/json" in detail, media_type


@pytest.mark.alike
@pytest.mark.parametrize(("method", "path"), writes())
def test_body_too_large_is_refused(
    anonymous: JSONClient, method: str, path: str
) -> None:
    body = json.dumps({"name": "x" * 1_048_576}).encode()

    read_problem(anonymous.send(method, path, body), 413)


@pytest.fixture
def ids(user: User) -> dict[str, int]:
    """The ids of rows of the caller."""
    return make_one_of_everything(user)


@pytest.mark.alike
@pytest.mark.parametrize(("method", "path"), writes())
def test_body_that_is_no_object_is_refused(
    api: JSONClient, ids: dict[str, int], method: str, path: str
) -> None:
    for body in NOT_OBJECTS:
        response = api.send(method, with_ids(path, ids), body)
        assert broken_fields(response) == {"body"}, body


@pytest.mark.long
@pytest.mark.alike
@pytest.mark.parametrize(("method", "path"), writes())
def test_odd_values_are_no_failure(
    api: JSONClient, ids: dict[str, int], method: str, path: str
) -> None:
    make_symbols()
    target = with_ids(path, ids)
    for value in ODD_VALUES:
        fields = written_fields(method, path)
        # Once for all fields, then for those that accepted the value, so that it gets
        # as far as the database.
        for _ in range(2):
            content = b", ".join(
                b'"%s": %s' % (name.encode(), value) for name in fields
            )
            response = api.send(method, target, b"{%s}" % content)
            answered = response.status_code
            assert answered in {200, 201, 400, 401, 404, 409, 422, 429, 502}, value[:40]
            if answered != 422:
                break
            fields = sorted(set(fields) - broken_fields(response))


@pytest.mark.alike
@pytest.mark.parametrize(
    ("method", "path"), [one for one in operations() if one[0] in {"GET", "DELETE"}]
)
def test_body_that_nobody_asked_for_is_ignored(
    api: JSONClient, ids: dict[str, int], method: str, path: str
) -> None:
    response = api.send(method, with_ids(path, ids), b"{nonsense")

    # 502, 503: streams need another server, symbols an exchange.
    assert response.status_code in {200, 204, 502, 503}
