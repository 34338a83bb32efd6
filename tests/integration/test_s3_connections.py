"""Connections that are kept, break, or lead through a proxy; at the other end is a server of a few lines."""

import socket
import ssl
import subprocess
import threading
from contextlib import suppress

import pytest
from botocore.exceptions import (
    ConnectionClosedError,
    EndpointConnectionError,
    HTTPClientError,
    InvalidProxiesConfigError,
    ReadTimeoutError,
)

from storage.s3_connections import S3Connections
from storage.s3_errors import is_passing
from tests.data import program

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nX-Kind: Tests\r\n\r\ncontent"
HANG_UP = b""


class Server:
    """Answers each request with the next of ``answers``; `HANG_UP` ends the connection instead.

    So does an answer that says that it closes the connection, when it was sent. After the last answer it is
    silent. Counts connections and keeps the heads and bodies of requests.
    """

    def __init__(self, answers):
        self.answers = list(answers)
        self.connections = 0
        self.requests = []
        self.tls = None
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/bucket"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with suppress(OSError):
            while True:
                connected, _ = self._listening.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connected,), daemon=True).start()

    def _serve(self, connected):
        with suppress(OSError):
            if self.tls is not None:
                connected = self.tls.wrap_socket(connected, server_side=True)
            self._answer(connected)

    def _answer(self, connected):
        with connected, connected.makefile("rb") as stream:
            while head := self._read_head(stream):
                length = [line for line in head if line.lower().startswith("content-length:")]
                body = stream.read(int(length[0].partition(":")[2])) if length else b""
                self.requests.append((head, body))
                if not self.answers:
                    threading.Event().wait()
                answer = self.answers.pop(0)
                connected.sendall(answer)
                if answer == HANG_UP or b"Connection: close" in answer:
                    return

    def _read_head(self, stream):
        lines = []
        while (line := stream.readline().decode("latin-1").rstrip("\r\n")) != "":
            lines.append(line)
        return lines

    def close(self):
        self._listening.close()


@pytest.fixture
def serve():
    servers = []

    def start(*answers):
        servers.append(Server(answers))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def connect(url):
    return S3Connections(url, ca_bundle=None, most_kept=2, connect_timeout_s=2.0)


def get(connections, **changes):
    return connections.request(
        "GET", "/bucket/key", {"host": "h"}, **{"read_timeout_s": 5.0, "most_bytes": 100} | changes
    )


def put(connections, body):
    headers = {"host": "h", "content-length": str(len(body))}
    return connections.request("PUT", "/bucket/key", headers, body, read_timeout_s=5.0, most_bytes=100)


def test_a_connection_is_used_again(serve):
    server = serve(OK, OK, OK)
    connections = connect(server.url)
    for _ in range(2):
        answer = get(connections)
        assert (answer.status, answer.content, answer.headers["x-kind"]) == (200, b"content", "Tests")
    put(connections, memoryview(b"x" * 3_000_000))
    assert server.connections == 1
    assert server.requests[2][1] == b"x" * 3_000_000
    connections.close()


def test_a_connection_that_the_server_has_closed_is_not_used(serve):
    closing = OK.replace(b"X-Kind: Tests", b"Connection: close")
    server = serve(closing, closing, OK)
    connections = connect(server.url)
    for _ in range(3):
        assert get(connections).content == b"content"
    assert server.connections == 3


def test_a_connection_that_ended_while_nobody_used_it_is_not_used(serve):
    server = serve(OK, OK)
    connections = connect(server.url)
    get(connections)
    (kept,) = connections._kept
    kept.sock.shutdown(socket.SHUT_RDWR)
    assert get(connections).content == b"content"
    assert server.connections == 2


def test_of_a_longer_answer_only_a_part_is_read_and_the_connection_is_let_go(serve):
    server = serve(OK.replace(b"7", b"1000000000"), OK)
    connections = connect(server.url)
    assert get(connections, most_bytes=5).content == b"conte"
    assert get(connections).content == b"content"
    assert server.connections == 2


def test_an_answer_in_chunks_is_put_together(serve):
    server = serve(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ncon\r\n4\r\ntent\r\n0\r\n\r\n", OK
    )
    connections = connect(server.url)
    assert get(connections).content == b"content"
    get(connections)
    assert server.connections == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (HANG_UP, ConnectionClosedError),
        (OK[:-3], ReadTimeoutError),
        (OK.replace(b"X-Kind: Tests", b"Connection: close")[:-3], ConnectionClosedError),
        (b"SSH-2.0-OpenSSH_9.2\r\n", ConnectionClosedError),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n", ConnectionClosedError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", ConnectionClosedError),
    ],
)
def test_what_is_no_whole_answer_is_an_error_that_may_pass(serve, answer, error):
    connections = connect(serve(answer, OK).url)
    with pytest.raises(error) as raised:
        get(connections, read_timeout_s=0.3)
    assert isinstance(raised.value, HTTPClientError)
    assert is_passing(raised.value)
    assert get(connections).content == b"content"


def test_what_a_server_says_before_it_has_read_everything_is_heard():
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def refuse():
            connected, _ = listening.accept()
            with connected:
                connected.recv(100)
                connected.sendall(b"HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\n\r\n")
                connected.shutdown(socket.SHUT_RDWR)

        thread = threading.Thread(target=refuse)
        thread.start()
        connections = connect(f"http://127.0.0.1:{listening.getsockname()[1]}")
        # Either the answer, or an error that makes the caller look what is there.
        with suppress(ConnectionClosedError):
            assert put(connections, b"x" * 5_000_000).status == 412
        thread.join()


def test_where_nobody_listens_there_is_no_connection():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound, and not listening
        with pytest.raises(EndpointConnectionError) as raised:
            get(connect(f"http://127.0.0.1:{held.getsockname()[1]}"))
    assert is_passing(raised.value)


def test_a_proxy_is_asked_for_the_whole_address(serve, monkeypatch):
    proxy = serve(OK)
    monkeypatch.setenv("http_proxy", f"http://user:p%40ss@127.0.0.1:{proxy.port}")
    assert get(connect("http://s3.example:8333/bucket")).content == b"content"
    head = proxy.requests[0][0]
    assert head[0] == "GET http://s3.example:8333/bucket/key HTTP/1.1"
    assert "Proxy-Authorization: Basic dXNlcjpwQHNz" in head


def test_an_address_without_proxy_is_asked_directly(serve, monkeypatch):
    server = serve(OK)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert get(connect(server.url)).content == b"content"


def test_a_proxy_is_asked_for_a_tunnel_to_a_server_with_tls(serve, monkeypatch):
    proxy = serve(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
    monkeypatch.setenv("https_proxy", f"127.0.0.1:{proxy.port}")
    with pytest.raises(EndpointConnectionError):
        get(connect("https://s3.example/bucket"))
    assert proxy.requests[0][0][0].startswith("CONNECT s3.example:443 ")


def test_a_proxy_that_speaks_something_else_is_refused(monkeypatch):
    monkeypatch.setenv("https_proxy", "socks5://127.0.0.1:1080")
    with pytest.raises(InvalidProxiesConfigError):
        connect("https://s3.example/bucket")


@pytest.fixture
def certificate(tmp_path):
    """A certificate for 127.0.0.1 that nobody has signed, with its key, in one file."""
    path = tmp_path / "certificate.pem"
    public = tmp_path / "public.pem"
    key = ["-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-keyout", str(path)]
    whose = ["-subj", "/CN=tests", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    command = [program("openssl"), "req", "-x509", *key, *whose, "-out", str(public)]
    subprocess.run(command, check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + public.read_bytes())
    return path


def test_a_server_with_tls_must_have_a_certificate_that_is_trusted(serve, certificate):
    server = serve(OK, OK)
    server.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.tls.load_cert_chain(certificate)
    url = server.url.replace("http:", "https:")
    trusting = S3Connections(url, ca_bundle=str(certificate), most_kept=2, connect_timeout_s=5.0)
    for _ in range(2):
        assert get(trusting).content == b"content"
    assert server.connections == 1
    with pytest.raises(EndpointConnectionError):
        get(connect(url))
    assert len(server.requests) == 2
