"""The errors of this project: one root, families by what they ask for."""


class TradeBotError(Exception):
    """Root of all errors that TradeBot raises itself."""


class MisconfiguredError(TradeBotError):
    """The operator has to change a setting; trying again does not help."""


class RateLimitError(TradeBotError):
    """Somebody has tried too often; after ``retry_after_s`` seconds they may again."""

    def __init__(self, *, retry_after_s: int) -> None:
        super().__init__(
            f"Too many attempts. Try again in {retry_after_s} "
            f"second{'' if retry_after_s == 1 else 's'}."
        )
        self.retry_after_s = retry_after_s


class ConflictError(TradeBotError):
    """What was asked contradicts what is stored; the message says how to resolve it."""


class TemporaryError(TradeBotError):
    """Something outside did not work; trying again later may help."""
