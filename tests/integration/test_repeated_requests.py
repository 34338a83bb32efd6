"""Requests in the words of the one before them are answered as the routes would, without being read."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread
from typing import TypeAlias

import httpx
import pytest

from pacs.archive import Archive
from pacs.delete import delete_instances
from pacs.ingest import Origin, open_part10, store_instance
from pacs.retrieve import find_instances
from pacs.settings import Settings
from tests.datasets import encode_file, make_dataset
from tests.empty_index import open_empty_archive
from tests.http_server import serving
from tests.integration.dimse_peers import eventually
from viewer_api import zero_copy
from viewer_api.file_serving import FileServingProtocol

pytestmark = pytest.mark.skipif(not zero_copy.IS_POSSIBLE, reason="sendfile as Linux has it")

Address: TypeAlias = tuple[str, int]
Answer: TypeAlias = tuple[int, dict[str, str], bytes]

SERIES = ("2.25.1", "2.25.1.1")
PATH = "/dicom-web/studies/{}/series/{}/instances".format(*SERIES)
SMALL, LARGE = "2.25.1.1.1", "2.25.1.1.2"
SIZES = {SMALL: 16, LARGE: 2048}  # rows and columns: in a pack; more than a connection takes
FRAME, SECOND_FRAME = f"{PATH}/{SMALL}/frames/1", f"{PATH}/{SMALL}/frames/2"
LARGE_FRAME = f"{PATH}/{LARGE}/frames/1"
OCTETS = "Accept: application/octet-stream\r\n"
ROUTED = 'If-Range: "of another body"\r\n'  # has no effect, and is for the routes to say so


class Connection:
    """A connection of a client that says no more than it is told to."""

    def __init__(self, address: Address, receive_buffer_bytes: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self.socket.settimeout(20)
        self.socket.connect(address)
        self._stream = self.socket.makefile("rb")

    def close(self) -> None:
        self._stream.close()
        self.socket.close()

    def ask(self, path: str, fields: str = OCTETS) -> None:
        self.socket.sendall(request(path, fields))

    def get(self, path: str, fields: str = OCTETS) -> Answer:
        self.ask(path, fields)
        return self.read()

    def read(self) -> Answer:
        """Read one answer: its status, its fields but the date, and its content."""
        status = int(self._stream.readline().split()[1])
        fields = {}
        while (line := self._stream.readline()) != b"\r\n":
            name, _, value = line.decode("latin-1").strip().partition(": ")
            assert name not in fields
            fields[name] = value
        assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT", fields.pop("date"))
        return status, fields, self._stream.read(int(fields.get("content-length", 0)))

    def wait_for_answer(self) -> None:
        self._stream.peek(1)

    def read_all(self) -> bytes:
        """Read until the connection is closed, and leave out the dates."""
        return re.sub(rb"\ndate: [^\r]*", b"", self._stream.read())


def request(path: str, fields: str = OCTETS) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{fields}\r\n".encode()


@contextmanager
def filled_archive(folder: Path) -> Iterator[Archive]:
    """Open an archive with the two instances."""
    with closing(open_empty_archive(Settings(data_dir=folder, allow_delete=True))) as archive:
        for uid, side in SIZES.items():
            pixels = os.urandom(4 * side**2)
            dataset = make_dataset(Rows=side, Columns=side, NumberOfFrames=2, PixelData=pixels)
            dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = *SERIES, uid
            store_instance(archive, open_part10([encode_file(dataset)]), Origin("stow"))
        yield archive


@contextmanager
def served(archive: Archive) -> Iterator[Address]:
    """Serve an archive, whose index remembers what was asked for."""
    with serving(archive) as port:
        address = ("127.0.0.1", port)
        with closing(Connection(address)) as connection:
            for path in (FRAME, LARGE_FRAME):
                connection.get(path)
        yield address


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    with filled_archive(tmp_path_factory.mktemp("archive")) as archive, served(archive) as address:
        yield address


@pytest.fixture
def connection(address: Address) -> Iterator[Connection]:
    with closing(Connection(address)) as connection:
        yield connection


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One for each request that was answered without being read."""
    taken: list[None] = []
    answer_again = FileServingProtocol._answer_again
    monkeypatch.setattr(
        FileServingProtocol, "_answer_again", lambda *one: taken.append(None) or answer_again(*one)
    )
    return taken


@pytest.mark.parametrize(
    "fields",
    [
        "",
        OCTETS,
        'Accept: multipart/related; type="application/octet-stream"\r\nAccept-Encoding: gzip\r\n',
    ],
)
def test_a_repeated_request_is_answered_as_the_routes_answer(
    connection: Connection, taken: list[None], fields: str
) -> None:
    routed = [connection.get(path, fields + ROUTED) for path in (FRAME, SECOND_FRAME)]
    assert connection.get(SECOND_FRAME, fields) == routed[1]
    assert not taken
    assert [connection.get(path, fields) for path in (FRAME, SECOND_FRAME, FRAME)] == [*routed, routed[0]]
    assert len(taken) == 3


def test_instances_and_frames_follow_one_another(connection: Connection, taken: list[None]) -> None:
    paths = [f"{PATH}/{SMALL}", FRAME, f"{PATH}/{LARGE}", LARGE_FRAME]
    routed = [connection.get(path, "Accept: */*\r\n" + ROUTED) for path in paths]
    assert [connection.get(path, "Accept: */*\r\n") for path in paths] == routed
    assert len(taken) == 3


def test_the_client_library_of_a_viewer_repeats_its_words(address: Address, taken: list[None]) -> None:
    with httpx.Client(base_url="http://{}:{}".format(*address)) as client:
        answers = [client.get(FRAME, headers={"accept": "application/octet-stream"}) for _ in range(5)]
    assert len({answer.content for answer in answers}) == 1
    assert len(taken) == 4


@pytest.mark.parametrize(
    "data",
    [
        *(
            request(path)
            for path in (
                f"{PATH}/2.25.9",
                f"{PATH}/{SMALL}/frames/3",
                f"{PATH}/{SMALL}/frames/0",
                f"{PATH}/{SMALL}/frames/1,2",
                f"{PATH}/{SMALL}/frames/%31",
                f"{PATH}/{SMALL}/frames/\u0661",
                f"{PATH}/{SMALL}/frames/1\n",
                f"{PATH}/{SMALL}/frames/1/rendered",
                f"{FRAME}?accept=image/png",
                f"{FRAME}#1",
                f"http://127.0.0.1{FRAME}",
                "/",
                "*",
                "",
            )
        ),
        request(FRAME).replace(b"GET", b"PUT"),
        request(FRAME).replace(b"GET", b"HEAD"),
        request(FRAME).replace(b"GET", b"get"),
        request(FRAME).replace(b"HTTP/1.1", b" HTTP/1.1"),
        request(FRAME).replace(b"HTTP/1.1", b"HTTP/1.0"),
        request(FRAME).replace(b"\r\n", b"\n"),
        request(FRAME, "Accept: text/html\r\n"),
        request(FRAME, f"{OCTETS}Range: bytes=0-3\r\n"),
        request(FRAME, f"{OCTETS}Connection: close\r\n"),
        request(FRAME, f"{OCTETS}Upgrade: websocket\r\nConnection: Upgrade\r\n"),
        request(FRAME, f"{OCTETS}Expect: 100-continue\r\nContent-Length: 0\r\n"),
        b"\r\n" + request(FRAME),
    ],
    ids=repr,
)
def test_whatever_differs_more_than_in_its_path_is_read(
    address: Address, taken: list[None], data: bytes
) -> None:
    answers = []
    for before in (0, 1):
        with closing(Connection(address)) as connection:
            for _ in range(before):
                assert connection.get(FRAME)[0] == 200
            connection.socket.sendall(data)
            connection.wait_for_answer()
            connection.socket.shutdown(socket.SHUT_WR)
            answers.append(connection.read_all())
    assert not taken
    assert answers[0] == answers[1]
    assert answers[0].startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize("size", [1, 20, len(request(FRAME)) - 1])
def test_what_comes_in_pieces_is_read(connection: Connection, taken: list[None], size: int) -> None:
    first = connection.get(FRAME)
    for piece in (request(FRAME)[:size], request(FRAME)[size:]):
        connection.socket.sendall(piece)
        time.sleep(0.05)
    assert connection.read() == first
    assert not taken
    assert connection.get(FRAME) == first
    assert len(taken) == 1


@pytest.mark.parametrize(
    ("more", "content"),
    [("Content-Length: 3", "abc"), ("Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n")],
)
def test_content_that_is_repeated_belongs_to_the_words(
    connection: Connection, taken: list[None], more: str, content: str
) -> None:
    data = request(FRAME, f"{OCTETS}{more}\r\n") + content.encode()
    answers = set()
    for sent in (data, data, data.replace(b"abc", b"xyz"), data):
        connection.socket.sendall(sent)
        answers.add(connection.read()[2])
    assert len(answers) == 1
    assert len(taken) == 1  # the second


def test_a_request_behind_one_that_is_being_answered_waits_for_its_turn(
    address: Address, taken: list[None]
) -> None:
    with closing(Connection(address, receive_buffer_bytes=4096)) as connection:
        large, small = connection.get(LARGE_FRAME), connection.get(FRAME)
        connection.ask(LARGE_FRAME)
        eventually(lambda: len(taken) == 2)
        for _ in range(3):
            connection.ask(FRAME)
            time.sleep(0.05)
        assert [connection.read() for _ in range(4)] == [large, small, small, small]
        assert len(taken) == 2
        assert connection.get(FRAME) == small


@pytest.mark.parametrize("wait_s", [0, 0.05])
def test_clients_that_leave_are_no_errors_and_leave_nothing_open(
    address: Address, taken: list[None], caplog: pytest.LogCaptureFixture, wait_s: float
) -> None:
    before = open_files()
    for _ in range(10):
        with closing(Connection(address, receive_buffer_bytes=4096)) as connection:
            connection.get(FRAME)
            connection.ask(LARGE_FRAME)
            time.sleep(wait_s)
    eventually(lambda: len(taken) == 10)
    eventually(lambda: open_files() <= before)
    assert not caplog.records


def test_a_slow_client_gets_the_rest(address: Address, taken: list[None]) -> None:
    with closing(Connection(address, receive_buffer_bytes=4096)) as connection:
        whole = connection.get(LARGE_FRAME)
        connection.ask(LARGE_FRAME)
        time.sleep(6)  # the server closes what is idle for five seconds
        assert connection.read() == whole
        assert len(taken) == 1


def test_an_idle_connection_is_closed(address: Address, taken: list[None]) -> None:
    with closing(Connection(address)) as connection:
        for _ in range(2):
            connection.get(FRAME)
        assert len(taken) == 1
        begun = time.monotonic()
        assert connection.read_all() == b""
        assert 4 < time.monotonic() - begun < 15


@pytest.mark.parametrize(
    ("remove", "status"),
    [
        (lambda archive: delete_instances(archive, *SERIES, SMALL), 404),
        (lambda archive: archive.store.delete(find_instances(archive, *SERIES, SMALL)[0].location.key), 410),
    ],
    ids=["deleted", "lost"],
)
def test_what_is_gone_is_told_so(
    tmp_path: Path, taken: list[None], remove: Callable[[Archive], object], status: int
) -> None:
    with (
        filled_archive(tmp_path) as archive,
        served(archive) as address,
        closing(Connection(address)) as connection,
    ):
        for _ in range(2):
            assert connection.get(FRAME)[0] == 200
        assert len(taken) == 1
        remove(archive)
        assert connection.get(FRAME)[0] == status
        assert connection.get(LARGE_FRAME)[0] == 200


def test_a_server_that_stops_finishes_its_answer(tmp_path: Path, taken: list[None]) -> None:
    answers = []
    with filled_archive(tmp_path) as archive:
        with served(archive) as address:
            connection = Connection(address, receive_buffer_bytes=4096)
            whole = connection.get(LARGE_FRAME)
            connection.ask(LARGE_FRAME)
            eventually(lambda: len(taken) == 1)
            reader = Thread(target=lambda: time.sleep(0.5) or answers.extend([connection.read()]))
            reader.start()
        reader.join()
    with closing(connection):
        assert answers == [whole]
        assert connection.read_all() == b""


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208
