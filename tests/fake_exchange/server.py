"""Binance, spot and futures, as a server on this machine. See ``FakeBinance``."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.fake_exchange.faults import Fault, Faults, Kind
from tests.fake_exchange.futures import Futures
from tests.fake_exchange.market import Market, Params, Refusal, text
from tests.fake_exchange.spot import Spot

Endpoint = Callable[[Params], Any]

_MAX_WINDOW_MS = 60_000


@dataclass
class Key:
    """An API key and what it may do."""

    secret: str
    spot: bool = True
    futures: bool = True
    withdraw: bool = False
    ip_restricted: bool = True


class FakeBinance:
    """The exchange; use ``serving()`` around a test.

    ``spot`` and ``futures`` are its markets: ``set_price`` and ``path`` move prices and
    execute what waits for them, ``parts`` says in how many pieces. ``fault()`` lets
    things go wrong, ``down()`` and ``up()`` the whole server. ``requests`` are those
    that came, ``sent()`` counts some. All of it may be asked for by another process:
    ``POST /control`` with ``{"path": "spot.set_price", "args": ["BTCUSDT", "99"]}``.
    """

    def __init__(self) -> None:
        self.clock_offset_ms = 0
        self.keys = {"key": Key("secret")}
        self.spot = Spot(self.now)
        self.futures = Futures(self.now)
        for market in (self.spot, self.futures):
            market.add_symbol("BTCUSDT", "100", base="BTC")
        self.requests: list[tuple[str, Params]] = []
        self.lock = threading.RLock()
        self.weight = {"/api": 1, "/fapi": 1, "/sapi": 1}
        self._faults = Faults()
        self._redirects: dict[str, str] = {}
        self._actions: dict[str, Callable[[], Any]] = {}
        self._leaving = threading.Event()
        self._connections: set[socket.socket] = set()
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None
        self._port = 0
        self._endpoints = self._table()

    # --- Control ------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def now(self) -> int:
        """Return its time in milliseconds."""
        return int(time.time() * 1000) + self.clock_offset_ms

    def fault(self, endpoint: str, kind: str, **values: Any) -> None:
        """Let a fault happen; see ``Fault``."""
        self._faults.add(Fault(endpoint, Kind(kind), **values))

    def before(self, request: str, action: Callable[[], Any]) -> None:
        """Let something happen just before the next request such as ``POST /…``."""
        self._actions[request] = action

    def redirect(self, request: str, location: str) -> None:
        """Answer such requests with 307 from now on."""
        self._redirects[request] = location

    def catch_up(self) -> None:
        """Let queries know all orders that lag."""
        with self.lock:
            conditionals = self.futures.conditionals.values()
            for order in (
                *self.spot.orders.values(),
                *self.futures.orders.values(),
                *(conditional.order for conditional in conditionals),
            ):
                order.visible_at = 0

    def no_faults(self) -> None:
        self._faults.clear()

    def sent(self, start: str) -> int:
        """Return how many requests came that begin so, such as ``POST /api``."""
        return sum(request.startswith(start) for request, _ in list(self.requests))

    def last_sent(self, request: str) -> Params:
        """Return the parameters of the last request such as ``POST /…``."""
        return [sent for name, sent in self.requests if name == request][-1]

    @contextmanager
    def serving(self, port: int = 0) -> Iterator[FakeBinance]:
        self._port = port
        self.up()
        try:
            yield self
        finally:
            self.down()

    def up(self) -> None:
        """Listen, at the same address as before."""
        self._leaving.clear()
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), _handler(self))
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def down(self) -> None:
        """Refuse connections, and cut those that are there."""
        if self._server is None or self._thread is None:
            return
        self._leaving.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server = self._thread = None

    def control(self, path: str, args: list[Any]) -> Any:
        """Call what another process names; returns what JSON can hold of it."""
        target: Any = self
        for name in path.split("."):
            target = getattr(target, name)
        with self.lock:
            return target(*args)

    # --- Requests -----------------------------------------------------------------

    def _table(self) -> dict[str, Endpoint]:
        spot, futures = self.spot, self.futures
        time_ = lambda parameters: {"serverTime": self.now()}  # noqa: E731
        return {
            "GET /api/v3/time": time_,
            "GET /api/v3/exchangeInfo": lambda parameters: _info(spot, parameters),
            "GET /api/v3/ticker/price": lambda parameters: _price(spot, parameters),
            "GET /api/v3/account": spot.get_account,
            "GET /api/v3/order": spot.get_order,
            "POST /api/v3/order": spot.post_order,
            "DELETE /api/v3/order": spot.delete_order,
            "POST /api/v3/orderList/oco": spot.post_oco,
            "GET /api/v3/myTrades": spot.trades_of,
            "GET /fapi/v1/time": time_,
            "GET /fapi/v1/exchangeInfo": lambda parameters: _info(futures, parameters),
            "GET /fapi/v2/ticker/price": lambda parameters: _price(futures, parameters),
            "GET /fapi/v1/accountConfig": futures.get_account_config,
            "GET /fapi/v3/balance": futures.get_balance,
            "GET /fapi/v3/positionRisk": futures.get_position_risk,
            "GET /fapi/v1/order": futures.get_order,
            "POST /fapi/v1/order": futures.post_order,
            "DELETE /fapi/v1/order": futures.delete_order,
            "GET /fapi/v1/algoOrder": futures.get_algo_order,
            "POST /fapi/v1/algoOrder": futures.post_algo_order,
            "DELETE /fapi/v1/algoOrder": futures.delete_algo_order,
            "GET /fapi/v1/userTrades": futures.trades_of,
            "GET /fapi/v1/forceOrders": futures.get_force_orders,
            "GET /fapi/v1/symbolConfig": futures.get_symbol_config,
            "POST /fapi/v1/leverage": futures.post_leverage,
            "POST /fapi/v1/marginType": futures.post_margin_type,
            "GET /fapi/v1/positionSide/dual": futures.get_dual_side,
            "POST /fapi/v1/positionSide/dual": futures.post_dual_side,
        }

    def answer(self, request: str, query: str, api_key: str | None) -> Any:
        """Return what an endpoint answers; raises Refusal."""
        endpoint = self._endpoints.get(request)
        if endpoint is None and request != "GET /sapi/v1/account/apiRestrictions":
            raise Refusal(-5000, f"Path {request} is not known here.", 404)
        with self.lock:
            parameters = dict(parse_qsl(query, keep_blank_values=True))
            key = None
            if not _is_public(request):
                key = self._authenticate(request, query, parameters, api_key)
            if endpoint is None:
                assert key is not None
                return _restrictions(key)
            answer = endpoint(parameters)
            if parameters:
                raise Refusal(-1104, f"Not all sent parameters were read: {parameters}")
            return answer

    def _authenticate(
        self, request: str, query: str, parameters: Params, name: str | None
    ) -> Key:
        if not name:
            raise Refusal(-2014, "API-key format invalid.", 401)
        key = self.keys.get(name)
        allowed = key and (
            key.futures if "/fapi/" in request else key.spot or "/sapi/" in request
        )
        if key is None or not allowed:
            raise Refusal(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        signed, _, signature = query.rpartition("&signature=")
        digest = hmac.new(key.secret.encode(), signed.encode(), hashlib.sha256)
        if not hmac.compare_digest(digest.hexdigest(), signature):
            raise Refusal(-1022, "Signature for this request is not valid.")
        del parameters["signature"]
        if "timestamp" not in parameters:
            raise Refusal(-1102, "Mandatory parameter 'timestamp' was not sent.")
        sent_at = int(parameters.pop("timestamp"))
        window = int(parameters.pop("recvWindow", "5000"))
        now = self.now()
        if window > _MAX_WINDOW_MS:
            raise Refusal(-1131, "recvWindow must be less than 60000")
        if sent_at >= now + 1000:
            raise Refusal(
                -1021,
                "Timestamp for this request was 1000ms ahead of the server's time.",
            )
        if now - sent_at > window:
            raise Refusal(
                -1021, "Timestamp for this request is outside of the recvWindow."
            )
        return key

    def handle(self, handler: _Handler, query: str) -> None:
        path = urlsplit(handler.path).path
        request = f"{handler.command} {path}"
        with self.lock:
            self.requests.append((request, dict(parse_qsl(query))))
            self._actions.pop(request, lambda: None)()
        if request in self._redirects:
            handler.send(307, b"", {"Location": self._redirects[request]})
            return
        fault = self._faults.of(request)
        kind = fault.kind if fault else None
        if fault and kind in {Kind.HANG_BEFORE, Kind.HELD_UP}:
            self._leaving.wait(fault.wait_s)
            if kind is Kind.HANG_BEFORE:
                handler.hang_up()
                return
        elif kind is Kind.RESET_BEFORE:
            handler.reset()
            return
        elif fault and kind in {Kind.REJECT, Kind.ERROR_BEFORE}:
            handler.fail(fault)
            return
        status, body = self._take(request, query, handler.headers, fault)
        if fault and kind is Kind.HANG_AFTER:
            self._leaving.wait(fault.wait_s)
            handler.hang_up()
        elif kind is Kind.RESET_AFTER:
            handler.reset()
        elif fault and kind is Kind.ERROR_AFTER:
            handler.fail(fault)
        else:
            half = len(body) // 2 if kind is Kind.MALFORMED else None
            used = self.weight["/" + path.split("/")[1]]
            handler.send(status, body[:half], {"X-MBX-USED-WEIGHT-1M": str(used)})

    def _take(
        self, request: str, query: str, headers: Any, fault: Fault | None
    ) -> tuple[int, bytes]:
        repeats = fault is not None and fault.kind is Kind.REPEAT
        with self.lock:
            if fault and fault.kind is Kind.LAG:
                self.spot.lag_s = self.futures.lag_s = fault.wait_s
            try:
                answer = self.answer(request, query, headers.get("X-MBX-APIKEY"))
                if repeats and request.startswith("POST"):
                    # The second copy comes while the first is being worked on.
                    code = -4116 if "/fapi/" in request else -2010
                    raise Refusal(code, "Duplicate order sent.")
                if repeats and isinstance(answer, list):
                    answer = [row for row in answer for _ in range(2)]
                return 200, json.dumps(answer).encode()
            except Refusal as error:
                body = json.dumps({"code": error.code, "msg": str(error)})
                return error.status, body.encode()
            finally:
                self.spot.lag_s = self.futures.lag_s = 0


def _is_public(request: str) -> bool:
    return request.endswith(("/time", "/exchangeInfo", "/ticker/price"))


def _restrictions(key: Key) -> dict[str, Any]:
    return {
        "ipRestrict": key.ip_restricted,
        "enableReading": True,
        "enableWithdrawals": key.withdraw,
        "enableSpotAndMarginTrading": key.spot,
        "enableFutures": key.futures,
    }


def _price(market: Market, parameters: Params) -> dict[str, Any]:
    symbol, _ = market.symbol(parameters)
    return {"symbol": symbol, "price": text(market.prices[symbol])}


def _info(market: Market, parameters: Params) -> dict[str, Any]:
    # Futures answers with all symbols, whatever it is asked for.
    wanted = parameters.pop("symbol", None)
    if wanted is not None and wanted not in market.rules:
        raise Refusal(-1121, "Invalid symbol.")
    return {
        "symbols": [
            {
                "symbol": symbol,
                "status": "TRADING",
                "contractType": "PERPETUAL",
                "baseAsset": rules.base,
                "quoteAsset": rules.quote,
                "filters": [
                    {"filterType": "PRICE_FILTER", "tickSize": text(rules.tick)},
                    {
                        "filterType": "LOT_SIZE",
                        "minQty": text(rules.step),
                        "maxQty": text(rules.max_quantity),
                        "stepSize": text(rules.step),
                    },
                    {
                        "filterType": "NOTIONAL",
                        "minNotional": text(rules.min_notional),
                    },
                ],
            }
            for symbol, rules in market.rules.items()
            if wanted in {None, symbol}
        ]
    }


class _Handler(BaseHTTPRequestHandler):
    exchange: FakeBinance
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer

    def setup(self) -> None:
        super().setup()
        self.exchange._connections.add(self.connection)

    def finish(self) -> None:
        self.exchange._connections.discard(self.connection)
        with suppress(OSError):
            super().finish()

    def handle(self) -> None:
        with suppress(ConnectionError):  # the client was killed
            super().handle()

    def do_GET(self) -> None:
        self.exchange.handle(self, urlsplit(self.path).query)

    do_DELETE = do_GET

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if self.path == "/control":
            call = json.loads(body)
            result = self.exchange.control(call["path"], call.get("args", []))
            self.send(200, json.dumps(result, default=str).encode())
            return
        self.exchange.handle(self, body)

    def send(
        self, status: int, body: bytes, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def fail(self, fault: Fault) -> None:
        code = {} if fault.code is None else {"code": fault.code}
        headers = {}
        if fault.retry_after_s is not None:
            headers["Retry-After"] = str(fault.retry_after_s)
        self.send(
            fault.status, json.dumps({**code, "msg": fault.message}).encode(), headers
        )

    def hang_up(self) -> None:
        self.close_connection = True

    def reset(self) -> None:
        # Lingering for no time makes close() send RST.
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        socket.close(self.connection.detach())

    def log_message(self, *args: Any) -> None:
        pass


def _handler(exchange: FakeBinance) -> type[_Handler]:
    return type("Handler", (_Handler,), {"exchange": exchange})
