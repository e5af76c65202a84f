"""Bodies that come in chunks reach the views."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pytest

from accounts.models import User
from tradebot.wsgi import application

# Django closes the connection after a request: not inside a transaction of the test.
pytestmark = pytest.mark.django_db(transaction=True)


def send_in_chunks(body: bytes) -> tuple[str, Any]:
    """POST a body as gunicorn hands on a chunked one: without a length."""
    statuses = []
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/api/v1/auth/register",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": "application/json",
        "HTTP_TRANSFER_ENCODING": "chunked",
        "wsgi.input": BytesIO(body),
        "wsgi.url_scheme": "http",
        "wsgi.errors": BytesIO(),
    }
    answer = b"".join(application(environ, lambda status, _: statuses.append(status)))
    return statuses[0], json.loads(answer)


def test_chunked_body_is_read() -> None:
    body = {"email": "chunk@example.com", "password": "Correct-Horse-7"}

    status, answer = send_in_chunks(json.dumps(body).encode())

    assert status == "201 Created"
    assert answer["email"] == "chunk@example.com"
    assert User.objects.get().email == "chunk@example.com"


def test_chunked_body_that_is_no_json_is_refused() -> None:
    status, answer = send_in_chunks(b"{{{")

    assert status.startswith("422")
    assert answer["errors"][0]["code"] == "json_invalid"


def test_chunked_body_that_is_too_large_is_refused() -> None:
    status, _ = send_in_chunks(b" " * 1_100_000)

    assert status.startswith("413")
