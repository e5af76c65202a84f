"""Pages of the lists of backtests."""

from tradebot.api.pagination import HeaderPagination


class NewestPagination(HeaderPagination):
    """Fifty at a time, unless asked for otherwise."""

    default_limit = 50
