"""Answers that leave by their files: the same bytes as those that are read, whatever the client does."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import httpx
import pytest
import uvloop
from pydicom.uid import generate_uid
from starlette.requests import ClientDisconnect
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from pacs.archive import Archive
from pacs.index.records import StoredInstance
from pacs.ingest import Origin, open_part10, store_instance
from pacs.retrieve import find_instances
from pacs.settings import Settings
from storage.stored_file import StoredFile
from tests.datasets import encode_file, make_dataset
from tests.empty_index import open_empty_archive
from tests.http_server import serving
from tests.integration.dimse_peers import eventually
from viewer_api import middleware, zero_copy
from viewer_api.outgoing_answer import OutgoingAnswer
from viewer_api.repeated_requests import RepeatedRequests

pytestmark = pytest.mark.skipif(not zero_copy.IS_POSSIBLE, reason="sendfile as Linux has it")

STUDY, SERIES = "2.25.1", "2.25.1.1"
PATH = f"/dicom-web/studies/{STUDY}/series/{SERIES}"
AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
ROUTED = 'If-Range: "of another body"\r\n'  # has no effect, and is for the routes to say so
ALONE = "application/dicom; transfer-syntax=*"
# In a pack, as a file of its own, and more than the buffers of a connection take.
SIZES = {"2.25.1.1.1": 16, "2.25.1.1.2": 1024, "2.25.1.1.3": 4096}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    opened = open_empty_archive(Settings(data_dir=Path(tmp_path_factory.mktemp("archive"))))
    for uid, rows in SIZES.items():
        dataset = make_dataset(StudyInstanceUID=STUDY, SeriesInstanceUID=SERIES, SOPInstanceUID=uid)
        dataset.Rows, dataset.Columns, dataset.PixelData = rows, 1024, os.urandom(rows * 2048)
        store_instance(opened, open_part10([encode_file(dataset)]), Origin("stow"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def url(archive: Archive) -> Iterator[str]:
    with serving(archive) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def sent_by_file(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of bytes of each call that sent some."""
    counted = []
    send = os.sendfile

    def counting(*arguments: int) -> int:
        counted.append(send(*arguments))
        return counted[-1]

    monkeypatch.setattr(os, "sendfile", counting)
    return counted


def find(archive: Archive, uid: str) -> StoredInstance:
    (instance,) = find_instances(archive, STUDY, SERIES, uid)
    return instance


def content_of(archive: Archive, uid: str) -> bytes:
    location = find(archive, uid).location
    return archive.store.read_range(location.key, 0, location.size_bytes)


@pytest.mark.parametrize("uid", SIZES)
def test_an_instance_is_sent_from_its_file_byte_for_byte(
    url: str, archive: Archive, uid: str, sent_by_file: list[int]
) -> None:
    answer = httpx.get(f"{url}{PATH}/instances/{uid}", headers={"accept": ALONE})
    assert answer.content == content_of(archive, uid)
    wait_for_quiet(url)
    assert sum(sent_by_file) == len(answer.content)


@pytest.mark.parametrize("uid", SIZES)
def test_a_range_of_a_file_is_sent(url: str, archive: Archive, uid: str) -> None:
    headers = {"accept": ALONE, "range": "bytes=1000-20000"}
    answer = httpx.get(f"{url}{PATH}/instances/{uid}", headers=headers)
    assert answer.content == content_of(archive, uid)[1000:20001]


def test_a_series_is_the_same_by_file_and_through_memory(
    url: str, archive: Archive, sent_by_file: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    by_file = httpx.get(url + PATH, headers={"accept": AS_STORED})
    wait_for_quiet(url)
    assert sum(sent_by_file) == sum(find(archive, uid).location.size_bytes for uid in SIZES)
    monkeypatch.setattr(type(archive.store), "open_file", lambda *_: None)
    sent_by_file.clear()
    through_memory = httpx.get(url + PATH, headers={"accept": AS_STORED})
    assert not sent_by_file
    boundaries = [one.headers["content-type"].rpartition("=")[2] for one in (by_file, through_memory)]
    assert through_memory.content == by_file.content.replace(*(one.encode() for one in boundaries))


def test_the_end_of_a_large_answer_is_not_held_back(url: str) -> None:
    times_s = []
    with closing(connected(url)) as connection:
        for _ in range(10):
            begin_s = time.monotonic()
            connection.sendall(request("2.25.1.1.2"))
            received = connection.recv(4096)
            size_bytes = received.find(b"\r\n\r\n") + 4 + _content_length(received)
            left = size_bytes - len(received)
            while left:
                left -= len(connection.recv(left))
            times_s.append(time.monotonic() - begin_s)
    assert min(times_s) < 0.15  # the system holds a part of a segment for 0.2 s


def _content_length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])


def test_a_head_is_answered_without_the_file(url: str, sent_by_file: list[int]) -> None:
    answer = httpx.head(url + PATH, headers={"accept": AS_STORED})
    assert (answer.status_code, answer.content, sent_by_file) == (200, b"", [])
    assert int(answer.headers["content-length"]) > sum(SIZES.values()) * 2048


def test_one_connection_gets_answers_in_turn(url: str, archive: Archive) -> None:
    with httpx.Client(base_url=url) as client:
        for uid in [*SIZES, *SIZES]:
            answer = client.get(f"{PATH}/instances/{uid}", headers={"accept": ALONE})
            assert answer.content == content_of(archive, uid)
            assert client.get("/health").json() == {"status": "ok"}


def test_requests_that_were_sent_before_an_answer_came_are_answered_in_turn(
    url: str, archive: Archive
) -> None:
    uids = list(SIZES)
    with closing(connected(url)) as connection:
        connection.sendall(b"".join(request(uid) for uid in uids))
        received = b""
        while received.count(b"HTTP/1.1 200") < len(uids) or not received.endswith(
            content_of(archive, uids[-1])
        ):
            received += connection.recv(1 << 20)
    for uid in uids:
        _, _, received = received.partition(b"\r\n\r\n")
        assert received.startswith(content_of(archive, uid))


def test_a_client_that_reads_slowly_gets_everything_and_keeps_nobody_waiting(
    url: str, archive: Archive
) -> None:
    uid = "2.25.1.1.3"
    with closing(connected(url, receive_buffer_bytes=4096)) as connection:
        connection.sendall(request(uid))
        time.sleep(0.2)  # the buffers are full now
        assert httpx.get(url + "/health", timeout=5).status_code == 200
        received, content = bytearray(), content_of(archive, uid)
        while not received.endswith(content[-100:]):
            received += connection.recv(1 << 16)
    assert received.endswith(content)


def test_clients_that_go_away_leave_nothing_open(url: str) -> None:
    wait_for_quiet(url)
    before = open_files()
    for _ in range(20):
        with closing(connected(url, receive_buffer_bytes=4096)) as connection:
            connection.sendall(request("2.25.1.1.3"))
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
    eventually(lambda: open_files() <= before)


def test_clients_that_go_away_are_no_errors(url: str, caplog: pytest.LogCaptureFixture) -> None:
    before = open_files()
    with suspended_collection():
        for _ in range(20):
            for is_begun in (True, False):
                with closing(connected(url, receive_buffer_bytes=4096)) as connection:
                    connection.sendall(request("2.25.1.1.3", ROUTED))
                    if is_begun:
                        assert connection.recv(100).startswith(b"HTTP/1.1 200")
        wait_for_quiet(url)
        eventually(lambda: open_files() <= before)
    assert not [one for one in caplog.records if one.name == middleware.__name__]


class _Sending(asyncio.Protocol):
    """Writes more than a connection takes, and then a file."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.flow = FlowControl(transport)
        self.sender = zero_copy.ZeroCopy(transport, self.flow, RepeatedRequests())
        transport.write(bytes(64 << 20))
        self.sent = asyncio.ensure_future(self.send_file())

    async def send_file(self) -> None:
        file = StoredFile(os.open(__file__, os.O_RDONLY), 0, 1)
        answer = OutgoingAnswer(b"", file, 0, 1, b"")
        await self.sender.send_rest(cast("RequestResponseCycle", SimpleNamespace()), answer)

    def pause_writing(self) -> None:
        self.flow.pause_writing()

    def resume_writing(self) -> None:
        self.flow.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self.sender.close()
        self.flow.resume_writing()


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_client_that_goes_away_before_the_file_is_gone(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def leave_early() -> None:
        protocol = _Sending()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: protocol, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        with closing(await asyncio.to_thread(socket.create_connection, address)):
            await asyncio.sleep(0.1)
        with pytest.raises(ClientDisconnect):
            await asyncio.wait_for(protocol.sent, 10)
        with pytest.raises(ClientDisconnect):  # what comes after it, too
            await protocol.send_file()
        server.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(leave_early())


def test_a_request_for_a_web_socket_keeps_nothing_open(url: str, archive: Archive) -> None:
    wait_for_quiet(url)
    before = open_files()
    upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    with suspended_collection():
        for _ in range(20):
            with closing(connected(url)) as connection:
                for asked in (request("2.25.1.1.1"), request("2.25.1.1.1", upgrade + key)):
                    connection.sendall(asked)
                    received = b""
                    while not received.endswith(content_of(archive, "2.25.1.1.1")):
                        received += connection.recv(1 << 16)
        eventually(lambda: open_files() <= before)


def test_a_file_that_lies_on_the_disk_only_is_read_first(
    url: str, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_places = []
    read = zero_copy._read
    monkeypatch.setattr(zero_copy, "lies_in_memory", lambda *_: False)
    monkeypatch.setattr(zero_copy, "_read", lambda *part: read_places.append(part[1]) or read(*part))
    answer = httpx.get(f"{url}{PATH}/instances/2.25.1.1.3", headers={"accept": ALONE})
    assert answer.content == content_of(archive, "2.25.1.1.3")
    assert len(read_places) >= len(answer.content) >> 20


def test_what_a_damaged_file_lacks_ends_the_connection_before_its_time(tmp_path: Path) -> None:
    archive = open_empty_archive(Settings(data_dir=tmp_path))
    dataset = make_dataset(StudyInstanceUID=STUDY, SeriesInstanceUID=SERIES, SOPInstanceUID=generate_uid())
    dataset.Rows, dataset.Columns, dataset.PixelData = 1024, 1024, bytes(2 << 20)
    store_instance(archive, open_part10([encode_file(dataset)]), Origin("stow"))
    location = find(archive, str(dataset.SOPInstanceUID)).location
    os.truncate(tmp_path / "objects" / location.key, location.size_bytes // 2)
    with serving(archive) as port, pytest.raises(httpx.RemoteProtocolError):
        httpx.get(
            f"http://127.0.0.1:{port}{PATH}/instances/{dataset.SOPInstanceUID}", headers={"accept": ALONE}
        )
    archive.close()


def connected(url: str, receive_buffer_bytes: int = 1 << 20) -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
    connection.connect(("127.0.0.1", httpx.URL(url).port))
    connection.settimeout(30)
    return connection


def request(uid: str, more: str = "") -> bytes:
    head = f"GET {PATH}/instances/{uid} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: {ALONE}\r\n{more}\r\n"
    return head.encode()


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


@contextmanager
def suspended_collection() -> Iterator[None]:
    """Let nothing be closed but what nobody refers to any more."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def wait_for_quiet(url: str) -> None:
    """Wait until the server's loop has come past what it did before."""
    with httpx.Client(verify=False) as client:  # no TLS, whose authorities take long to read
        for _ in range(3):
            assert client.get(url + "/health").status_code == 200
            time.sleep(0.02)
