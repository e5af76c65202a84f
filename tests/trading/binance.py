"""A server on this machine that answers as Binance does, or does not."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

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
