"""An HTTP client that speaks JSON, as the API does."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from accounts.models import User
from accounts.tokens import token_issue


class JSONClient(Client):
    """Sends and reads JSON; with the token of a user where it is given one."""

    def __init__(self, user: User | None = None) -> None:
        headers = {}
        if user is not None:
            token = token_issue(user=user, remember=False, now=timezone.now())
            headers["Authorization"] = f"Bearer {token}"
        super().__init__(headers=headers)

    def send(
        self, method: str, path: str, body: Any = b"", **extra: Any
    ) -> HttpResponse:
        """Send a request to a path under /api/v1.

        ``body`` is sent as it is where it is bytes, else as its JSON.
        """
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.generic(  # type: ignore[return-value]  # the stubs patch the class
            method, f"/api/v1{path}", data, "application/json", **extra
        )


def read(response: HttpResponse, status: int = 200) -> Any:
    """Return the JSON of an answer that must have this status."""
    assert response.status_code == status, response.content
    if not response.content:
        return None
    return json.loads(response.content)


def read_problem(response: HttpResponse, status: int) -> dict[str, Any]:
    """Return the problem details of an answer that must have this status."""
    problem: dict[str, Any] = read(response, status)
    assert response.headers["Content-Type"] == "application/problem+json"
    assert problem["status"] == status
    assert problem["type"]
    assert problem["title"]
    assert isinstance(problem["detail"], str)
    assert problem["detail"]
    return problem


def broken_fields(response: HttpResponse) -> set[str]:
    """Return the fields that a 422 complains about."""
    errors = read_problem(response, 422)["errors"]
    assert all(set(error) == {"field", "code", "message"} for error in errors)
    return {error["field"] for error in errors}
