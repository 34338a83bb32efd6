import gzip
import lzma
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacs.dicom.part10 import encode_file_meta
from pacs.errors import UnreadableInstance
from pacs.jobs.importing.content import HEAD_SIZE_BYTES, FileInstance, Kind, open_content
from tests.data import shared_data
from tests.datasets import CT_IMAGE_STORAGE, encode, encode_file, make_dataset

EXPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"


def pieces(content, size=1000):
    """A head, then views of one buffer that is used again."""
    yield content[:HEAD_SIZE_BYTES]
    buffer = bytearray(size)
    for start in range(HEAD_SIZE_BYTES, len(content), size):
        piece = content[start : start + size]
        buffer[: len(piece)] = piece
        yield memoryview(buffer)[: len(piece)]


def opened(content):
    """What a file holds, with the bytes of its data set."""
    found = open_content(pieces(content))
    assert isinstance(found, FileInstance)
    dataset = bytearray()
    for chunk in found.incoming.chunks:
        dataset += chunk
    return found, bytes(dataset)


def test_a_dicom_file_gives_its_data_set_byte_for_byte():
    dataset = make_dataset(PixelData=bytes(range(256)) * 100)
    found, kept = opened(encode_file(dataset))
    assert kept == encode(dataset)
    assert not found.corrected
    assert found.incoming.sop_instance_uid == dataset.SOPInstanceUID


@pytest.mark.parametrize("claims", [("1.2.840.10008.5.1.4.1.1.4", "1.2.3"), (CT_IMAGE_STORAGE, "1.2.3")])
def test_the_data_set_wins_over_the_file_meta_information(claims):
    dataset = make_dataset()
    found, kept = opened(encode_file_meta(*claims, EXPLICIT) + encode(dataset))
    assert found.corrected
    assert kept == encode(dataset)
    assert found.incoming.sop_class_uid == CT_IMAGE_STORAGE
    assert found.incoming.sop_instance_uid == dataset.SOPInstanceUID


def test_a_file_meta_information_without_sop_uids_is_completed():
    dataset = make_dataset()
    meta = b"\x02\x00\x10\x00UI\x14\x00" + EXPLICIT.encode() + b"\0"
    found, kept = opened(bytes(128) + b"DICM" + meta + encode(dataset))
    assert found.corrected
    assert kept == encode(dataset)


def test_a_file_meta_information_may_lack_its_preamble():
    dataset = make_dataset()
    found, kept = opened(encode_file(dataset)[132:])
    assert kept == encode(dataset)
    assert found.incoming.transfer_syntax_uid == EXPLICIT


@pytest.mark.parametrize("uid", ["1.2.840.10008.1.2", EXPLICIT, BIG_ENDIAN])
def test_a_bare_data_set_is_taken(uid):
    dataset = make_dataset(PixelData=bytes(60_000))
    found, kept = opened(encode(dataset, uid))
    assert kept == encode(dataset, uid)
    assert found.incoming.transfer_syntax_uid == uid
    assert found.incoming.sop_instance_uid == dataset.SOPInstanceUID


def test_a_bare_data_set_with_compressed_pixels_is_refused():
    with pytest.raises(UnreadableInstance, match="compressed"):
        open_content([encode(make_dataset(PixelData=None)) + b"\xe0\x7f\x10\x00OB\0\0" + b"\xff" * 4])


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"PK\x03\x04 and so on", Kind.ZIP),
        (b"PK\x05\x06" + bytes(18), Kind.ZIP),
        (gzip.compress(b"x", mtime=0), Kind.OTHER_ARCHIVE),
        (lzma.compress(b"x"), Kind.OTHER_ARCHIVE),
        (b"7z\xbc\xaf\x27\x1c\0\4" + bytes(24), Kind.OTHER_ARCHIVE),
        (b"1.dcm".ljust(257, b"\0") + b"ustar\x0000" + bytes(250), Kind.OTHER_ARCHIVE),
        (b"", Kind.NOT_DICOM),
        (b"[autorun]\r\nopen=viewer.exe", Kind.NOT_DICOM),
        (bytes(1000), Kind.NOT_DICOM),
    ],
)
def test_other_files_are_told_apart(content, kind):
    assert open_content([content] if content else []) is kind


def test_a_zip_in_the_preamble_does_not_hide_an_image():
    file = b"PK\x03\x04" + encode_file(make_dataset())[4:]
    assert isinstance(open_content([file]), FileInstance)


def test_a_dicomdir_is_none_of_the_instances():
    assert open_content([shared_data("dicomdir", "DICOMDIR").read_bytes()]) is Kind.DICOMDIR


@given(st.binary(max_size=300), st.booleans())
@settings(max_examples=50)
def test_no_bytes_make_it_stumble(content, prefixed):
    head = bytes(128) + b"DICM" if prefixed else b""
    try:
        found = open_content(chain([head + content]))
    except UnreadableInstance:
        return
    assert isinstance(found, FileInstance | Kind)
