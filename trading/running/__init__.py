"""Bots that run: from closed candles to orders, fills and positions.

``tick`` is one look at one bot; ``runner`` does it for all that are due. What makes a
tick safe is in the database: the lease (``bots.leases``) and orders that are stored
before they are sent (``orders``).
"""
