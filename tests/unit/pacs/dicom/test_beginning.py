import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacs.dicom.beginning import SopUids, read_sop_uids, recognise_bare_dataset, require_native_pixels
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.errors import UnreadableInstance
from tests.datasets import CT_IMAGE_STORAGE, encode, make_dataset

IMPLICIT, EXPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
NATIVE = [IMPLICIT, EXPLICIT, BIG_ENDIAN]


@pytest.mark.parametrize("uid", NATIVE)
def test_the_uids_are_read_from_the_first_elements(uid):
    dataset = make_dataset()
    found = read_sop_uids(encode(dataset, uid)[:300], TRANSFER_SYNTAXES[uid])
    assert found == SopUids(CT_IMAGE_STORAGE, dataset.SOPInstanceUID)


def test_a_deflated_beginning_is_inflated():
    dataset = make_dataset()
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    deflated = deflater.compress(encode(dataset)) + deflater.flush()
    found = read_sop_uids(deflated[:500], TRANSFER_SYNTAXES[DEFLATED])
    assert found == SopUids(CT_IMAGE_STORAGE, dataset.SOPInstanceUID)
    assert read_sop_uids(b"\xff" * 500, TRANSFER_SYNTAXES[DEFLATED]) is None


def test_one_encoding_is_read_where_another_is_declared():
    dataset = make_dataset()
    assert read_sop_uids(encode(dataset, EXPLICIT), TRANSFER_SYNTAXES[IMPLICIT]) is not None


@pytest.mark.parametrize(
    "attributes",
    [{"SOPClassUID": None}, {"SOPInstanceUID": None}, {"SOPInstanceUID": ""}, {"SOPClassUID": "1.2"}],
)
def test_a_bare_dataset_needs_both_uids_and_a_class_of_the_standard(attributes):
    assert recognise_bare_dataset(encode(make_dataset(**attributes))) is None


@pytest.mark.parametrize("uid", NATIVE)
def test_the_transfer_syntax_of_a_bare_dataset_is_told_by_its_first_element(uid):
    syntax = recognise_bare_dataset(encode(make_dataset(), uid))
    assert syntax is TRANSFER_SYNTAXES[uid]


def test_other_files_are_no_bare_datasets():
    for content in (
        b"",
        b"\x08",
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"this is a text",
        bytes(999),
    ):
        assert recognise_bare_dataset(content) is None


def test_compressed_pixels_need_a_file_meta_information():
    native = make_dataset(PixelData=None)
    begun = encode(native) + b"\xe0\x7f\x10\x00OB\0\0"
    require_native_pixels(begun + (8).to_bytes(4, "little") + bytes(8), TRANSFER_SYNTAXES[EXPLICIT])
    with pytest.raises(UnreadableInstance, match="compressed"):
        require_native_pixels(begun + b"\xff" * 4 + bytes(8), TRANSFER_SYNTAXES[EXPLICIT])


@given(st.binary(max_size=200), st.sampled_from([*NATIVE, DEFLATED]))
@settings(max_examples=50)
def test_no_bytes_make_it_stumble(content, uid):
    read_sop_uids(content, TRANSFER_SYNTAXES[uid])
    recognise_bare_dataset(content)


@given(st.data())
@settings(max_examples=50)
def test_a_damaged_dataset_is_read_or_not_and_never_wrongly(data):
    dataset = make_dataset()
    content = bytearray(encode(dataset)[:200])
    content[data.draw(st.integers(0, 199))] = data.draw(st.integers(0, 255))
    found = read_sop_uids(content, TRANSFER_SYNTAXES[EXPLICIT])
    assert found is None or found.sop_instance_uid.encode() in bytes(content)
