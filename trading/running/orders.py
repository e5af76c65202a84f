"""Orders of one bot: stored before they are sent, looked for before another is sent.

An order goes through these steps, each of which may be the last one that a process
does: the intent is committed; it is sent; the answer is committed. Whoever comes next
finds the intent and asks the exchange what became of it (``OrderDesk.settle``). One
that is not there when the exchange would no longer take it is LOST. None is sent twice.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Sequence
from decimal import Decimal

from django.db import transaction

from apikeys.models import APIKey
from bots.leases import lease_hold
from bots.models import BotConfig, BotRun, PositionType
from bots.services import TRADED_BY
from trading.exchanges.base import (
    ACCEPTED_FOR,
    AmbiguousError,
    Exchange,
    ExchangeError,
    FillReport,
    OrderKind,
    OrderReport,
    OrderRequest,
    RejectedError,
    ReportStatus,
    Side,
)
from trading.halts import REASON as HALTED
from trading.halts import halt_in_force
from trading.models import Fill, Order, Position
from trading.running.positions import position_after, tell_closed
from trading.running.rules import Plan

logger = logging.getLogger(__name__)

Role = Order.Role
Status = Order.Status

_ZERO = Decimal(0)
_PAIR = 2
# By how much the clock of the exchange may be behind ours, and its answers behind it.
_LAG = dt.timedelta(seconds=5)
# For how long an exchange tells of an order that ended without a fill, and some less.
_TOLD_FOR = dt.timedelta(days=2)
_FINISHED = {
    ReportStatus.FILLED: Status.FILLED,
    ReportStatus.CANCELED: Status.CANCELED,
    ReportStatus.REJECTED: Status.REJECTED,
}
_LETTERS = {
    Role.ENTRY: "e",
    Role.STOP: "s",
    Role.TARGET: "t",
    Role.EXIT: "x",
}


class NotWantedError(Exception):
    """No entry, for the reason that is named: things have changed a moment ago."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class OrderDesk:
    """Sends the orders of a bot and stores what becomes of them, under its lease.

    ``orders`` are those that are not finished. Every write may raise LeaseLostError.
    """

    def __init__(
        self,
        *,
        bot: BotConfig,
        run: BotRun,
        plan: Plan,
        exchange: Exchange,
        position: Position | None,
        orders: Sequence[Order],
        clock: Callable[[], dt.datetime],
    ) -> None:
        self.bot, self.run, self.plan, self.exchange = bot, run, plan, exchange
        self.position = position
        self.orders = list(orders)
        self.clock = clock

    def settle(self) -> dt.datetime | None:
        """Ask the exchange about all orders that are not finished.

        Returns when to ask again where it is still open whether one was taken.
        """
        again = None
        for order in list(self.orders):
            report = self.exchange.find(order.symbol, order.client_id)
            if report is not None:
                self.apply(order, report)
                continue
            if order.status not in Order.UNSETTLED:
                self._forget_canceled(order)
                continue
            end = order.signed_at + ACCEPTED_FOR + _LAG
            if self.clock() > end:
                self._store(order, status=Status.LOST)
            else:
                again = min(again or end, end)
        return again

    def enter(self, side: Side, quantity: Decimal, *, candle_at: dt.datetime) -> None:
        """Open a position at the market.

        Raises NotWantedError, and what ``Exchange.send`` raises.
        """
        order = self._intend(
            Role.ENTRY, side, OrderKind.MARKET, quantity, candle_at=candle_at
        )
        self._send(order)

    def exit(self, position: Position, *, candle_at: dt.datetime) -> None:
        """Close a position at the market: for the reason that it has."""
        order = self._intend(
            Role.EXIT,
            Side.SELL if position.sign > 0 else Side.BUY,
            OrderKind.MARKET,
            self.plan.filters.quantity(position.quantity),
            position=position,
            candle_at=candle_at,
        )
        self._send(order)

    def protect(
        self,
        position: Position,
        *,
        stop: Decimal | None,
        target: Decimal | None,
        candle_at: dt.datetime,
    ) -> None:
        """Put a stop and a target, at these prices, behind the whole position."""
        side = Side.SELL if position.sign > 0 else Side.BUY
        quantity = self.plan.filters.quantity(position.quantity)
        wanted = (
            (Role.STOP, OrderKind.STOP, stop),
            (Role.TARGET, OrderKind.LIMIT, target),
        )
        with transaction.atomic():
            orders = [
                self._intend(
                    role,
                    side,
                    kind,
                    quantity,
                    price=price,
                    position=position,
                    candle_at=candle_at,
                )
                for role, kind, price in wanted
                if price is not None
            ]
        if orders:
            self._send(*orders)

    def cancel(self, orders: Sequence[Order]) -> None:
        """Cancel orders and store how far they were filled."""
        for order in orders:
            self.renew()  # or they may be those of the next worker
            self.exchange.cancel(order.symbol, order.client_id)
        for order in orders:
            report = self.exchange.find(order.symbol, order.client_id)
            if report is not None:
                self.apply(order, report)
            else:
                self._forget_canceled(order)

    def renew(self) -> None:
        """Hold on to the lease; raises LeaseLostError where it is gone."""
        with transaction.atomic():
            lease_hold(self.run, now=self.clock())

    def _forget_canceled(self, order: Order) -> None:
        """Take an order that was known, and is not any more, for canceled.

        On futures, Binance does not tell of one that ended without a fill three days
        after it was made. A younger one is told of again soon.
        """
        if self.clock() - order.signed_at > _TOLD_FOR:
            self._store(order, status=Status.CANCELED)

    def forget(self, position: Position) -> None:
        """Close a position of which nothing is there, or too little for an order."""
        with transaction.atomic():
            lease_hold(self.run, now=self.clock())
            position.closed_at = self.clock()
            position.save(update_fields=["reason", "closed_at"])
            tell_closed(position, self.bot)
        self.position = None

    def liquidate(self, position: Position, report: OrderReport) -> None:
        """Store an order by which the exchange itself has closed a position."""
        with transaction.atomic():
            lease_hold(self.run, now=self.clock())
            order, _ = Order.objects.get_or_create(
                client_id=f"tb-{self.bot.pk}-liquidation-{report.order_id}",
                defaults={
                    "bot": self.bot,
                    "position": position,
                    "environment": self.bot.environment,
                    "market": self.plan.market,
                    "symbol": self.plan.symbol,
                    "role": Role.LIQUIDATION,
                    "side": Side.SELL if position.sign > 0 else Side.BUY,
                    "kind": OrderKind.MARKET,
                    "quantity": sum((fill.quantity for fill in report.fills), _ZERO),
                    "reduce_only": True,
                    "candle_at": self.clock(),
                    "signed_at": self.clock(),
                },
            )
        self.apply(order, report)

    def apply(self, order: Order, report: OrderReport) -> None:
        """Store what an exchange tells of an order: its fills and what follows."""
        status = _FINISHED.get(report.status) or (
            Status.PARTIAL if report.fills else Status.OPEN
        )
        if status == order.status and not report.fills:
            return
        known = set(order.fills.values_list("trade_id", flat=True))
        new = [
            self._fill(order, fill)
            for fill in report.fills
            if fill.trade_id not in known
        ]
        if status == order.status and not new:
            return
        with transaction.atomic():
            lease_hold(self.run, now=self.clock())
            Fill.objects.bulk_create(new)
            order.exchange_id = report.order_id
            order.status = status
            if new:
                self.position = position_after(
                    order, run=self.run, plan=self.plan, position=self.position
                )
            order.save(
                update_fields=[
                    "exchange_id",
                    "status",
                    "position",
                    "trade",
                    "updated_at",
                ]
            )
        self._forget_finished(order)

    def _intend(
        self,
        role: Order.Role,
        side: Side,
        kind: OrderKind,
        quantity: Decimal,
        *,
        candle_at: dt.datetime,
        price: Decimal | None = None,
        position: Position | None = None,
    ) -> Order:
        """Store an order that is about to be sent."""
        now = self.clock()
        prefix = f"tb-{self.bot.pk}-{int(candle_at.timestamp())}-{_LETTERS[role]}"
        with transaction.atomic():
            stored = lease_hold(self.run, now=now)
            if role == Role.ENTRY:
                self._check_wanted()
                stored.decided_at = self.run.decided_at = candle_at
                stored.save(update_fields=["decided_at"])
            earlier = Order.objects.filter(
                bot_id=self.bot.pk, client_id__startswith=f"{prefix}-"
            ).count()
            order = Order.objects.create(
                bot=self.bot,
                position=position,
                environment=self.bot.environment,
                market=self.plan.market,
                symbol=self.plan.symbol,
                client_id=f"{prefix}-{earlier}",
                role=role,
                side=side,
                kind=kind,
                quantity=quantity,
                price=price,
                reduce_only=role != Role.ENTRY,
                candle_at=candle_at,
                signed_at=now,
            )
        self.orders.append(order)
        return order

    def _check_wanted(self) -> None:
        """Look once more, where nobody can change it any more before the intent."""
        if halt_in_force() is not None:
            raise NotWantedError(HALTED)
        key_id = self.bot.api_key_id
        if self.plan.market == PositionType.FUTURES and key_id is not None:
            self._check_alone(key_id)
        bots = BotConfig.objects.select_for_update(no_key=True, of=("self",))
        bot = bots.filter(pk=self.bot.pk, is_active=True).first()
        if bot is None:
            raise NotWantedError("stopped")
        names = TRADED_BY | {"live_confirmed_at", "allow_short"}
        if any(
            bot.serializable_value(name) != self.bot.serializable_value(name)
            for name in names
        ):
            raise NotWantedError("changed")

    def _check_alone(self, key_id: int) -> None:
        """See to it that no other bot has the one position that the account may have.

        Two that enter at once wait for each other at their key.
        """
        APIKey.objects.select_for_update().filter(pk=key_id).first()
        same = {
            "bot__api_key_id": key_id,
            "environment": self.bot.environment,
            "market": self.plan.market,
            "symbol": self.plan.symbol,
        }
        positions = Position.objects.filter(**same, closed_at__isnull=True)
        orders = Order.objects.filter(**same, status__in=Order.UNFINISHED)
        for rows in (positions, orders):
            if rows.exclude(bot_id=self.bot.pk).exists():
                raise NotWantedError("crowded")

    def _send(self, *orders: Order) -> None:
        """Send one order, or two as a pair, and store the answer.

        Raises what the exchange raises; it is stored with the orders before.
        """
        requests = [self._request(order) for order in orders]
        try:
            reports: Sequence[OrderReport] = (
                self.exchange.send_pair(*requests)
                if len(requests) == _PAIR
                else [self.exchange.send(requests[0])]
            )
        except RejectedError as error:
            for order in orders:
                self._store(order, status=Status.REJECTED, error=str(error))
            raise
        except AmbiguousError as error:
            for order in orders:
                self._store(order, status=Status.UNKNOWN, error=str(error))
            raise
        except ExchangeError as error:  # it did not arrive
            for order in orders:
                self._store(order, status=Status.LOST, error=str(error))
            raise
        for order, report in zip(orders, reports, strict=True):
            self.apply(order, report)

    def _store(self, order: Order, **values: str) -> None:
        with transaction.atomic():
            lease_hold(self.run, now=self.clock())
            for name, value in values.items():
                setattr(order, name, value)
            order.save(update_fields=[*values, "updated_at"])
        if order.status == Status.LOST and self.run.decided_at == order.candle_at:
            self.run.decided_at = None  # the candle may be followed once more
        self._forget_finished(order)

    def _forget_finished(self, order: Order) -> None:
        if order.is_finished and order in self.orders:
            self.orders.remove(order)

    def _request(self, order: Order) -> OrderRequest:
        return OrderRequest(
            client_id=order.client_id,
            symbol=order.symbol,
            side=Side(order.side),
            kind=OrderKind(order.kind),
            quantity=order.quantity,
            price=order.price,
            reduce_only=order.reduce_only,
            signed_at=order.signed_at,
        )

    def _fill(self, order: Order, fill: FillReport) -> Fill:
        return Fill(
            order=order,
            trade_id=fill.trade_id,
            price=fill.price,
            quantity=fill.quantity,
            commission=fill.commission,
            commission_asset=fill.commission_asset,
            commission_quote=self._in_quote(fill),
            filled_at=fill.filled_at,
        )

    def _in_quote(self, fill: FillReport) -> Decimal:
        """Return a commission in the quote asset."""
        filters = self.plan.filters
        if not fill.commission or fill.commission_asset == filters.quote_asset:
            return fill.commission
        if fill.commission_asset == filters.base_asset:
            return fill.commission * fill.price
        pair = f"{fill.commission_asset}{filters.quote_asset}"
        try:
            return fill.commission * self.exchange.price(pair)
        except RejectedError:
            # There is no such pair: the fill counts all the same.
            logger.warning(
                "Bot %s paid %s %s, whose price is not known: not among its fees.",
                self.bot.pk,
                fill.commission,
                fill.commission_asset,
            )
            return _ZERO
