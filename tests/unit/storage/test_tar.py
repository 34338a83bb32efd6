from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.tar import (
    BLOCK,
    END,
    HEADER_READ_BYTES,
    encode_header,
    encode_member_header,
    padding,
    parse_member,
)

PATHS = ["a", "5f/1.2.840.1/1.2.840.2/1.2.3.dcm", "x" * 100, "x" * 101, "d/" * 440 + "name"]


def member(path: str, content: bytes) -> bytes:
    return encode_member_header(path, len(content), 1_790_000_000) + content + bytes(padding(len(content)))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("size_bytes", [0, 1, 511, 512, 513])
def test_any_program_for_tar_reads_what_is_written(path: str, size_bytes: int) -> None:
    archive = member("first", b"1") + member(path, b"x" * size_bytes) + END
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        found = opened.getmembers()[1]
        assert (found.name, found.size, found.mtime) == (path, size_bytes, 1_790_000_000)
        extracted = opened.extractfile(found)
        assert extracted is not None
        assert extracted.read() == b"x" * size_bytes


@pytest.mark.parametrize("path", PATHS)
def test_a_header_is_read_back(path: str) -> None:
    data = member(path, b"content")
    found = parse_member(data[:HEADER_READ_BYTES], 5120)
    assert found is not None
    assert (found.path, found.size_bytes, found.deleted) == (path, 7, False)
    assert data[found.offset - 5120 :][:7] == b"content"
    assert found.end == 5120 + len(data)


def test_a_deleted_member_is_told_from_a_living_one() -> None:
    found = parse_member(encode_header(b"name", 7, 0, deleted=True), 0)
    assert found is not None
    assert found.deleted


def test_a_header_in_which_one_bit_is_wrong_is_none() -> None:
    data = bytearray(encode_member_header("name", 7, 0))
    for position in range(0, BLOCK, 7):
        data[position] ^= 1
        assert parse_member(bytes(data), 0) is None
        data[position] ^= 1


@given(st.binary(max_size=HEADER_READ_BYTES))
def test_what_is_no_header_is_none(data: bytes) -> None:
    assert parse_member(data, 0) is None


@given(st.sampled_from(PATHS), st.integers(0, HEADER_READ_BYTES), st.integers(0, 255))
def test_a_damaged_header_never_gives_another_size(path: str, position: int, value: int) -> None:
    data = bytearray(encode_member_header(path, 7, 0))
    if position < len(data):
        data[position] = value
    found = parse_member(bytes(data), 0)
    assert found is None or found.size_bytes == 7
