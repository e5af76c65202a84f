"""How many queries an answer takes does not depend on how many rows there are."""

from __future__ import annotations

from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from tests.api.endpoints import operations, with_ids
from tests.clients import JSONClient
from tests.factories import make_one_of_everything, make_symbols

READS = [path for method, path in operations() if method == "GET"]


def queries(api: JSONClient, path: str) -> list[str]:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        response = api.send("GET", path)
    assert response.status_code in {200, 502, 503}, path
    return [query["sql"] for query in captured.captured_queries]


def test_reads_take_as_many_queries_for_more_rows(api: JSONClient, user: User) -> None:
    make_symbols()
    ids = make_one_of_everything(user)
    paths = [with_ids(path, ids) for path in READS]
    before = {path: queries(api, path) for path in paths}
    for number in range(1, 6):
        make_one_of_everything(user, number)

    for path in paths:
        after = queries(api, path)
        assert len(after) == len(before[path]), (path, after)
        assert len(after) <= 5, (path, after)
