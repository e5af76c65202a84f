"""The event stream of a bot: what a client reads, and how it ends."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import time_machine
from asgiref.sync import sync_to_async
from django.db import OperationalError, connection, connections
from django.test import AsyncClient
from django.utils import timezone

from accounts.models import User
from accounts.tokens import token_issue
from bots import stream
from bots.api import stream as api_stream
from bots.models import BotConfig, BotState
from tests.clients import JSONClient, read_problem
from tests.factories import make_bot, make_user

pytestmark = pytest.mark.usefixtures("shared_database")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(stream, "feed", stream.StatusFeed())


@pytest.fixture
def bot() -> BotConfig:
    return make_bot(make_user())


class Watcher:
    """A client that reads one stream."""

    def __init__(self, user: User, bot_id: int, **headers: str) -> None:
        token = token_issue(user=user, remember=False, now=timezone.now())
        self.headers = {"Authorization": f"Bearer {token}", **headers}
        self.path = f"/api/v1/bots/{bot_id}/status-stream"

    async def __aenter__(self) -> Watcher:
        self.response = await AsyncClient().get(self.path, headers=self.headers)
        assert self.response.status_code == 200
        self._lines: AsyncIterator[bytes] = aiter(self.response)  # type: ignore[arg-type]
        assert await self.read() == "retry: 3000"
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._lines.aclose()  # type: ignore[attr-defined]
        # A server ends it from within, by cancelling what it waits for.
        await self.response._iterator.aclose()  # type: ignore[attr-defined]

    async def read(self) -> str:
        """Return the next block, without the empty line at its end."""
        async with asyncio.timeout(5):
            block = (await anext(self._lines)).decode()
        assert block.endswith("\n\n")
        return block.removesuffix("\n\n")

    async def event(self) -> tuple[str, dict[str, Any]]:
        """Return the id and the data of the next event."""
        first, second = (await self.read()).split("\n")
        return first.removeprefix("id: "), json.loads(second.removeprefix("data: "))

    async def has_ended(self) -> bool:
        try:
            await self.read()
        except StopAsyncIteration:
            return True
        return False


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    def forget_connection() -> None:
        connections["default"].close()
        del connections["default"]  # the thread stays, and the next test has another

    async def leave_no_connection() -> None:
        try:
            await scenario()
        finally:
            await sync_to_async(forget_connection)()

    asyncio.run(leave_no_connection())


def change(bot: BotConfig, **values: Any) -> Awaitable[Any]:
    return BotState.objects.aupdate_or_create(bot_config=bot, defaults=values)


def test_tells_each_change(bot: BotConfig) -> None:
    async def scenario() -> None:
        async with Watcher(bot.user, bot.pk) as watcher:
            headers = watcher.response.headers
            assert headers["Content-Type"] == "text/event-stream; charset=utf-8"
            assert headers["Cache-Control"] == "no-cache"
            assert headers["X-Accel-Buffering"] == "no"
            assert (await watcher.event())[1] == {
                "status": "unknown",
                "in_position": False,
                "entry_price": None,
                "daily_pnl": 0,
                "daily_trades_count": 0,
                "last_updated_at": None,
                "reason": None,
                "paused_until": None,
            }
            await change(bot, status="running", entry_price="1.5", in_position=True)
            first_id, first = await watcher.event()
            await change(bot, status=None, entry_price="1.5", daily_pnl="-0.25")
            second_id, second = await watcher.event()

        assert (first["status"], first["entry_price"]) == ("running", 1.5)
        assert first["in_position"] is True
        assert first["last_updated_at"].endswith("+00:00")
        assert (second["status"], second["daily_pnl"]) == (None, -0.25)
        assert first_id != second_id

    run(scenario)


def test_head_is_answered_without_a_stream(bot: BotConfig) -> None:
    async def scenario() -> None:
        watcher = Watcher(bot.user, bot.pk)
        response = await AsyncClient().head(watcher.path, headers=watcher.headers)
        assert (response.status_code, response.streaming) == (200, False)
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert response.headers["X-Accel-Buffering"] == "no"

    run(scenario)


def test_user_has_so_many_streams_and_no_more(
    bot: BotConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_stream, "MOST_OF_A_USER", 2)
    other = make_bot(make_user("other@example.com"))

    async def scenario() -> None:
        async with Watcher(bot.user, bot.pk), Watcher(bot.user, bot.pk) as second:
            third = await AsyncClient().get(second.path, headers=second.headers)
            problem = read_problem(third, 429)  # type: ignore[arg-type]
            assert "2 event streams" in problem["detail"]
            async with Watcher(other.user, other.pk):
                pass
        async with Watcher(bot.user, bot.pk):
            pass

    run(scenario)
    assert not api_stream._streams


def test_who_comes_back_is_told_what_is_new_only(
    bot: BotConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_stream, "HEARTBEAT_S", 0.1)

    async def scenario() -> None:
        await change(bot, status="running")
        async with Watcher(bot.user, bot.pk) as watcher:
            last, _ = await watcher.event()
        async with Watcher(bot.user, bot.pk, **{"Last-Event-ID": last}) as watcher:
            assert await watcher.read() == ": nothing new"
            await change(bot, status="stopped")
            while (block := await watcher.read()) == ": nothing new":
                pass
            assert '"status":"stopped"' in block
        async with Watcher(bot.user, bot.pk, **{"Last-Event-ID": last}) as watcher:
            assert (await watcher.event())[1]["status"] == "stopped"

    run(scenario)


@pytest.mark.parametrize("end", ["bot", "owner", "password", "process"])
def test_ends_with(bot: BotConfig, end: str) -> None:
    async def scenario() -> None:
        async with Watcher(bot.user, bot.pk) as watcher:
            await watcher.event()
            if end == "bot":
                await BotConfig.objects.filter(pk=bot.pk).adelete()
            elif end == "owner":
                await User.objects.filter(pk=bot.user_id).aupdate(is_active=False)
            elif end == "password":
                user = await User.objects.aget(pk=bot.user_id)
                user.set_password("Correct-Horse-8")
                await user.asave()
            else:
                stream.feed.close()
            assert await watcher.has_ended()

    run(scenario)


def test_ends_with_the_token(bot: BotConfig) -> None:
    async def scenario() -> None:
        async with Watcher(bot.user, bot.pk) as watcher:
            await watcher.event()
            later = timezone.now() + dt.timedelta(minutes=59, seconds=59)
            with time_machine.travel(later):
                await change(bot, status="running")
                assert (await watcher.event())[1]["status"] == "running"
            with time_machine.travel(later + dt.timedelta(seconds=2)):
                assert await watcher.has_ended()

    run(scenario)


def test_looks_once_for_all(bot: BotConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    read_statuses = stream.read_statuses

    def counted(bot_ids: Any) -> Any:
        looks.append(len(bot_ids))
        return read_statuses(bot_ids)

    monkeypatch.setattr(stream, "read_statuses", counted)
    others = [make_bot(bot.user) for _ in range(4)]

    async def scenario() -> None:
        watchers = [Watcher(bot.user, one.pk) for one in (bot, bot, *others)]
        for watcher in watchers:
            await watcher.__aenter__()
            await watcher.event()
        pending = [asyncio.create_task(watcher.event()) for watcher in watchers]
        await asyncio.sleep(0.2)  # until all are among those looked for
        looks.clear()
        began = time.monotonic()
        await asyncio.sleep(0.5)
        assert 1 <= len(looks) <= (time.monotonic() - began) / 0.05 + 1
        assert set(looks) == {5}
        for one in (bot, *others):
            await change(one, status="running")
        assert {(await task)[1]["status"] for task in pending} == {"running"}
        for watcher in watchers:
            await watcher.__aexit__()

    run(scenario)


@pytest.mark.postgresql
def test_holds_no_connection(bot: BotConfig) -> None:
    def sessions() -> int:
        try:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT count(*) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
                return int(cursor.fetchone()[0])
        finally:
            connection.close()  # of this thread

    connections.close_all()

    async def scenario() -> None:
        async with Watcher(bot.user, bot.pk) as watcher:
            await watcher.event()
            stream.LOOK_EVERY_S = 30  # no look while we look
            await asyncio.sleep(0.2)
            assert await asyncio.to_thread(sessions) == 0

    run(scenario)


def test_goes_on_after_the_database_was_away(
    bot: BotConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_statuses = stream.read_statuses
    failures = iter([OperationalError("gone"), OperationalError("gone")])

    def failing(bot_ids: Any) -> Any:
        for failure in failures:
            raise failure
        return read_statuses(bot_ids)

    async def scenario() -> None:
        async with Watcher(bot.user, bot.pk) as watcher:
            await watcher.event()
            monkeypatch.setattr(stream, "read_statuses", failing)
            await change(bot, status="running")
            assert (await watcher.event())[1]["status"] == "running"

    run(scenario)


def test_shows_that_it_lives_while_the_first_look_hangs(
    bot: BotConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_stream, "HEARTBEAT_S", 0.1)
    read_statuses, hanging, done = stream.read_statuses, [], threading.Event()

    def hang(bot_ids: Any) -> Any:
        hanging.append(bot_ids)
        done.wait(timeout=10)
        return read_statuses(bot_ids)

    monkeypatch.setattr(stream, "read_statuses", hang)

    async def scenario() -> None:
        async with Watcher(bot.user, bot.pk) as watcher:
            await watcher.event()
            try:
                for _ in range(3):
                    assert await watcher.read() == ": nothing new"
                assert len(hanging) == 1
                await change(bot, status="running")
            finally:
                done.set()
            while (block := await watcher.read()) == ": nothing new":
                pass
            assert '"status":"running"' in block

    run(scenario)


@pytest.mark.alike
def test_head_has_no_events(bot: BotConfig) -> None:
    async def scenario() -> None:
        watcher = Watcher(bot.user, bot.pk)
        response = await AsyncClient().head(watcher.path, headers=watcher.headers)
        assert response.status_code == 200
        assert response.headers["Content-Type"].startswith("text/event-stream")

    run(scenario)


@pytest.mark.alike
def test_bot_of_another_is_missing(bot: BotConfig) -> None:
    stranger = JSONClient(make_user("stranger@example.com"))

    read_problem(stranger.send("GET", f"/bots/{bot.pk}/status-stream"), 404)


@pytest.mark.alike
def test_threads_serve_no_streams(bot: BotConfig) -> None:
    owner = JSONClient(bot.user)

    response = owner.send("GET", f"/bots/{bot.pk}/status-stream")

    assert "WEB_WORKER=asgi" in read_problem(response, 503)["detail"]
