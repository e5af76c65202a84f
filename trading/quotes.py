"""The assets that prices are in, as the names of symbols tell them."""

from __future__ import annotations

# Longest first where one ends as another does.
QUOTES = (
    *("FDUSD", "USDT", "USDC", "BUSD", "TUSD", "DAI", "USD"),
    *("EUR", "GBP", "TRY", "BRL", "JPY", "BTC", "ETH", "BNB"),
)
OTHER = "other"


def quote_of(symbol: str) -> str:
    """Return the asset that the prices of a symbol are in, ``other`` if unknown."""
    return next((quote for quote in QUOTES if symbol.endswith(quote)), OTHER)
