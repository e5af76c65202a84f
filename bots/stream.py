"""The status of bots as it changes, for those who watch it.

All who watch in this process share one look at the database every two seconds, for
whatever number of bots, and no connection is held between two looks.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Collection
from dataclasses import dataclass
from typing import Any

from django.db import connections
from django.dispatch import receiver

from bots.models import BotConfig
from tradebot.signals import server_closing

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0


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
    reason: str | None
    paused_until: dt.datetime | None
    owner_is_active: bool
    password_changed_at: dt.datetime | None
    """Of the owner: tokens from before it are void."""

    def as_event(self) -> dict[str, Any]:
        """Return what a client is told."""
        return {
            "status": self.status if self.has_state else "unknown",
            "in_position": bool(self.in_position),
            "entry_price": self.entry_price,
            "daily_pnl": self.daily_pnl or 0,
            "daily_trades_count": self.daily_trades_count or 0,
            "last_updated_at": _spelled(self.last_updated_at),
            "reason": self.reason,
            "paused_until": _spelled(self.paused_until),
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
        "state__reason",
        "state__paused_until",
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
            reason=reason,
            paused_until=paused_until,
            owner_is_active=bool(owner_is_active),
            password_changed_at=password_changed_at,
        )
        for (
            pk, state_pk, status, in_position, entry_price, daily_pnl,
            daily_trades_count, last_updated_at, reason, paused_until,
            owner_is_active, password_changed_at,
        ) in rows
    }  # fmt: skip


def _spelled(moment: dt.datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(dt.UTC).isoformat()


class StatusFeed:
    """Looks for all who watch, and wakes them after each look."""

    def __init__(self) -> None:
        self._watched: Counter[int] = Counter()
        self._asked: set[int] = set()
        self._seen: dict[int, BotStatus] = {}
        self._looked = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self._closed = False

    async def watch(self, bot_id: int) -> AsyncGenerator[BotStatus | None]:
        """Yield the status of a bot every two to four seconds, changed or not.

        Where the database cannot be asked, or is slow, it is the one before; None where
        there is none yet. Ends with the bot, or when the process is about to end.
        """
        self._watched[bot_id] += 1
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        try:
            while not self._closed:
                await self._looked.wait()
                status = self._seen.get(bot_id)
                if status is None and bot_id in self._asked:
                    return
                yield status  # None: that look had begun before
        finally:
            self._watched[bot_id] -= 1
            if not self._watched[bot_id]:
                del self._watched[bot_id]
                self._asked.discard(bot_id)
                self._seen.pop(bot_id, None)

    def close(self) -> None:
        """Let all who watch come to an end."""
        self._closed = True
        self._wake()

    async def _look(self) -> None:
        reading: asyncio.Task[dict[int, BotStatus]] | None = None
        # One that hangs is waited for to its end: there is never more than one.
        while (self._watched or reading) and not self._closed:
            await asyncio.sleep(LOOK_EVERY_S)
            if reading is None:
                asked = set(self._watched)
                read = asyncio.to_thread(_read_and_leave, asked)
                reading = asyncio.create_task(read)
            await asyncio.wait([reading], timeout=LOOK_EVERY_S)
            if reading.done():
                self._take(reading, asked)
                reading = None
            self._wake()
        self._looking = None

    def _take(
        self, reading: asyncio.Task[dict[int, BotStatus]], asked: set[int]
    ) -> None:
        try:
            seen = reading.result()
        except Exception:  # the next look may succeed
            logger.exception("The status of the bots that are watched is unknown")
            return
        # Not of those whom nobody watches any more: it would be told to who comes next.
        self._asked = asked & self._watched.keys()
        self._seen = {pk: one for pk, one in seen.items() if pk in self._asked}

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
