"""The API against its own document: whatever is sent, the answer is a declared one.

Some random cases of schemathesis in each run; with ``--long`` its examples, boundary
values and many random and stateful cases.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.clients import JSONClient
from tests.factories import make_one_of_everything, make_user
from tradebot.wsgi import application

CASE = settings(
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    max_examples=5,
)
LONG = settings(CASE, max_examples=100)


@schemathesis.check
def no_failure(ctx: Any, response: Any, case: Any) -> None:
    """Fail for 500; that something is not served here (502, 503) is an answer."""
    assert response.status_code != 500


CHECKS = [
    no_failure,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]


def load(*, coverage: bool) -> Any:
    # Streams do not end, and threads serve none.
    schema = schemathesis.openapi.from_wsgi("/openapi.json", application)
    schema.config.phases.coverage.enabled = coverage
    return schema.exclude(path_regex="status-stream")


random_cases, all_cases = load(coverage=False), load(coverage=True)


@pytest.fixture(autouse=True)
def _keep_connection() -> Iterator[None]:
    """Let requests leave the connection alone, as those of Django's client do."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def token(db: None) -> str:
    """The token of a user who has one of everything."""
    user = make_user()
    make_one_of_everything(user)
    return str(JSONClient(user).defaults["HTTP_AUTHORIZATION"])


@pytest.mark.alike
@random_cases.parametrize()  # type: ignore[untyped-decorator]
@CASE
def test_answers_are_declared(case: Any, token: str) -> None:
    case.call_and_validate(checks=CHECKS, headers={"Authorization": token})


@pytest.mark.long
@all_cases.parametrize()  # type: ignore[untyped-decorator]
@LONG
def test_all_answers_are_declared(case: Any, token: str) -> None:
    case.call_and_validate(checks=CHECKS, headers={"Authorization": token})


@pytest.mark.long
def test_what_answers_lead_to_is_declared(token: str) -> None:
    class Workflow(all_cases.as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            # Each run begins with the same rows, or it could not be repeated.
            self._before = transaction.savepoint()

        def teardown(self) -> None:
            transaction.savepoint_rollback(self._before)

        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"headers": {"Authorization": token}}

        def validate_response(self, response: Any, case: Any, **kwargs: Any) -> None:
            case.validate_response(response, checks=CHECKS)

    Workflow.run(settings=settings(LONG, stateful_step_count=8))
