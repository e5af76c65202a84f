"""The migration system: what TradeBot adds to Django's migrations."""
