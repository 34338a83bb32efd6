"""Metadata in JSON and XML: what both readers make of it, and what they refuse."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset

from pacs.dicom.dataset_json import dataset_to_json
from pacs.errors import ArchiveError, InvalidRequest, UnreadableInstance
from tests.datasets import encode, make_dataset
from viewer_api.dicom_xml import encode_native_model
from viewer_api.storing import json_reader, xml_reader
from viewer_api.storing.json_reader import read_json
from viewer_api.storing.received_dataset import BulkReference, Pieces, ReceivedDataset, encode_dataset
from viewer_api.storing.xml_reader import read_xml

NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"


def no_bulk(reference: BulkReference) -> Pieces:
    raise UnreadableInstance(reference.uri)


def written(dataset: ReceivedDataset) -> Dataset:
    """Read the bytes back with pydicom."""
    encoded = b"".join(encode_dataset(dataset, no_bulk))
    return dcmread(io.BytesIO(encoded), force=True)


def everything() -> Dataset:
    """Make a data set of every kind of value."""
    dataset = make_dataset(PatientName="NGUYỄN^VĂN^ĐỨC=阮^文=グエン", ImageType=["ORIGINAL", "PRIMARY"])
    dataset.PixelSpacing = ["0.5", "0.25"]
    dataset.FrameIncrementPointer = 0x00181063
    dataset.SlabThickness = 0.1
    dataset.ImageComments = 'a\\b <&> "c"'
    dataset.OtherPatientNames = ["A^B", "", "C"]
    dataset.add_new(0x00091011, "OB", b"\1\2\3\4")
    dataset.private_block(0x0009, "ACME", create=True).add_new(1, "SH", "private")
    item, nested = Dataset(), Dataset()
    nested.CodeValue, nested.CodeMeaning = "T-1", "Ngực"
    item.PurposeOfReferenceCodeSequence = [nested, Dataset()]
    item.ReferencedSOPInstanceUID = "1.2.3"
    dataset.ReferencedImageSequence = [item]
    dataset.OperatorsName = None
    return dataset


def as_json(dataset: Dataset) -> dict[str, Any]:
    return dataset_to_json(dcmread(io.BytesIO(encode(dataset)), force=True), "utf-8", "http://x")


def test_json_comes_back_as_the_data_set_that_it_was_written_from() -> None:
    dataset = everything()
    document = orjson.dumps([as_json(dataset)])
    (received,) = read_json(document)
    assert isinstance(received, ReceivedDataset)
    assert as_json(written(received)) == as_json(dataset)


def test_xml_comes_back_as_the_data_set_that_it_was_written_from() -> None:
    dataset = everything()
    del dataset[0x00091011]  # a private element needs its creator there
    expected = as_json(dataset)
    assert as_json(written(read_xml(encode_native_model(expected)))) == expected


def test_pydicom_writes_json_that_is_understood() -> None:
    dataset = everything()
    del dataset.OtherPatientNames  # pydicom cannot write the empty one
    from_file = dcmread(io.BytesIO(encode(dataset)), force=True)
    (received,) = read_json(orjson.dumps([from_file.to_json_dict()]))
    assert isinstance(received, ReceivedDataset)
    assert as_json(written(received)) == as_json(dataset)


def test_a_wrong_data_set_keeps_no_other_out() -> None:
    good = {"00080060": {"vr": "CS", "Value": ["CT"]}}
    first, second, third = read_json(orjson.dumps([good, {"x": 1}, good]))
    assert isinstance(second, UnreadableInstance)
    assert isinstance(first, ReceivedDataset)
    assert isinstance(third, ReceivedDataset)


@pytest.mark.parametrize(
    "document", [b"", b"{", b"3", b'"x"', b"[1]", b"[[]]", b"null", b"\xff", b"[" * 5000]
)
def test_a_document_that_is_no_metadata_is_refused(document: bytes) -> None:
    with pytest.raises(InvalidRequest):
        list(read_json(document))


@pytest.mark.parametrize(
    "element",
    [
        3,
        {},
        {"vr": "XX"},
        {"vr": "CS", "Value": "CT"},
        {"vr": "CS", "Value": [{"a": 1}]},
        {"vr": "CS", "Value": ["CT"], "InlineBinary": "AA=="},
        {"vr": "OB", "Value": ["CT"]},
        {"vr": "OB", "InlineBinary": "no base64!"},
        {"vr": "CS", "InlineBinary": "AA=="},
        {"vr": "SQ", "Value": ["x"]},
        {"vr": "SQ", "InlineBinary": "AA=="},
        {"vr": "CS", "BulkDataURI": "x"},
        {"vr": "OB", "BulkDataURI": 3},
        {"vr": "PN", "Value": [{"Alphabetic": 3}]},
        {"vr": "PN", "Value": [{"Alphabetic": "a=b"}]},
        {"vr": "LO", "Value": ["x" * 70_000]},
    ],
)
def test_an_element_that_is_none_is_refused(element: Any) -> None:
    (received,) = read_json(orjson.dumps([{"00080060": element}]))
    if isinstance(received, ReceivedDataset):
        with pytest.raises(UnreadableInstance):
            written(received)


@pytest.mark.parametrize("tag", ["", "0008", "0008006g", "00000010", "FFFEE000", "0x080060"])
def test_a_tag_that_is_none_is_refused(tag: str) -> None:
    (received,) = read_json(orjson.dumps([{tag: {"vr": "CS"}}]))
    assert isinstance(received, UnreadableInstance)


def nested_json(depth: int) -> Iterator[bytes]:
    yield b'[{"00081140":{"vr":"SQ","Value":['
    yield b'{"00081140":{"vr":"SQ","Value":[' * depth
    yield b"]}}" * depth
    yield b"]}}]"


def test_b7_sequences_nested_too_deep_are_refused_in_both() -> None:
    (received,) = read_json(b"".join(nested_json(100)))
    assert isinstance(received, UnreadableInstance)
    deep = '<DicomAttribute tag="00081140" vr="SQ"><Item number="1">' * 500
    with pytest.raises(InvalidRequest):
        read_xml(f"<NativeDicomModel>{deep}".encode())


def test_more_elements_than_can_be_read_at_a_time_are_refused_before_they_are_read() -> None:
    with pytest.raises(InvalidRequest, match="too many"):
        list(read_json(b"[" + b"{}," * (json_reader.MAX_TOKENS // 2 + 1) + b"{}]"))
    with pytest.raises(InvalidRequest, match="too many"):
        read_xml(b"<NativeDicomModel>" + b"<a/>" * xml_reader.MAX_ELEMENTS + b"</NativeDicomModel>")


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<a>",
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><NativeDicomModel>&b;</NativeDicomModel>',
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><NativeDicomModel/>',
        b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><NativeDicomModel>&e;</NativeDicomModel>',
        b"<NativeDicomModel>&undefined;</NativeDicomModel>",
        b'<?xml version="1.0" encoding="nonsense"?><NativeDicomModel/>',
        b"<NativeDicomModel>\xff</NativeDicomModel>",
    ],
)
def test_xml_with_entities_or_a_document_type_is_refused(document: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read_xml(document)


@pytest.mark.parametrize(
    "content",
    [
        "<x/>",
        '<DicomAttribute vr="CS"/>',
        '<DicomAttribute tag="00080060" vr="??"/>',
        '<DicomAttribute tag="00080060" vr="CS"><Item number="1"/></DicomAttribute>',
        '<DicomAttribute tag="00080060" vr="CS"><Value number="0">a</Value></DicomAttribute>',
        '<DicomAttribute tag="00080060" vr="CS"><Value number="999999">a</Value></DicomAttribute>',
        '<DicomAttribute tag="00080060" vr="CS"><Value number="1">a</Value><InlineBinary/></DicomAttribute>',
        '<DicomAttribute tag="00100010" vr="PN"><PersonName number="1"><X/></PersonName></DicomAttribute>',
        '<DicomAttribute tag="00091001" vr="OB"><InlineBinary>!</InlineBinary></DicomAttribute>',
        '<DicomAttribute tag="00091001" vr="OB"><BulkData/></DicomAttribute>',
        '<DicomAttribute tag="00080060" vr="CS"/><DicomAttribute tag="00080060" vr="CS"/>',
    ],
)
def test_an_attribute_that_is_none_is_refused(content: str) -> None:
    with pytest.raises(UnreadableInstance):
        read_xml(f'<NativeDicomModel xmlns="{NAMESPACE}">{content}</NativeDicomModel>'.encode())


def test_a_document_of_something_else_is_refused() -> None:
    with pytest.raises(UnreadableInstance):
        read_xml(b"<html/>")


json_scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
json_values = json_scalars | st.dictionaries(
    st.sampled_from(["Alphabetic", "vr", "00081140"]), json_scalars, max_size=2
)
json_elements = st.fixed_dictionaries(
    {"vr": st.sampled_from(["CS", "SQ", "PN", "OB", "DS", "IS", "US", "FD", "AT", "UN", "LT"])},
    optional={"Value": st.lists(json_values, max_size=3), "InlineBinary": st.text(max_size=5)},
)


@given(st.dictionaries(st.sampled_from(["00080060", "00100010", "00081140", "00091001"]), json_elements))
@settings(max_examples=200)
def test_any_json_is_read_or_refused(dataset: dict[str, Any]) -> None:
    with suppress(ArchiveError):
        for received in read_json(_dumped(dataset)):
            if isinstance(received, ReceivedDataset):
                b"".join(encode_dataset(received, no_bulk))


def _dumped(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except (TypeError, ValueError):  # an integer that JSON does not have
        return b"[]"


PIECES = [
    "<NativeDicomModel>",
    "</NativeDicomModel>",
    '<DicomAttribute tag="00081140" vr="SQ">',
    '<DicomAttribute tag="00091001" vr="LO" privateCreator="A">',
    "</DicomAttribute>",
    '<Item number="1">',
    "</Item>",
    "<Value>",
    "</Value>",
    "<PersonName><Alphabetic>",
    "</Alphabetic></PersonName>",
    "a",
    "&amp;",
    "<!DOCTYPE a>",
]


@given(st.lists(st.sampled_from(PIECES), max_size=20))
@settings(max_examples=200)
def test_any_xml_is_read_or_refused(pieces: list[str]) -> None:
    with suppress(ArchiveError):
        b"".join(encode_dataset(read_xml("".join(pieces).encode()), no_bulk))
