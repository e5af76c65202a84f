"""Exchanges behind one protocol (``base``): simulated (``paper``) or Binance."""
