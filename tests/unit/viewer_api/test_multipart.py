from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viewer_api.multipart import (
    MAX_PARTS,
    MalformedMultipart,
    closing,
    content_type,
    part_head,
    read_parts,
)

BOUNDARY = "b0undary"


def compose(contents: Iterable[bytes], boundary: str = BOUNDARY) -> bytes:
    heads = part_head(boundary, "application/dicom")
    return b"".join(heads + content + b"\r\n" for content in contents) + closing(boundary)


def read(chunks: Iterable[bytes], boundary: str = BOUNDARY) -> list[tuple[dict[str, str], bytes]]:
    return [(dict(part.headers), b"".join(part.chunks)) for part in read_parts(chunks, boundary)]


def cut(data: bytes, places: Iterable[int]) -> Iterator[bytes]:
    start = 0
    for place in sorted(places):
        yield data[start:place]
        start = place
    yield data[start:]


# Content made of what a delimiter is made of is the hardest to tell from one.
TRICKY = st.lists(
    st.sampled_from([b"\r", b"\n", b"\r\n", b"--", b"-", b"\r\n--", b"\r\n--b0", b"b0undar", b"x", b"\0"]),
    max_size=12,
).map(b"".join)


@given(st.data(), st.lists(TRICKY | st.binary(max_size=200), min_size=1, max_size=4))
def test_parts_come_out_as_they_went_in_wherever_the_body_is_cut(
    data: st.DataObject, contents: list[bytes]
) -> None:
    contents = [content for content in contents if b"--b0undary" not in content] or [b""]
    body = compose(contents)
    places = data.draw(st.lists(st.integers(0, len(body)), max_size=12))
    assert read(cut(body, places)) == [({"content-type": "application/dicom"}, one) for one in contents]


def test_a_body_may_come_byte_by_byte() -> None:
    body = compose([b"one", b"", b"\r\n-- two"])
    assert [content for _, content in read(bytes([byte]) for byte in body)] == [b"one", b"", b"\r\n-- two"]


@given(st.binary(max_size=300) | TRICKY, st.lists(st.integers(0, 300), max_size=6))
def test_any_body_is_read_or_refused(body: bytes, places: list[int]) -> None:
    for candidate in (body, b"--b0undary\r\n" + body, compose([b"x"])[:40] + body):
        try:
            parts = read(cut(candidate, places))
        except MalformedMultipart:
            continue
        assert sum(len(content) for _, content in parts) < len(candidate)


def test_preamble_epilogue_and_padding_are_no_content() -> None:
    body = b"preamble\r\n--b0undary \t\r\nA: 1\r\n\r\ncontent\r\n--b0undary--\r\nepilogue"
    assert read([body]) == [({"a": "1"}, b"content")]


def test_a_part_without_header_fields() -> None:
    assert read([b"--b0undary\r\n\r\ncontent\r\n--b0undary--"]) == [({}, b"content")]


def test_a_part_without_content_may_lack_the_second_line_break() -> None:
    body = b"--b0undary\r\nA: 1\r\n\r\n--b0undary\r\nA: 2\r\n\r\nx\r\n--b0undary--"
    assert read([body]) == [({"a": "1"}, b""), ({"a": "2"}, b"x")]


def test_what_is_left_unread_of_a_part_is_skipped() -> None:
    body = compose([b"a" * 100_000, b"second"])
    parts = []
    for part in read_parts(cut(body, range(0, len(body), 1000)), BOUNDARY):
        parts.append(next(part.chunks))
    assert parts[1] == b"second"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no boundary at all",
        b"--b0undary",
        b"--b0undary\r\n",
        b"--b0undary\r\nA: 1\r\n\r\nnever ends",
        b"--b0undary\r\nA: 1\r\n\r\nx\r\n--b0undary",
        b"--b0undaryX\r\nA: 1\r\n\r\nx\r\n--b0undary--",
        b"--b0undary\r\nno colon\r\n\r\nx\r\n--b0undary--",
        b"--b0undary\r\nA: 1\r\nA: 2\r\n\r\nx\r\n--b0undary--",
        b"--b0undary\r\nA : 1\r\n\r\nx\r\n--b0undary--",
        b"--b0undary\r\n folded: 1\r\n\r\nx\r\n--b0undary--",
        b"--b0undary\nA: 1\n\nx\n--b0undary--",
        b"--b0undary\r\nA: " + b"1" * 10_000 + b"\r\n\r\nx\r\n--b0undary--",
        b"p" * 100_000 + b"\r\n--b0undary\r\n\r\nx\r\n--b0undary--",
        b"--b0undary" + b" " * 100_000 + b"\r\n\r\nx\r\n--b0undary--",
        b"--b0undary\r\n\r\nx\r\n--b0undary--" + b"e" * 100_000,
    ],
)
def test_a_malformed_or_endless_body_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedMultipart):
        read(cut(body, range(0, len(body), 5000)))


@pytest.mark.parametrize("boundary", ["", "a" * 201, "ends ", 'quo"te', "line\r\nbreak", "đ", "a*b"])
def test_a_boundary_has_one_to_two_hundred_characters_of_the_allowed_ones(boundary: str) -> None:
    with pytest.raises(MalformedMultipart):
        read([b""], boundary)


def test_the_number_of_parts_is_bounded() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"--b0undary\r\n\r\n\r\n"

    with pytest.raises(MalformedMultipart):
        for number, _ in enumerate(read_parts(endless(), BOUNDARY)):
            assert number < MAX_PARTS


def test_what_we_write_names_type_and_transfer_syntax() -> None:
    assert content_type("x", "image/jls", "1.2") == (
        'multipart/related; type="image/jls"; transfer-syntax=1.2; boundary=x'
    )
    assert (
        part_head("x", "image/jls", "1.2") == b"--x\r\nContent-Type: image/jls; transfer-syntax=1.2\r\n\r\n"
    )


def test_the_boundary_of_orthanc_is_taken() -> None:
    boundary = "0b5c2f0e-7d43-4a7e-9f0a-3a8f4f4a5c11-5b7d9f7e-1c2d-4e3f-8a9b-0c1d2e3f4a5b"  # 73 characters
    assert len(boundary) == 73
    assert [content for _, content in read([compose([b"one", b"two"], boundary)], boundary)] == [
        b"one",
        b"two",
    ]
