"""The status of bots as it changes, for those who watch it.

All who watch in this process share one look at the database every two seconds, for
whatever number of bots, and no connection is held between two looks.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async
from django.db import connections
from django.dispatch import receiver

from bots.models import BotConfig
from tradebot.signals import server_closing

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
LONGEST_LOOK_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BotStatus:
    """Where a bot stands, and whether its owner may go on watching."""

    bot_config_id: int
    has_state: bool
    status: str | None
    in_position: bool | None
    entry_price: Any
    daily_pnl: Any
    daily_trades_count: int | None
    last_updated_at: dt.datetime | None
    owner_is_active: bool
    password_changed_at: dt.datetime | None
    """Of the owner: tokens from before it are void."""

    def as_event(self) -> dict[str, Any]:
        """Return what a client is told."""
        updated = self.last_updated_at
        return {
            "status": self.status if self.has_state else "unknown",
            "in_position": bool(self.in_position),
            "entry_price": self.entry_price,
            "daily_pnl": self.daily_pnl or 0,
            "daily_trades_count": self.daily_trades_count or 0,
            "last_updated_at": updated and updated.astimezone(dt.UTC).isoformat(),
        }


def read_statuses(bot_ids: Collection[int]) -> dict[int, BotStatus]:
    """Return the status of each bot that is there, with one query."""
    rows = BotConfig.objects.filter(pk__in=bot_ids).values_list(
        "pk",
        "state__pk",
        "state__status",
        "state__in_position",
        "state__entry_price",
        "state__daily_pnl",
        "state__daily_trades_count",
        "state__last_updated_at",
        "user__is_active",
        "user__password_changed_at",
    )
    return {
        pk: BotStatus(
            bot_config_id=pk,
            has_state=state_pk is not None,
            status=status,
            in_position=in_position,
            entry_price=entry_price,
            daily_pnl=daily_pnl,
            daily_trades_count=daily_trades_count,
            last_updated_at=last_updated_at,
            owner_is_active=bool(owner_is_active),
            password_changed_at=password_changed_at,
        )
        for (
            pk, state_pk, status, in_position, entry_price, daily_pnl,
            daily_trades_count, last_updated_at, owner_is_active, password_changed_at,
        ) in rows
    }  # fmt: skip


class StatusFeed:
    """Looks for all who watch, and wakes them after each look."""

    def __init__(self) -> None:
        self._watched: Counter[int] = Counter()
        self._asked: Collection[int] = ()
        self._seen: Mapping[int, BotStatus] = {}
        self._looked = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self._closed = False

    async def watch(self, bot_id: int) -> AsyncGenerator[BotStatus]:
        """Yield the status of a bot every two seconds, changed or not.

        Where the database cannot be asked it is the one before. Ends with the bot, or
        when the process is about to end.
        """
        self._watched[bot_id] += 1
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        try:
            while not self._closed:
                await self._looked.wait()
                if bot_id not in self._asked:
                    continue  # that look had begun before
                if (status := self._seen.get(bot_id)) is None:
                    return
                yield status
        finally:
            self._watched[bot_id] -= 1
            if not self._watched[bot_id]:
                del self._watched[bot_id]

    def close(self) -> None:
        """Let all who watch come to an end."""
        self._closed = True
        self._wake()

    async def _look(self) -> None:
        while self._watched and not self._closed:
            await asyncio.sleep(LOOK_EVERY_S)
            asked = set(self._watched)
            try:
                # Not in the thread of the request that came first: it ends with that.
                read = sync_to_async(_read_and_leave, thread_sensitive=False)
                self._seen = await asyncio.wait_for(read(asked), LONGEST_LOOK_S)
                self._asked = asked
            except Exception:  # the next look may succeed
                logger.exception("The status of the bots that are watched is unknown")
            self._wake()
        self._looking, self._asked, self._seen = None, (), {}

    def _wake(self) -> None:
        self._looked.set()
        self._looked = asyncio.Event()


feed = StatusFeed()
"""The one of this process."""


@receiver(server_closing)
def _close_feed(**kwargs: Any) -> None:
    feed.close()


def _read_and_leave(bot_ids: Collection[int]) -> dict[int, BotStatus]:
    try:
        return read_statuses(bot_ids)
    finally:
        connections.close_all()
