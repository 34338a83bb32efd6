"""An answer leaves whole and in its order, however little a socket takes at a time."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from storage.stored_file import StoredFile
from viewer_api import outgoing_answer
from viewer_api.outgoing_answer import STEP_SIZE_BYTES, OutgoingAnswer


def stored(folder: Path, content: bytes) -> StoredFile:
    path = folder / "object"
    path.write_bytes(content)
    return StoredFile(os.open(path, os.O_RDONLY), 0, len(content))


def test_it_begins_with_the_status_line_and_the_fields(tmp_path: Path) -> None:
    answer = OutgoingAnswer(b"etag: x\r\n\r\n(", stored(tmp_path, b"0123456789"), 3, 4, b")")
    answer.complete_head([(b"date", b"today")])
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert answer.send(ours)
        assert theirs.recv(1000) == b"HTTP/1.1 200 OK\r\ndate: today\r\netag: x\r\n\r\n(3456)"


@pytest.mark.parametrize("size_bytes", [1, STEP_SIZE_BYTES, 3 * STEP_SIZE_BYTES + 7])
def test_what_a_socket_does_not_take_goes_out_later(tmp_path: Path, size_bytes: int) -> None:
    content = os.urandom(size_bytes)
    before, after = os.urandom(300_000), os.urandom(300_000)  # more than the buffers of a socket, too
    answer = OutgoingAnswer(before, stored(tmp_path, content), 0, size_bytes, after)
    ours, theirs = socket.socketpair()
    received = b""
    with ours, theirs:
        ours.setblocking(False)
        is_all = False
        while not is_all:
            try:
                is_all = answer.send(ours)
            except BlockingIOError:
                received += theirs.recv(1 << 16)
        ours.close()
        received += b"".join(iter(lambda: theirs.recv(1 << 16), b""))
    assert received == before + content + after


def test_what_lies_on_a_disk_only_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing_answer, "lies_in_memory", lambda *_: False)
    answer = OutgoingAnswer(b"(", stored(tmp_path, b"0123456789"), 0, 10, b")")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert not answer.send(ours)
        assert theirs.recv(1000) == b"("
        assert (answer.before, answer.count, answer.after) == (b"", 10, b")")


def test_a_file_that_has_lost_its_end_is_not_all(tmp_path: Path) -> None:
    answer = OutgoingAnswer(b"", stored(tmp_path, b"0123"), 0, 10, b")")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert not answer.send(ours)
        assert answer.count == 10
