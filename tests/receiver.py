"""A receiver of webhooks for tests: an HTTP or HTTPS server on loopback."""

from __future__ import annotations

import datetime as dt
import http.server
import ipaddress
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A request as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Answer:
    """How the receiver answers; it may be changed between requests."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    wait_s: float = 0
    dribble: bool = False
    """Whether the status line comes byte by byte, and never to its end."""
    endless: bool = False
    """Whether the body has no end."""


class Receiver(http.server.ThreadingHTTPServer):
    """Keeps what it has received in ``received``, before it answers."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.received: list[Received] = []
        self.answer = Answer()
        self.written = 0  # bytes of endless answers
        self.scheme = "http" if tls is None else "https"
        if tls is not None:
            self.socket = tls.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    @property
    def port(self) -> int:
        return self.server_address[1]

    def url(self, host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}/hook?of=tests"

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # who asks hangs up early


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        headers = dict(self.headers)
        body = self.rfile.read(length)
        server, answer = self.server, self.server.answer
        server.received.append(Received(path=self.path, headers=headers, body=body))
        time.sleep(answer.wait_s)
        while answer.dribble:
            self.wfile.write(b"H")
            time.sleep(0.1)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        while answer.endless:
            server.written += self.wfile.write(b"x" * 65_536)

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def receiver(port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    with Receiver(port, tls) as server:
        thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.05}
        )
        thread.start()
        try:
            yield server
        finally:
            server.answer.dribble = server.answer.endless = False
            server.shutdown()
            thread.join()


def make_certificate(folder: Path, host: str) -> tuple[Path, ssl.SSLContext]:
    """Make a certificate for a name; return its file and what a server wants."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = dt.datetime.now(dt.UTC)
    try:
        subject: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        subject = x509.DNSName(host)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([subject]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file, key_file = folder / f"{host}.pem", folder / f"{host}.key"
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key_file)
    return file, context
