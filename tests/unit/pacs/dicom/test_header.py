from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from pacs.dicom.deflated import scan_deflated_header
from pacs.dicom.header import scan_header
from pacs.dicom.part10 import split_part10
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.errors import UnreadableInstance
from tests.data import has_shared_data, read_manifest, shared_data
from tests.datasets import encode, make_dataset
from tests.raw_elements import ITEM_END, SEQUENCE_END, UNDEFINED, element, item

IMPLICIT = TRANSFER_SYNTAXES["1.2.840.10008.1.2"]
EXPLICIT = TRANSFER_SYNTAXES["1.2.840.10008.1.2.1"]
BIG_ENDIAN = TRANSFER_SYNTAXES["1.2.840.10008.1.2.2"]
PATIENT_ID = 0x00100020
REQUESTS = 0x00400275
NONE: frozenset[int] = frozenset()


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG_ENDIAN], ids=lambda syntax: syntax.name)
def test_wanted_values_and_the_pixel_data_are_found_in_every_encoding(syntax) -> None:  # type: ignore[no-untyped-def]
    encoded = encode(make_dataset(PatientID="BN0007"), syntax.uid)
    header = scan_header(encoded, syntax, frozenset({PATIENT_ID}), NONE)
    assert header.elements.values == {PATIENT_ID: b"BN0007"}
    assert header.pixel_data is not None
    assert header.pixel_data.size_bytes == 512
    assert header.pixel_data.offset == len(encoded) - 512


def test_a_data_set_in_another_vr_encoding_than_declared_is_read_as_it_is() -> None:
    dataset = make_dataset(PatientID="BN0007")
    for declared, real in ((IMPLICIT, EXPLICIT), (EXPLICIT, IMPLICIT)):
        header = scan_header(encode(dataset, real.uid), declared, frozenset({PATIENT_ID}), NONE)
        assert header.elements.values[PATIENT_ID] == b"BN0007"


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT], ids=lambda syntax: syntax.name)
def test_items_of_a_wanted_sequence_are_entered(syntax, undefined: bool) -> None:  # type: ignore[no-untyped-def]
    request = Dataset()
    request.RequestedProcedureID = "RP1"
    request.is_undefined_length_sequence_item = undefined
    dataset = make_dataset(RequestAttributesSequence=Sequence([request, request]))
    dataset["RequestAttributesSequence"].is_undefined_length = undefined
    header = scan_header(encode(dataset, syntax.uid), syntax, frozenset({0x00401001}), frozenset({REQUESTS}))
    assert [found.values for found in header.elements.sequences[REQUESTS]] == [{0x00401001: b"RP1 "}] * 2
    assert header.pixel_data is not None


def test_a_private_sequence_of_vr_un_and_undefined_length_is_passed_over() -> None:
    inside = struct.pack("<HHI", 0x0009, 0x1002, 4) + b"ABCD"  # implicit VR, PS3.5 6.2.2 note 5
    un = element(0x00091001, b"UN", item(inside, UNDEFINED) + ITEM_END + SEQUENCE_END, UNDEFINED)
    encoded = un + element(PATIENT_ID, b"LO", b"BN01")
    assert scan_header(encoded, EXPLICIT, frozenset({PATIENT_ID}), NONE).elements.values == {
        PATIENT_ID: b"BN01"
    }


def test_zero_padding_behind_the_last_element_is_tolerated() -> None:
    encoded = element(PATIENT_ID, b"LO", b"BN01") + bytes(100)
    assert scan_header(encoded, EXPLICIT, frozenset({PATIENT_ID}), NONE).elements.values == {
        PATIENT_ID: b"BN01"
    }


def test_encapsulated_pixel_data_without_its_last_delimiter_is_tolerated() -> None:
    encoded = element(0x7FE00010, b"OB", item(b"") + item(b"JPEG"), UNDEFINED)
    header = scan_header(encoded, EXPLICIT, NONE, NONE)
    assert header.pixel_data is not None
    assert header.pixel_data.size_bytes is None


NESTED = element(REQUESTS, b"SQ", b"", UNDEFINED) + item(b"", UNDEFINED)


@pytest.mark.parametrize(
    ("encoded", "reason"),
    [
        (element(PATIENT_ID, b"LO", b"BN", 200), "runs past the end"),
        (element(0x00090010, b"UN", b"", 0xFFFFFFFE), "runs past the end"),
        (element(PATIENT_ID, b"LO", b"BN01")[:-9], "ends inside an element"),
        (element(0x7FE00010, b"OW", b"1234", 4096), "pixel data is cut short"),
        (element(0x7FE00010, b"OB", item(b"1234", 4096), UNDEFINED), "damaged or cut short"),
        (element(REQUESTS, b"SQ", item(b"", UNDEFINED), UNDEFINED), "no delimiter|ends inside"),
        (element(0x00081140, b"SQ", item(b"1234", 4096), UNDEFINED), "runs past the end"),
        (element(0x00081140, b"SQ", b"", UNDEFINED), "ends inside"),
        (element(0x00020010, b"UI", b"1.2\0"), "group 0002"),
        (element(0x00081140, b"SQ", item(b"", UNDEFINED), UNDEFINED) + NESTED * 100, "nested"),
        (NESTED * 100, "nested"),
        (bytes(70_000), "group 0000"),
    ],
)
def test_damage_and_bombs_are_refused_with_the_reason(encoded: bytes, reason: str) -> None:
    with pytest.raises(UnreadableInstance, match=reason):
        scan_header(encoded, EXPLICIT, frozenset({PATIENT_ID}), frozenset({REQUESTS}))


@pytest.mark.parametrize("cut", range(0, 900, 7))
def test_a_data_set_that_is_cut_short_before_its_pixels_is_never_half_read(cut: int) -> None:
    encoded = encode(make_dataset())
    with pytest.raises(UnreadableInstance):
        read = scan_header(encoded[: len(encoded) - 512 + 512 - 1 - cut], EXPLICIT, NONE, NONE)
        if read.pixel_data is None:  # the cut fell between two elements
            raise UnreadableInstance


@settings(max_examples=200)
@given(st.binary(max_size=400), st.sampled_from([IMPLICIT, EXPLICIT, BIG_ENDIAN]))
def test_any_bytes_are_scanned_or_refused(encoded: bytes, syntax) -> None:  # type: ignore[no-untyped-def]
    try:
        header = scan_header(encoded, syntax, frozenset({PATIENT_ID}), frozenset({REQUESTS}))
    except UnreadableInstance:
        return
    assert header.pixel_data is None or header.pixel_data.offset <= len(encoded)


def encode_with_request() -> bytes:
    request = Dataset()
    request.RequestedProcedureID = "RP1"
    return encode(make_dataset(RequestAttributesSequence=Sequence([request])))


WITH_REQUEST = encode_with_request()


@settings(max_examples=200)
@given(st.data())
def test_a_mutated_data_set_is_scanned_or_refused(data) -> None:  # type: ignore[no-untyped-def]
    encoded = bytearray(WITH_REQUEST)
    for _ in range(data.draw(st.integers(1, 8))):
        encoded[data.draw(st.integers(0, len(encoded) - 513))] = data.draw(st.integers(0, 255))
    try:
        header = scan_header(encoded, EXPLICIT, frozenset({PATIENT_ID}), frozenset({REQUESTS}))
    except UnreadableInstance:
        return
    assert header.pixel_data is None or header.pixel_data.offset <= len(encoded)


SAMPLE = [
    row["file"]
    for row in read_manifest()
    if not row["file"].startswith("malformed") and row["ts"] and "no DICM" not in row["note"]
]


@pytest.mark.parametrize("folder", sorted({name.partition("/")[0] for name in SAMPLE}))
def test_the_scan_agrees_with_pydicom_on_real_files(folder: str) -> None:
    tags = {0x00080018, 0x0020000D, 0x00200013, 0x00080060, 0x00280010}
    for name in (name for name in SAMPLE if name.startswith(folder + "/")):
        path = shared_data(*Path(name).parts)
        meta, chunks = split_part10([path.read_bytes()])
        syntax = TRANSFER_SYNTAXES[meta.transfer_syntax_uid]
        encoded = b"".join(chunks)
        scan = scan_deflated_header if syntax.deflated else scan_header
        header = scan(encoded, syntax, frozenset(tags), NONE)
        expected = dcmread(path, stop_before_pixels=True)
        found = {tag for tag in tags if tag in expected and expected.get_item(tag).value not in (None, b"")}
        assert {tag for tag, value in header.elements.values.items() if value} == found, name


def test_there_are_real_files_where_all_must_be_there() -> None:
    if has_shared_data():
        assert len(SAMPLE) > 500
    else:
        shared_data()
