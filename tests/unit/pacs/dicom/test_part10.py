from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread

from pacs.dicom.part10 import encode_file_meta, split_part10
from pacs.errors import UnreadableInstance
from tests.datasets import encode, encode_file, make_dataset

CT, INSTANCE, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4", "1.2.840.10008.1.2.1"


def test_our_file_meta_is_read_by_pydicom() -> None:
    file_meta = dcmread(io.BytesIO(encode_file_meta(CT, INSTANCE, EXPLICIT))).file_meta
    assert file_meta.MediaStorageSOPClassUID == CT
    assert file_meta.MediaStorageSOPInstanceUID == INSTANCE
    assert file_meta.TransferSyntaxUID == EXPLICIT


def test_the_file_meta_is_frozen_because_every_digest_depends_on_it() -> None:
    encoded = encode_file_meta(CT, INSTANCE, EXPLICIT)
    assert len(encoded) == 306
    assert encoded[:132] == bytes(128) + b"DICM"
    assert encoded.endswith(b"\x02\x00\x13\x00SH\x0a\x00FILMLESS_1")


@pytest.mark.parametrize("size", [1, 7, 131, 4096, 10**6])
def test_a_file_is_split_whatever_the_size_of_its_pieces(size: int) -> None:
    dataset = make_dataset()
    content = encode_file(dataset)
    meta, rest = split_part10(content[start : start + size] for start in range(0, len(content), size))
    assert meta.transfer_syntax_uid == EXPLICIT
    assert meta.sop_instance_uid == dataset.SOPInstanceUID
    assert b"".join(rest) == encode(dataset)


def test_a_wrong_group_length_does_no_harm() -> None:
    content = bytearray(encode_file(make_dataset()))
    content[140:144] = b"\xff\xff\xff\x7f"
    meta, _ = split_part10([content])
    assert meta.transfer_syntax_uid == EXPLICIT


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "shorter than its preamble"),
        (bytes(131), "shorter than its preamble"),
        (b"GET / HTTP/1.1\r\n" + bytes(200), "prefix"),
        (bytes(128) + b"DICM", "names no transfer syntax"),
        (bytes(128) + b"DICM\x02\x00\x01\x00OB\x00\x00\xff\xff\xff\x7f", "larger than 64 KiB"),
        (encode_file_meta(CT, INSTANCE, EXPLICIT)[:-3], "ends inside"),
    ],
)
def test_what_is_no_dicom_file_is_refused_with_the_reason(content: bytes, reason: str) -> None:
    with pytest.raises(UnreadableInstance, match=reason):
        split_part10([content])


@given(st.binary(max_size=600), st.booleans())
def test_any_bytes_are_split_or_refused(tail: bytes, prefixed: bool) -> None:
    content = bytes(128) + b"DICM" + tail if prefixed else tail
    try:
        meta, rest = split_part10([content])
    except UnreadableInstance:
        return
    assert meta.transfer_syntax_uid
    assert content.endswith(b"".join(rest))
