"""The fake exchange in a process of its own, which prints its address."""

import sys
import threading

from tests.fake_exchange import FakeBinance

with FakeBinance().serving() as exchange:
    sys.stdout.write(f"{exchange.url}\n")
    sys.stdout.flush()
    threading.Event().wait()
