"""POST requests to servers that users name, and to no server that they must not reach.

A URL of a user could name what only this server can reach: its database, the page of
the cloud with its credentials. So a name is resolved once, every address of it has to
be one of the public internet, and the connection goes to an address that was looked at:
what the name means a moment later does not matter. ``WEBHOOK_ALLOWED_NETWORKS`` lets
an operator's own networks in.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.utils.translation import gettext

from tradebot.errors import TemporaryError, TradeBotError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_URL_LENGTH = 2000
_MAX_STATUS_LINE = 1024  # bytes
_LOOPBACK = [ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1")]
_GLOBAL_IPV6 = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Which of these ipaddress calls global depends on the version of Python.
_REFUSED = [
    ipaddress.ip_network("168.63.129.16/32"),  # Azure's own, at every machine of it
    ipaddress.ip_network("192.0.0.0/24"),  # protocols; Oracle's cloud has its own there
    ipaddress.ip_network("192.88.99.0/24"),  # relays of 6to4
    ipaddress.ip_network("2001::/23"),  # protocols, of which Teredo leads to IPv4
    ipaddress.ip_network("3fff::/20"),  # documentation
]


class RefusedError(TradeBotError):
    """A URL leads to where nothing is sent; trying again does not help."""


class NotDeliveredError(TemporaryError):
    """A receiver was not reached, or did not answer with 2xx."""


def url_split(url: str) -> SplitResult:
    """Return the parts of a URL that may be sent to, as far as it can tell.

    https, on the port 443 or one from 1024 on, without a user; http only where
    ``WEBHOOK_ALLOWED_NETWORKS`` has a network. Raises RefusedError.
    """
    parts = None
    if len(url) <= MAX_URL_LENGTH and url.isascii() and url.isprintable():
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts = None
    if parts is None or not parts.hostname or " " in url or "\\" in url:
        raise RefusedError(
            gettext(
                "A URL is required, such as https://example.com/path, with a host "
                "name of ASCII letters (xn--… for others)."
            )
        )
    schemes = ["https", "http"] if settings.WEBHOOK_ALLOWED_NETWORKS else ["https"]
    if parts.scheme not in schemes:
        raise RefusedError(gettext("The URL must begin with https://."))
    if "@" in parts.netloc or parts.fragment:
        raise RefusedError(
            gettext("The URL must have no user, no password and no fragment.")
        )
    if port is not None and port != 443 and port < 1024:
        raise RefusedError(gettext("The port must be 443, or 1024 and above."))
    host = parts.hostname.removesuffix(".")
    if host == "localhost" or host.endswith(".localhost"):
        # RFC 6761: this machine, by whichever of them its resolver tells.
        if not any(_is_let_in(address) for address in _LOOPBACK):
            raise RefusedError(_not_public())
        return parts
    try:
        # Without the zone of a link-local address.
        address = host.partition("%")[0]
        literal = socket.getaddrinfo(address, None, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return parts  # a name
    _look_at([entry[4][0] for entry in literal], parts.scheme)
    return parts


def post(url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> int:
    """Send a request and return the status code of the answer.

    Of the answer only its first line is read; redirects are not followed. Connecting,
    sending and waiting take ``timeout_s`` together, resolving the name as long as the
    resolver of the system lets it. Raises RefusedError and NotDeliveredError.
    """
    parts = url_split(url)
    host = parts.hostname or ""
    port = parts.port or {"https": 443, "http": 80}[parts.scheme]
    addresses = _resolve(host, port, parts.scheme)
    until = time.monotonic() + timeout_s
    try:
        with _connect(addresses, port, until) as plain:
            channel = plain
            if parts.scheme == "https":
                plain.settimeout(_left(until))
                channel = _tls().wrap_socket(plain, server_hostname=host)
            with channel:
                _send(channel, parts, body, headers, until)
                return _read_status(channel, until)
    except TimeoutError:
        raise NotDeliveredError(f"No answer within {timeout_s:.0f} seconds.") from None
    except ssl.SSLCertVerificationError as error:
        raise NotDeliveredError(
            f"The certificate is not accepted: {error.verify_message}."
        ) from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise NotDeliveredError(f"The connection failed: {reason}.") from None


def is_public(address: Address) -> bool:
    """Say whether an address is one of the public internet.

    Addresses that hold another one, as of NAT64 and 6to4, are what that one is.
    """
    if any(address in network for network in _REFUSED):
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast
    if address in _NAT64:
        return is_public(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
    inner = address.ipv4_mapped or address.sixtofour
    if inner is not None:
        return is_public(inner)
    return address in _GLOBAL_IPV6 and address.is_global


def _resolve(host: str, port: int, scheme: str) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise NotDeliveredError("The host name cannot be resolved.") from None
    texts = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    _look_at(texts, scheme)
    return texts


def _look_at(texts: Sequence[str | int], scheme: str) -> None:
    """Raise RefusedError unless all these addresses may be sent to."""
    for text in texts:
        address = ipaddress.ip_address(text)
        if _is_let_in(address):
            continue
        if not is_public(address):
            raise RefusedError(_not_public())
        if scheme != "https":
            raise RefusedError(gettext("The URL must begin with https://."))


def _is_let_in(address: Address) -> bool:
    """Say whether an address is in a network of the operator's own."""
    inner = getattr(address, "ipv4_mapped", None) or address
    return any(inner in network for network in settings.WEBHOOK_ALLOWED_NETWORKS)


def _not_public() -> str:
    return gettext("The host is not on the public internet: nothing is sent to it.")


def _connect(addresses: list[str], port: int, until: float) -> socket.socket:
    *others, last = addresses
    for tried, address in enumerate(others):
        # One that does not answer leaves time for the others.
        timeout_s = _left(until) / (len(addresses) - tried)
        with suppress(OSError):
            return socket.create_connection((address, port), timeout=timeout_s)
    return socket.create_connection((last, port), timeout=_left(until))


def _send(
    channel: socket.socket,
    parts: SplitResult,
    body: bytes,
    headers: Mapping[str, str],
    until: float,
) -> None:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    request = http.client.HTTPConnection(parts.netloc)
    request.sock = channel
    channel.settimeout(_left(until))
    given = {"Host": parts.netloc, "Connection": "close"}
    request.request("POST", target, body, {**given, **headers})


def _read_status(channel: socket.socket, until: float) -> int:
    """Read as far as the end of the status line, and no further.

    Not http.client, which waits as long as a byte comes now and then.
    """
    line = b""
    while b"\n" not in line and len(line) < _MAX_STATUS_LINE:
        channel.settimeout(_left(until))
        received = channel.recv(_MAX_STATUS_LINE)
        if not received:
            break
        line += received
    words = line.split(b"\n")[0].split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
        raise NotDeliveredError("The answer is not HTTP.")
    return int(words[1])


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


@cache
def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
