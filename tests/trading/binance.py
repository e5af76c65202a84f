"""A server on this machine that answers as Binance does, or does not."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Answer = Callable[[BaseHTTPRequestHandler], None]

PATHS = {"spot": "/api/v3/exchangeInfo", "futures": "/fapi/v1/exchangeInfo"}


def pair(base: str, **values: Any) -> dict[str, Any]:
    """Return a pair as both markets describe it, with what else they say."""
    return {
        "symbol": f"{base}USDT",
        "status": "TRADING",
        "baseAsset": base,
        "quoteAsset": "USDT",
        "contractType": "PERPETUAL",
        "orderTypes": ["LIMIT", "MARKET"],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "tickSize": "0.01"},
            {"filterType": "LOT_SIZE", "minQty": "0.0002", "stepSize": "0.0001"},
            {"filterType": "MARKET_LOT_SIZE", "minQty": "7", "stepSize": "7"},
            {"filterType": "NOTIONAL", "minNotional": "5.00", "maxNotional": "9000"},
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        ],
        **values,
    }


def listing(*pairs: dict[str, Any]) -> bytes:
    return json.dumps({"timezone": "UTC", "symbols": pairs}).encode()


def sends(
    body: bytes, status: int = 200, *, length: int | None = None, **headers: str
) -> Answer:
    """Return an answer; ``length`` is what it says of its body, if that is a lie."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(length or len(body)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


class Binance:
    """The server; ``answer`` is what it does with a request."""

    def __init__(self) -> None:
        self.answer: Answer = sends(listing(pair("BTC")))
        self.requests: list[tuple[str, dict[str, str]]] = []
        binance = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                binance.requests.append((self.path, dict(self.headers)))
                binance.answer(self)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def serving(self) -> Iterator[None]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()


class Market:
    """An answer with the clock and the klines of a market, a minute each.

    They begin with ``start``; those in ``holes``, by number, are not there. The last
    one is forming. What is in ``faults`` is answered first.
    """

    def __init__(
        self, start: dt.datetime, count: int, *, holes: Collection[int] = ()
    ) -> None:
        self.start = start
        self.closed = count
        self.holes = holes
        self.faults: list[Answer] = []
        self.price = "100.50000000"

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        if self.faults:
            self.faults.pop(0)(handler)
            return
        url = urlsplit(handler.path)
        if url.path.endswith("/time"):
            now = self.start + dt.timedelta(minutes=self.closed, seconds=30)
            sends(json.dumps({"serverTime": _ms(now)}).encode())(handler)
            return
        if url.path.endswith("/ticker/price"):
            sends(json.dumps({"price": self.price}).encode())(handler)
            return
        assert url.path in {"/api/v3/klines", "/fapi/v1/klines"}, handler.path
        query = {name: value for name, (value,) in parse_qs(url.query).items()}
        if query["symbol"] != "BTCUSDT":
            sends(b'{"code": -1121, "msg": "Invalid symbol."}', 400)(handler)
            return
        assert query["interval"] == "1m"
        sends(json.dumps(self._page(query)).encode())(handler)

    def _page(self, query: dict[str, str]) -> list[list[Any]]:
        times = {
            _ms(self.start + dt.timedelta(minutes=number)): number
            for number in range(self.closed + 1)
            if number not in self.holes
        }
        wanted = range(int(query["startTime"]), int(query["endTime"]) + 1)
        found = [time for time in times if time in wanted]
        return [self._kline(time) for time in found[: int(query["limit"])]]

    def _kline(self, time: int) -> list[Any]:
        prices = [self.price, "101.00000000", "99.00000001", "100.00000000"]
        closes = time + 59_999
        return [time, *prices, "12.34567800", closes, "1234.5", 7, "6.1", "610.2", "0"]


def _ms(time: dt.datetime) -> int:
    return int(time.timestamp()) * 1000
