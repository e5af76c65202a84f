"""From where a request comes, as far as that can be believed."""

from __future__ import annotations

import logging
import re
from functools import cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from django.conf import settings
from django.http import HttpRequest

logger = logging.getLogger(__name__)

_Address = IPv4Address | IPv6Address


def client_of(request: HttpRequest) -> str:
    """Return the client of a request, as its rate limits know it.

    That is the peer of the connection or, where this is one of TRUSTED_PROXIES, the
    last address in X-Forwarded-For that is none of them: what stands before it a client
    can make up. All addresses of an IPv6 network (/64) are one client, and so are all
    peers without an address, at a socket in the file system.
    """
    hops = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    client = _parse(request.META.get("REMOTE_ADDR", ""))
    if not _is_trusted(client):
        if hops != [""] and (client is None or client.is_private):
            _warn_of_proxy(client)
        return _name(client)
    for hop in reversed(hops):
        address = _parse(hop)
        if address is None:  # nobody who could be told apart
            break
        client = address
        if not _is_trusted(client):
            break
    return _name(client)


# Some proxies add the port: 192.0.2.1:5555, [2001:db8::1]:443.
_HOP = re.compile(r"\s*(?:\[(?P<v6>[^]]*)\](?::\d+)?|(?P<v4>[\d.]+):\d+)\s*")


def _parse(text: str) -> _Address | None:
    if match := _HOP.fullmatch(text):
        text = match["v6"] or match["v4"] or ""
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_trusted(address: _Address | None) -> bool:
    if address is None:
        return "unix" in settings.TRUSTED_PROXIES
    networks = _networks(tuple(settings.TRUSTED_PROXIES))
    return any(address in network for network in networks)


@cache
def _networks(words: tuple[str, ...]) -> list[IPv4Network | IPv6Network]:
    return [ip_network(word) for word in words if word != "unix"]


def _name(address: _Address | None) -> str:
    if isinstance(address, IPv6Address):
        return str(ip_network((address, 64), strict=False))
    return str(address or "")


@cache  # once
def _warn_of_proxy(peer: _Address | None) -> None:
    logger.warning(
        "Requests come through %s, which TRUSTED_PROXIES does not name: all clients "
        "behind it share one limit on log-ins. Set it, for example TRUSTED_PROXIES=%s",
        "a proxy at " + str(peer) if peer else "a socket",
        peer or "unix",
    )
