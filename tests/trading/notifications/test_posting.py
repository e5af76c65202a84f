"""Requests go where users may have them sent, and nowhere else."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from tests.receiver import Receiver, make_certificate, receiver
from trading.notifications import posting
from trading.notifications.posting import (
    NotDeliveredError,
    RefusedError,
    is_public,
    post,
    url_split,
)

pytestmark = pytest.mark.alike

LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]
NAME = "receiver.example.com"


@pytest.fixture
def server() -> Iterator[Receiver]:
    with receiver() as server, override_settings(WEBHOOK_ALLOWED_NETWORKS=LOOPBACK):
        yield server


@pytest.fixture
def resolves(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What names mean, for this process; the resolver of the system is not asked."""
    names: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host in names and not kwargs.get("flags"):
            return [
                one
                for address in names[host]
                for one in real(address, port, *args, **kwargs)
            ]
        return real(host, port, *args, **{**kwargs, "flags": socket.AI_NUMERICHOST})

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return names


def send(url: str, timeout_s: float = 5) -> int:
    return post(url, b"{}", {"X-Test": "1"}, timeout_s=timeout_s)


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.1", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1"),
        *("169.254.169.254", "168.63.129.16", "172.16.0.1", "192.0.0.192"),
        *("192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.51.100.1"),
        *("203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1"),
        *("255.255.255.255", "::", "::1", "::7f00:1", "::ffff:127.0.0.1"),
        *("::ffff:10.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe"),
        *("64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::"),
        *("2002:a9fe:a9fe::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0"),
        *(
            "fec0::1",
            "ff02::1",
            "2001:10::1",
            "4000::1",
            "3fff::1",
            "::ffff:0:127.0.0.1",
        ),
    ],
)
def test_address_that_is_not_public_is_refused(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        *("1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.32.0.1"),
        *("2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"),
        "2002:808:808::1",
    ],
)
def test_public_address_is_accepted(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        *("", "nonsense", "//example.com", "https://", "https:///path", "https://:443"),
        *("http://example.com/", "ftp://example.com/", "file:///etc/passwd"),
        *("https://user@example.com", "https://user:pass@example.com"),
        *("https://example.com:22", "https://example.com:80", "https://example.com:0"),
        *("https://example.com:99999", "https://example.com:port"),
        *(
            "https://exa mple.com",
            "https://example.com/\r\nX: 1",
            "https://exämple.com",
        ),
        *("https://example.com/\\", "https://example.com/#part", "https://[::1"),
        *("https://127.0.0.1", "https://127.1", "https://0x7f.1", "https://2130706433"),
        *("https://0177.0.0.1", "https://[::1]/", "https://[::ffff:127.0.0.1]/"),
        *("https://169.254.169.254/latest/meta-data", "https://10.0.0.1:8443"),
        *("https://localhost/", "https://LocalHost.:8443/", "https://db.localhost/"),
        *("https://127.0.0.1./", "https://[fe80::1%25eth0]/", "https://169.254.1.2"),
        "https://example.com/" + "x" * 2000,
    ],
)
def test_url_that_leads_nowhere_good_is_refused(url: str) -> None:
    with pytest.raises(RefusedError):
        url_split(url)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "https://example.com",
            "https://example.com/a?b=c",
            "https://xn--exmple-cua.com",
        ),
        *("https://example.com:443", "HTTPS://Example.com:1024", "https://8.8.8.8/"),
        "https://[2606:4700:4700::1111]:8443/x",
        *("https://localhost.example.com/", "https://notlocalhost/"),
    ],
)
def test_url_of_the_public_internet_is_accepted(url: str) -> None:
    assert url_split(url).hostname


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/", "http://localhost:8000/"])
def test_url_of_a_network_that_is_let_in_is_accepted(url: str) -> None:
    with override_settings(WEBHOOK_ALLOWED_NETWORKS=LOOPBACK):
        assert url_split(url).hostname
    others = [ipaddress.ip_network("10.0.0.0/8")]
    with (
        override_settings(WEBHOOK_ALLOWED_NETWORKS=others),
        pytest.raises(RefusedError, match="not on the public internet"),
    ):
        url_split(url)


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["169.254.169.254"],
        ["::1"],
        ["8.8.8.8", "127.0.0.1"],  # one good address does not excuse the other
        ["64:ff9b::7f00:1"],
    ],
)
def test_name_of_an_address_that_is_not_public_is_not_connected_to(
    addresses: list[str],
    resolves: dict[str, list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolves[NAME] = addresses
    connected: list[Any] = []
    monkeypatch.setattr(socket, "create_connection", connected.append)

    with pytest.raises(RefusedError, match="not on the public internet"):
        send(f"https://{NAME}/")

    assert not connected


def test_connection_goes_to_the_address_that_was_looked_at(
    server: Receiver, resolves: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that means another address a moment later changes nothing."""
    resolves[NAME] = ["127.0.0.1"]
    real = posting._look_at

    def look_and_rebind(texts: Any, scheme: str) -> None:
        real(texts, scheme)
        resolves[NAME] = ["127.0.0.2"]  # where nobody listens

    monkeypatch.setattr(posting, "_look_at", look_and_rebind)

    assert send(f"http://{NAME}:{server.port}/") == 200
    assert resolves[NAME] == ["127.0.0.2"]
    assert server.received[0].headers["Host"] == f"{NAME}:{server.port}"


def test_address_that_does_not_answer_leaves_the_next_one_its_turn(
    server: Receiver, resolves: dict[str, list[str]]
) -> None:
    resolves[NAME] = ["127.0.0.2", "127.0.0.1"]

    assert send(f"http://{NAME}:{server.port}/") == 200


def test_plain_http_is_for_allowed_networks_alone(
    server: Receiver, resolves: dict[str, list[str]]
) -> None:
    resolves[NAME] = ["8.8.8.8"]

    with pytest.raises(RefusedError, match="https"):
        send(f"http://{NAME}:{server.port}/")


def test_request_arrives_as_it_was_meant(server: Receiver) -> None:
    assert send(server.url()) == 200

    (request,) = server.received
    assert request.path == "/hook?of=tests"
    assert request.body == b"{}"
    assert request.headers["X-Test"] == "1"
    assert request.headers["Connection"] == "close"


@pytest.mark.parametrize("status", [200, 204, 302, 410, 500])
def test_status_is_returned_and_redirects_are_not_followed(
    server: Receiver, status: int
) -> None:
    server.answer.status = status
    server.answer.headers = {"Location": server.url("127.0.0.1")}

    assert send(server.url()) == status
    assert len(server.received) == 1


def test_slow_receiver_is_left_after_the_time(server: Receiver) -> None:
    server.answer.wait_s = 2

    began = time.monotonic()
    with pytest.raises(NotDeliveredError, match="No answer"):
        send(server.url(), timeout_s=0.5)
    assert time.monotonic() - began < 1


def test_receiver_that_dribbles_is_left_after_the_time(server: Receiver) -> None:
    server.answer.dribble = True

    began = time.monotonic()
    with pytest.raises(NotDeliveredError, match="No answer"):
        send(server.url(), timeout_s=0.5)
    assert time.monotonic() - began < 1


def test_endless_answer_is_not_read(server: Receiver) -> None:
    server.answer.endless = True

    assert send(server.url()) == 200
    time.sleep(0.5)
    assert server.written < 50 * 2**20  # what the buffers of the system take


@pytest.mark.parametrize(
    "answer",
    [b"", b"\n", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 nonsense\r\n", b"x" * 9999],
)
@override_settings(WEBHOOK_ALLOWED_NETWORKS=LOOPBACK)
def test_answer_that_is_not_http_is_a_failure(answer: bytes) -> None:
    def serve() -> None:
        channel, _ = listener.accept()
        # Who has read enough may hang up, at which the system says one of several
        # things (a reset, a broken pipe, "not connected").
        with channel, contextlib.suppress(OSError):
            channel.recv(65_536)
            channel.sendall(answer)
            channel.shutdown(socket.SHUT_WR)
            while channel.recv(65_536):  # unread, they would make a reset of the end
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(NotDeliveredError, match="not HTTP"):
            send(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        thread.join()


def test_receiver_that_is_down_is_a_failure(server: Receiver) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    with pytest.raises(NotDeliveredError, match="Connection refused"):
        send(f"http://127.0.0.1:{port}/")


def test_name_that_does_not_exist_is_a_failure(resolves: dict[str, list[str]]) -> None:
    with pytest.raises(NotDeliveredError, match="cannot be resolved"):
        send(f"https://{NAME}/")


@override_settings(WEBHOOK_ALLOWED_NETWORKS=LOOPBACK)
@pytest.mark.parametrize(
    ("trusted", "host", "accepted"),
    [(True, NAME, True), (False, NAME, False), (True, "other.example.com", False)],
)
def test_certificate_has_to_be_trusted_and_that_of_the_name(
    trusted: bool,
    host: str,
    accepted: bool,
    tmp_path: Path,
    resolves: dict[str, list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolves[NAME] = resolves["other.example.com"] = ["127.0.0.1"]
    file, context = make_certificate(tmp_path, NAME)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
    posting._tls.cache_clear()
    with receiver(tls=context) as server:
        try:
            if accepted:
                assert send(server.url(host)) == 200
                assert len(server.received) == 1
            else:
                with pytest.raises(NotDeliveredError, match="certificate"):
                    send(server.url(host))
                assert not server.received
        finally:
            posting._tls.cache_clear()
