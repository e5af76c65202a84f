"""The simulated exchange: an account per bot, its books in the database.

It fills by the rules of the engine (``trading.engine.fills``), so as the backtester
does: market orders at the last price with slippage, what rests by the candles that
close while it rests, from the first that opens after it was placed. It asks of orders
what a real exchange asks, and refuses like one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from decimal import Decimal

from django.db import transaction

from bots.models import BotConfig
from trading.engine.fills import liquidation_level, market_fill, protective_exit
from trading.engine.types import Reason
from trading.exchanges.base import (
    FillReport,
    OrderKind,
    OrderReport,
    OrderRequest,
    RejectedError,
    ReportStatus,
    Side,
)
from trading.models import PaperAccount, PaperOrder
from trading.running.feed import Bar, Feed, Series
from trading.running.rules import Plan

Status = ReportStatus

_INFINITY = Decimal("Infinity")
_ZERO = Decimal(0)
_MATCH_EVERY = dt.timedelta(seconds=10)  # candles last a minute at least
_CLOSING = {Reason.SL: OrderKind.STOP, Reason.TP: OrderKind.LIMIT}


class PaperExchange:
    """One bot's account (``exchanges.base.Exchange``). Commissions are in the quote."""

    def __init__(
        self,
        *,
        bot: BotConfig,
        plan: Plan,
        feed: Feed,
        clock: Callable[[], dt.datetime],
    ) -> None:
        self._bot, self._plan, self._feed, self._clock = bot, plan, feed, clock
        self._series = Series(plan.market, plan.symbol, plan.interval, bot.candle_seed)
        self._matched_at: dt.datetime | None = None

    # --- The protocol -----------------------------------------------------------------

    def send(self, order: OrderRequest) -> OrderReport:
        (report,) = self._take(order)
        return report

    def send_pair(
        self, stop: OrderRequest, target: OrderRequest
    ) -> tuple[OrderReport, OrderReport]:
        one, other = self._take(stop, target)
        return one, other

    def find(self, symbol: str, client_id: str) -> OrderReport | None:
        self._match()
        order = PaperOrder.objects.filter(bot=self._bot, client_id=client_id).first()
        return None if order is None else self._report(order)

    def cancel(self, symbol: str, client_id: str) -> None:
        self._match()
        with transaction.atomic():
            self._account()
            found = PaperOrder.objects.filter(bot=self._bot, status=Status.OPEN)
            order = found.filter(client_id=client_id).first()
            if order is not None:
                pair = found.filter(client_id__in=[client_id, order.pair_id])
                pair.update(status=Status.CANCELED)

    def held(self, symbol: str) -> Decimal:
        self._match()
        return self._read().quantity

    def free(self, asset: str) -> Decimal:
        self._match()
        account = self._read()
        if asset == self._plan.filters.quote_asset:
            return self._free(account)
        return account.quantity if asset == self._plan.filters.base_asset else _ZERO

    def price(self, symbol: str) -> Decimal:
        return self._feed.price(self._series, self._clock())

    def liquidations(self, symbol: str, since: dt.datetime) -> Sequence[OrderReport]:
        self._match()
        orders = PaperOrder.objects.filter(
            bot=self._bot, is_liquidation=True, filled_at__gte=since
        )
        return [self._report(order) for order in orders]

    def prepare(self, symbol: str, leverage: int) -> None:
        pass  # the account has the leverage of the bot's plan

    def close(self) -> None:
        pass

    # --- Taking orders ----------------------------------------------------------------

    def _take(self, *requests: OrderRequest) -> list[OrderReport]:
        self._match()
        now, price = self._clock(), self.price(self._plan.symbol)
        for request in requests:
            self._check(request, price)
        with transaction.atomic():
            account = self._account()
            ids = [request.client_id for request in requests]
            if PaperOrder.objects.filter(bot=self._bot, client_id__in=ids).exists():
                raise RejectedError("Duplicate order sent.", code=-2010)
            orders = [
                PaperOrder(
                    bot=self._bot,
                    client_id=request.client_id,
                    pair_id=next((pair for pair in ids if pair != own), None),
                    symbol=request.symbol,
                    side=request.side,
                    kind=request.kind,
                    quantity=request.quantity,
                    price=request.price,
                    reduce_only=request.reduce_only,
                    status=Status.OPEN,
                    placed_at=now,
                )
                for request, own in zip(requests, ids, strict=True)
            ]
            for order in orders:
                if order.kind == OrderKind.MARKET:
                    side = Side(order.side).sign
                    slipped = market_fill(price, side, self._plan.rules.slippage)
                    self._check_funds(account, order, slipped)
                    self._fill(account, order, slipped, now)
                else:
                    order.save()
        return [self._report(order) for order in orders]

    def _check(self, order: OrderRequest, price: Decimal) -> None:
        """Hold an order to the filters of its symbol and to the price of now."""
        filters = self._plan.filters
        if filters.quantity(order.quantity) != order.quantity:
            raise RejectedError("Filter failure: LOT_SIZE", code=-1013)
        if order.quantity <= 0 or order.quantity < filters.min_quantity:
            raise RejectedError("Filter failure: LOT_SIZE", code=-1013)
        if not order.reduce_only and order.quantity * price < filters.min_notional:
            raise RejectedError("Filter failure: NOTIONAL", code=-1013)
        if order.price is None:
            return
        if filters.price(order.price, up=True) != order.price:
            raise RejectedError("Filter failure: PRICE_FILTER", code=-1013)
        # A stop is on the losing side of the price, a limit on the winning one.
        losing = 1 if order.kind == OrderKind.STOP else -1
        if losing * order.side.sign * (order.price - price) <= 0:
            raise RejectedError("Order would immediately trigger.", code=-2021)

    def _check_funds(
        self, account: PaperAccount, order: PaperOrder, price: Decimal
    ) -> None:
        rules = self._plan.rules
        adds = account.quantity * Side(order.side).sign >= 0
        if order.reduce_only and (adds or order.quantity > abs(account.quantity)):
            raise RejectedError("ReduceOnly Order is rejected.", code=-2022)
        notional = order.quantity * price
        needed = notional / rules.leverage + notional * rules.taker_fee
        if adds and needed > self._free(account):
            raise RejectedError("Account has insufficient balance.", code=-2010)

    # --- Filling them -----------------------------------------------------------------

    def _match(self) -> None:
        """Hold the candles that have closed since the last time against what rests."""
        now = self._clock()
        if self._matched_at is not None and now - self._matched_at < _MATCH_EVERY:
            return
        self._matched_at = now
        account = PaperAccount.objects.filter(pk=self._bot.pk).first()
        if account is None or not account.quantity:
            return
        bars = list(self._feed.bars(self._series, account.matched_until, now))
        if not bars:
            return
        with transaction.atomic():
            account = self._account()
            for bar in bars:
                if bar.opened_at >= account.matched_until and account.quantity:
                    self._match_bar(account, bar)
            account.save()

    def _match_bar(self, account: PaperAccount, bar: Bar) -> None:
        rules = self._plan.rules
        direction = 1 if account.quantity > 0 else -1
        resting = {
            order.kind: order
            for order in PaperOrder.objects.filter(bot=self._bot, status=Status.OPEN)
            if order.placed_at <= bar.opened_at
        }
        stop, target = resting.get(OrderKind.STOP), resting.get(OrderKind.LIMIT)
        liquidation = liquidation_level(
            account.entry_price, direction, Decimal(rules.leverage), rules.maintenance
        )
        reason, price = protective_exit(
            direction,
            bar.open,
            bar.high,
            bar.low,
            _price_of(stop, -direction * _INFINITY),
            _price_of(target, direction * _INFINITY),
            liquidation,
        )
        at = account.matched_until = bar.closed_at
        if reason == Reason.LIQUIDATION:
            self._liquidate(account, direction, at)
        elif reason != Reason.NONE:
            order = resting[_CLOSING[reason]]
            if reason == Reason.SL:
                price = market_fill(price, -direction, rules.slippage)
            self._fill(account, order, price, at)

    def _fill(
        self,
        account: PaperAccount,
        order: PaperOrder,
        price: Decimal,
        at: dt.datetime,
    ) -> None:
        rules = self._plan.rules
        rate = rules.maker_fee if order.kind == OrderKind.LIMIT else rules.taker_fee
        if order.is_liquidation:
            rate = _ZERO
        order.status, order.fill_price, order.filled_at = Status.FILLED, price, at
        order.commission = order.quantity * price * rate
        order.save()
        PaperOrder.objects.filter(
            bot=self._bot, client_id=order.pair_id, status=Status.OPEN
        ).update(status=Status.CANCELED)
        account.trade(Side(order.side).sign * order.quantity, price)
        account.realized -= order.commission
        account.matched_until = max(account.matched_until, at)
        account.save()

    def _liquidate(
        self, account: PaperAccount, direction: int, at: dt.datetime
    ) -> None:
        """Close a position at the price at which its whole margin is lost."""
        PaperOrder.objects.filter(bot=self._bot, status=Status.OPEN).update(
            status=Status.CANCELED
        )
        order = PaperOrder(
            bot=self._bot,
            client_id=f"liquidation-{self._bot.pk}-{int(at.timestamp())}",
            symbol=self._plan.symbol,
            side=Side.SELL if direction > 0 else Side.BUY,
            kind=OrderKind.MARKET,
            quantity=abs(account.quantity),
            reduce_only=True,
            is_liquidation=True,
            placed_at=at,
        )
        margin = account.entry_price / self._plan.rules.leverage
        self._fill(account, order, account.entry_price - direction * margin, at)

    # --- The account ------------------------------------------------------------------

    def _account(self) -> PaperAccount:
        """Return the account, locked until the transaction ends."""
        accounts = PaperAccount.objects.select_for_update()
        account, _ = accounts.get_or_create(
            bot=self._bot, defaults={"matched_until": self._clock()}
        )
        return account

    def _read(self) -> PaperAccount:
        account = PaperAccount.objects.filter(pk=self._bot.pk).first()
        return account or PaperAccount(bot=self._bot, matched_until=self._clock())

    def _free(self, account: PaperAccount) -> Decimal:
        rules = self._plan.rules
        bound = abs(account.quantity) * account.entry_price / rules.leverage
        return rules.initial_capital + account.realized - bound

    def _report(self, order: PaperOrder) -> OrderReport:
        fills: list[FillReport] = []
        if order.fill_price is not None and order.filled_at is not None:
            fills = [
                FillReport(
                    trade_id=str(order.pk),
                    price=order.fill_price,
                    quantity=order.quantity,
                    commission=order.commission,
                    commission_asset=self._plan.filters.quote_asset,
                    filled_at=order.filled_at,
                )
            ]
        return OrderReport(
            client_id=order.client_id,
            order_id=f"paper-{order.pk}",
            status=Status(order.status),
            fills=fills,
        )


def _price_of(order: PaperOrder | None, nowhere: Decimal) -> Decimal:
    return nowhere if order is None or order.price is None else order.price
