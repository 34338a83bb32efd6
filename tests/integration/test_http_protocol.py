"""The HTTP door as a socket sees it: what is no HTTP, or never becomes a request."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from http.client import HTTPConnection
from pathlib import Path

import orjson
import pytest

from pacs.dicom.dataset_json import dataset_to_json
from pacs.settings import Settings
from tests.datasets import make_dataset
from tests.empty_index import open_empty_archive
from tests.http_server import serving
from viewer_api import http_protocol


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    archive = open_empty_archive(Settings(data_dir=Path(tmp_path_factory.mktemp("http"))))
    with serving(archive) as port:
        yield port
    archive.close()


def answer(connection: socket.socket) -> tuple[int, dict[str, object]]:
    connection.settimeout(20)
    received = b""
    while piece := _receive(connection):
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    return int(head.split()[1]), json.loads(body)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize(
    "sent",
    [b"no HTTP at all\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"GET / HTTP/9.9\r\n\r\n", b"\0" * 100],
)
def test_what_is_no_http_is_400_in_problem_details(port: int, sent: bytes) -> None:
    with closing(socket.create_connection(("127.0.0.1", port))) as connection:
        connection.sendall(sent)
        assert answer(connection) == (400, {"title": "Bad Request", "status": 400})


@pytest.mark.parametrize("begin", [b"GET / HTTP/1.1\r\nX-Endless: ", b"GET /"])
def test_d16_a_head_without_end_is_refused_while_it_comes_and_memory_stays_flat(
    port: int, begin: bytes
) -> None:
    before = _resident()
    with closing(socket.create_connection(("127.0.0.1", port))) as connection:
        connection.sendall(begin)
        sent = 0
        try:
            while sent < 256 << 20:
                connection.sendall(b"x" * (1 << 16))
                sent += 1 << 16
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert sent < 32 << 20  # what the kernel's buffers took
    assert _resident() - before < 32 << 20


@pytest.mark.parametrize("begin", [b"0\r\nX-Endless: ", b"1; endless="])
def test_d16_what_stands_around_chunks_has_an_end_too(port: int, begin: bytes) -> None:
    head = b"POST /dicom-web/studies HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    before = _resident()
    with closing(socket.create_connection(("127.0.0.1", port))) as connection:
        connection.sendall(head + begin)
        sent = 0
        with suppress(BrokenPipeError, ConnectionResetError):
            while sent < 256 << 20:
                connection.sendall(b"x" * (1 << 16))
                sent += 1 << 16
        assert sent < 32 << 20
    assert _resident() - before < 32 << 20


def test_a_body_in_many_small_chunks_is_taken_whole(port: int) -> None:
    chunk = b"5\r\nxxxxx\r\n"
    head = (
        b"POST /dicom-web/studies HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\n"
        b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with closing(socket.create_connection(("127.0.0.1", port))) as connection:
        connection.sendall(head + chunk * 50_000 + b"0\r\nX-Trailer: short\r\n\r\n")
        assert answer(connection)[0] == 415


def test_many_header_fields_are_refused_too(port: int) -> None:
    with closing(socket.create_connection(("127.0.0.1", port))) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"a: b\r\n" * 20_000)
        assert answer(connection)[0] in (400, 431)


def test_a_head_that_is_not_finished_in_time_is_408(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_TIMEOUT_S", 0.2)
    with closing(socket.create_connection(("127.0.0.1", port))) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHo")
        assert answer(connection)[0] == 408


def receive_all(connection: socket.socket) -> bytes:
    connection.settimeout(20)
    return b"".join(iter(lambda: _receive(connection), b""))


WAITING = b"GET /changes?since=0&wait=1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.mark.parametrize("behind", [b"no HTTP at all\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", WAITING + b"\0\0"])
def test_what_is_no_http_is_never_the_answer_to_the_request_before_it(port: int, behind: bytes) -> None:
    with closing(socket.create_connection(("127.0.0.1", port))) as connection:
        connection.sendall(WAITING)
        time.sleep(0.2)  # until it is being answered
        connection.sendall(behind)
        assert receive_all(connection) == b""


@pytest.mark.parametrize("chunk", [b"no size\r\n", b"0\r\nX-Endless: " + b"x" * (1 << 17)])
def test_a_request_that_was_answered_has_no_second_answer_whatever_its_body_becomes(
    port: int, chunk: bytes
) -> None:
    with closing(socket.create_connection(("127.0.0.1", port))) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        received = b""
        while not received.endswith(b'{"status":"ok"}'):
            received += connection.recv(65536)
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(chunk)
        assert receive_all(connection) == b""


def test_a_malformed_body_is_400_while_its_request_has_no_answer(port: int) -> None:
    head = b"POST /dicom-web/studies HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n"
    head += b'Content-Type: multipart/related; type="application/dicom"; boundary=x\r\n\r\n'
    with closing(socket.create_connection(("127.0.0.1", port))) as connection:
        connection.sendall(head + b"3\r\n--x\r\n")
        time.sleep(0.2)
        connection.sendall(b"no size\r\n")
        assert answer(connection)[0] == 400


def test_a_slow_answer_is_not_cut_off_by_the_half_of_a_head_behind_it(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_TIMEOUT_S", 0.2)
    with closing(socket.create_connection(("127.0.0.1", port))) as connection:
        connection.sendall(WAITING + b"GET / HTTP/1.1\r\nHo")
        first, second = receive_all(connection).split(b"HTTP/1.1 ")[1:]
        assert first.startswith(b"200") and first.endswith(b'{"changes":[],"last":0}')
        assert second.startswith(b"408")


def test_a_large_body_behind_a_small_head_is_no_large_head(port: int) -> None:
    body = b"x" * (1 << 20)
    head = (
        b"POST /dicom-web/studies HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\n"
        b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    )
    with closing(socket.create_connection(("127.0.0.1", port))) as connection:
        connection.sendall(head + body)
        assert answer(connection)[0] == 415


def test_a_connection_is_used_again_after_a_while(port: int) -> None:
    with closing(HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        for _ in range(3):
            connection.request("GET", "/health")
            assert connection.getresponse().read() == b'{"status":"ok"}'
            time.sleep(0.1)


def test_b4_bulk_data_of_any_size_is_stored_in_little_memory(port: int) -> None:
    dataset = make_dataset(PixelData=None)
    metadata = dataset_to_json(dataset, "utf-8", "")
    metadata["7FE00010"] = {"vr": "OW", "BulkDataURI": "pixels"}
    head = b"--x\r\nContent-Type: application/dicom+json\r\n\r\n" + orjson.dumps([metadata])
    head += b"\r\n--x\r\nContent-Type: application/octet-stream\r\nContent-Location: pixels\r\n\r\n"
    piece, pieces, end = bytes(1 << 20), 192, b"\r\n--x--\r\n"
    size_bytes = len(head) + len(piece) * pieces + len(end)
    before = _resident()
    with closing(socket.create_connection(("127.0.0.1", port))) as connection:
        connection.sendall(
            b"POST /dicom-web/studies HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
            b'Content-Type: multipart/related; type="application/dicom+json"; boundary=x\r\n'
            b"Content-Length: %d\r\n\r\n" % size_bytes
        )
        connection.sendall(head)
        highest = 0
        for _ in range(pieces):
            connection.sendall(piece)
            highest = max(highest, _resident())
        connection.sendall(end)
        connection.settimeout(60)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    assert highest - before < 64 << 20
