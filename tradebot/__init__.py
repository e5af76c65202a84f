"""TradeBot: a self-hosted backend for crypto trading bots."""

__version__ = "0.1.0"
