"""The errors of this project: one root, families by what they ask for."""


class TradeBotError(Exception):
    """Root of all errors that TradeBot raises itself."""


class MisconfiguredError(TradeBotError):
    """The operator has to change a setting; trying again does not help."""


class ConflictError(TradeBotError):
    """What was asked contradicts what is stored; the message says how to resolve it."""


class TemporaryError(TradeBotError):
    """Something outside did not work; trying again later may help."""
