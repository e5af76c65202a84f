"""The errors of this project: one root, families by what they ask for."""

from django.utils.translation import gettext, ngettext


class TradeBotError(Exception):
    """Root of all errors that TradeBot raises itself."""


class MisconfiguredError(TradeBotError):
    """The operator has to change a setting; trying again does not help."""


class RateLimitError(TradeBotError):
    """Somebody has tried too often; after ``retry_after_s`` seconds they may again."""

    def __init__(self, *, retry_after_s: int) -> None:
        super().__init__(
            ngettext(
                "Too many attempts. Try again in %(seconds)s second.",
                "Too many attempts. Try again in %(seconds)s seconds.",
                retry_after_s,
            )
            % {"seconds": retry_after_s}
        )
        self.retry_after_s = retry_after_s


class ConflictError(TradeBotError):
    """What was asked contradicts what is stored; the message says how to resolve it.

    A client of the API reads it: translate it where it is written.
    """


class RefusedError(TradeBotError):
    """What was asked cannot be done as things are; the message says what to change.

    A client of the API reads it: translate it where it is written.
    """


class TemporaryError(TradeBotError):
    """Something outside did not work; trying again later may help."""


class BusyError(TradeBotError):
    """This process has as much to do of this kind as it takes on."""

    retry_after_s = 2

    def __init__(self) -> None:
        super().__init__(
            gettext(
                "The server is busy with others at the moment. Try again after the "
                "seconds in Retry-After."
            )
        )
