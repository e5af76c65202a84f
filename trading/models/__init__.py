"""The tables of trading, by what they are about."""

from trading.models.candles import Candle, CandleSeries, CandleSource, Interval
from trading.models.halts import TradingHalt
from trading.models.orders import Fill, Order, Position
from trading.models.paper import PaperAccount, PaperOrder
from trading.models.symbols import FINEST_STEP, Symbol, SymbolList
from trading.models.trades import Trade
from trading.notifications.models import (
    Notification,
    NotificationSettings,
    Webhook,
)

__all__ = [
    "FINEST_STEP",
    "Candle",
    "CandleSeries",
    "CandleSource",
    "Fill",
    "Interval",
    "Notification",
    "NotificationSettings",
    "Order",
    "PaperAccount",
    "PaperOrder",
    "Position",
    "Symbol",
    "SymbolList",
    "Trade",
    "TradingHalt",
    "Webhook",
]
