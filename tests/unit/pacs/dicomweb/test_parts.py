"""The first part of a multipart answer comes as it was written, however it is cut."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs.dicomweb.parts import read_first_part
from pacs.errors import UnreadableInstance

TYPE = 'multipart/related; type="application/dicom"; boundary="xyz"'


def reader(data: bytes, sizes: list[int]) -> Callable[[int], bytes]:
    """Read data in pieces of these sizes, then of 7 bytes."""
    left, cuts = [data], list(sizes)

    def read(size: int) -> bytes:
        number = min(size, cuts.pop(0) if cuts else 7)
        piece, left[0] = left[0][:number], left[0][number:]
        return piece

    return read


def multipart(body: bytes, preamble: bytes = b"", more: bytes = b"") -> bytes:
    return preamble + b"--xyz\r\nContent-Type: application/dicom\r\n\r\n" + body + b"\r\n--xyz" + more


@given(
    st.binary(max_size=300).filter(lambda body: b"\r\n--xyz" not in body),
    st.lists(st.integers(1, 60), max_size=40),
    st.sampled_from([b"", b"preamble\r\n", b"\r\n"]),
    st.sampled_from([b"--\r\n", b"--", b"\r\nContent-Type: a/b\r\n\r\nsecond\r\n--xyz--"]),
)
def test_a_part_comes_as_it_was_written(body: bytes, sizes: list[int], preamble: bytes, more: bytes) -> None:
    read = reader(multipart(body, preamble, more), sizes)
    assert b"".join(read_first_part(TYPE, read)) == body
    assert read(1) == b""  # the connection is free


@given(st.binary(max_size=300), st.lists(st.integers(1, 60), max_size=40), st.text(max_size=60))
def test_whatever_comes_is_a_part_or_refused(data: bytes, sizes: list[int], content_type: str) -> None:
    for kind in (TYPE, content_type, f"multipart/related; boundary={content_type}"):
        with contextlib.suppress(UnreadableInstance):
            b"".join(read_first_part(kind, reader(data, sizes)))


def test_an_answer_that_is_not_multipart_is_the_part() -> None:
    assert b"".join(read_first_part("application/dicom", reader(b"file", []))) == b"file"


@pytest.mark.parametrize(
    ("content_type", "data"),
    [
        (TYPE, b""),
        (TYPE, b"--xyz\r\nContent-Type: a/b\r\n"),
        (TYPE, multipart(b"body")[:-3]),
        (TYPE, b"--other\r\n\r\nbody\r\n--other--"),
        (TYPE, b"x" * 200_000),
        ("multipart/related", multipart(b"body")),
        (f"multipart/related; boundary={'x' * 71}", b""),
    ],
)
def test_what_has_no_part_or_no_end_is_refused(content_type: str, data: bytes) -> None:
    with pytest.raises(UnreadableInstance):
        list(read_first_part(content_type, reader(data, [65536] * 10)))


def test_what_has_no_end_behind_the_part_is_not_read_to_its_end() -> None:
    pieces = [multipart(b"body")]
    assert b"".join(read_first_part(TYPE, lambda _: pieces.pop() if pieces else b"more")) == b"body"
