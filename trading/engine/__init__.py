"""The trading engine: what a strategy decides on candles and what comes of it.

Pure Python and NumPy: no Django, no clock, no network, no randomness. Runners and views
bring candles and rules, and store what comes out.
"""
