"""Whom a request comes from is what trusted proxies say, and nobody else."""

from __future__ import annotations

import logging

import pytest
from django.test import RequestFactory, override_settings

from accounts.clients import client_of

pytestmark = pytest.mark.sqlite
PROXIES = ["10.0.0.0/8", "fd00::/8", "unix"]


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        # Not from a proxy: whatever the header says.
        ("192.0.2.1", None, "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
        # The last that is no proxy, not the first, which the client can write.
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "203.0.113.9,198.51.100.7,10.9.9.9, fd00::5", "198.51.100.7"),
        ("", "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        # With its port.
        ("10.0.0.1", "203.0.113.9, 198.51.100.7:5555", "198.51.100.7"),
        ("10.0.0.1", "[2001:db8:1:2::9]:443, 10.9.9.9:80", "2001:db8:1:2::/64"),
        ("10.0.0.1", "[2001:db8:1:2::9]", "2001:db8:1:2::/64"),
        ("10.0.0.1", "198.51.100.7, []:80", "10.0.0.1"),
        # Nothing there to be believed: the proxy that said so.
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7, unknown", "10.0.0.1"),
        ("10.0.0.1", "unknown, 10.2.2.2", "10.2.2.2"),
        ("10.0.0.1", "10.3.3.3, 10.2.2.2", "10.3.3.3"),
        ("", None, ""),
        # One network is one client; an IPv4 address is one in both spellings.
        ("2001:db8:1:2:3:4:5:6", None, "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", None, "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", None, "192.0.2.1"),
        ("::ffff:10.0.0.1", "::ffff:198.51.100.7", "198.51.100.7"),
    ],
)
def test_client_is_the_last_hop_that_is_no_proxy(
    peer: str, forwarded: str | None, client: str
) -> None:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    request = RequestFactory().get("/", REMOTE_ADDR=peer, headers=headers)

    with override_settings(TRUSTED_PROXIES=PROXIES):
        assert client_of(request) == client


def test_proxy_that_is_not_named_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for peer in ("172.18.0.1", "172.18.0.1", "192.88.99.1"):
        request = RequestFactory().get("/", REMOTE_ADDR=peer)
        request.META["HTTP_X_FORWARDED_FOR"] = "198.51.100.7"
        with caplog.at_level(logging.WARNING):
            assert client_of(request) == peer

    (record,) = caplog.records
    assert "TRUSTED_PROXIES=172.18.0.1" in record.getMessage()
