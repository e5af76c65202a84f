"""An exchange to test against, over HTTP: see ``FakeBinance``."""

from tests.fake_exchange.server import FakeBinance, Key

__all__ = ["FakeBinance", "Key"]
