from __future__ import annotations

import io
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from pacs.dicom.dataset_json import dataset_to_json
from pacs.dicom.json_model import encode_dataset
from tests.datasets import encode_file, make_dataset

URL = "http://x/bulkdata"


def reread(dataset: Dataset, transfer_syntax_uid: str = ExplicitVRLittleEndian) -> Dataset:
    return dcmread(io.BytesIO(encode_file(dataset, transfer_syntax_uid)), stop_before_pixels=True)


def write(dataset: Dataset) -> Any:
    return orjson.loads(encode_dataset(dataset_to_json(dataset, "windows-1258", URL)))


def raw_element(tag: int, vr: str, value: bytes) -> Dataset:
    dataset = Dataset()
    dataset[tag] = RawDataElement(Tag(tag), vr, len(value), value, 0, False, True, True)
    return dataset


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_values_by_their_vr(syntax: str) -> None:
    item = Dataset()
    item.CodeValue, item.CodeMeaning = "1", "Ngực"
    dataset = make_dataset(
        ImageType=["ORIGINAL", "PRIMARY", "", "AXIAL"],
        PixelSpacing=["0.5", "0.25"],
        InstanceNumber="7",
        WindowCenter=["40", "-600.5"],
        FrameIncrementPointer=0x00181063,
        RealWorldValueFirstValueMapped=5,
        ReferencePixelX0=-3,
        ImagePositionPatient=[0, 1.5, -2e3],
        ConceptNameCodeSequence=[item],
        AnatomicRegionSequence=[],
        OtherPatientNames="A^B=C=D",
        ImageComments="one\\two",
        DiffusionBValue=1000.5,
    )
    written = write(reread(dataset, syntax))
    assert written["00080008"] == {"vr": "CS", "Value": ["ORIGINAL", "PRIMARY", None, "AXIAL"]}
    assert written["00280030"] == {"vr": "DS", "Value": [0.5, 0.25]}
    assert written["00200013"] == {"vr": "IS", "Value": [7]}
    assert written["00281050"] == {"vr": "DS", "Value": [40, -600.5]}
    assert written["00280009"] == {"vr": "AT", "Value": ["00181063"]}
    assert written["00186020"] == {"vr": "SL", "Value": [-3]}
    assert written["00189087"] == {"vr": "FD", "Value": [1000.5]}
    assert written["0040A043"]["Value"][0]["00080104"] == {"vr": "LO", "Value": ["Ngực"]}
    assert written["00082218"] == {"vr": "SQ"}
    assert written["00101001"]["Value"] == [{"Alphabetic": "A^B", "Ideographic": "C", "Phonetic": "D"}]
    assert written["00204000"] == {"vr": "LT", "Value": ["one\\two"]}


def test_values_that_pydicom_has_converted_come_out_the_same() -> None:
    dataset = reread(
        make_dataset(PixelSpacing=["0.5", "0.25"], FrameIncrementPointer=[0x00181063, 0x00181065])
    )
    untouched = write(dataset)
    for element in dataset:
        assert element.value is not None
    assert write(dataset) == untouched


def test_small_binary_values_are_inline_and_large_ones_by_uri() -> None:
    item = Dataset()
    item.WaveformBitsAllocated, item.WaveformData = 16, b"\1\2" * 1000
    written = write(reread(make_dataset(ICCProfile=b"\1\2\3\4", WaveformSequence=[item])))
    assert written["00282000"] == {"vr": "OB", "InlineBinary": "AQIDBA=="}
    assert written["54000100"]["Value"][0]["54001010"]["BulkDataURI"] == f"{URL}/54000100/1/54001010"


@pytest.mark.parametrize(
    ("character_set", "raw", "expected"),
    [
        ("ISO_IR 192", "TRẦN^THỬ".encode(), "TRẦN^THỬ"),
        ("ISO_IR 100", "Müller".encode("latin-1"), "Müller"),
        ("", "TRẦN^THỬ".encode(), "TRẦN^THỬ"),
        ("", "Hà^Nội".encode("windows-1258", "ignore"), "Hà^Ni"),
    ],
)
def test_names_are_decoded_as_at_ingest(character_set: str, raw: bytes, expected: str) -> None:
    dataset = raw_element(0x00100010, "PN", raw)
    dataset[0x00080005] = RawDataElement(
        Tag(0x00080005), "CS", len(character_set), character_set.encode(), 0, False, True, True
    )
    assert write(dataset)["00100010"]["Value"] == [{"Alphabetic": expected}]
    assert write(dataset)["00080005"]["Value"] == ["ISO_IR 192"]


def test_an_item_may_have_a_character_set_of_its_own() -> None:
    item = Dataset()
    item.SpecificCharacterSet, item.CodeMeaning = "ISO_IR 100", "Müller"
    dataset = make_dataset(SpecificCharacterSet="ISO_IR 192", ConceptNameCodeSequence=[item])
    (written,) = write(reread(dataset))["0040A043"]["Value"]
    assert written["00080104"]["Value"] == ["Müller"]


@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        (0x00280010, "US", b"\1"),
        (0x00280009, "AT", b"\1\2\3"),
        (0x00189087, "FD", b"abc"),
    ],
)
def test_a_value_that_cannot_be_converted_costs_only_itself(tag: int, vr: str, value: bytes) -> None:
    dataset = raw_element(tag, vr, value)
    dataset.PatientID = "BN1"
    written = write(dataset)
    assert "Value" not in written[f"{tag:08X}"]
    assert written["00100020"] == {"vr": "LO", "Value": ["BN1"]}


@pytest.mark.parametrize("vr", ['"<', "ZZ", "&a"])
def test_a_vr_that_is_none_is_not_repeated(vr: str) -> None:
    assert write(raw_element(0x00091001, vr, b"abc"))["00091001"] == {"vr": "UN"}


def test_a_number_that_is_none_is_kept_as_text() -> None:
    assert write(raw_element(0x00280008, "IS", b"1A"))["00280008"] == {"vr": "IS", "Value": ["1A"]}
    assert write(raw_element(0x00281050, "DS", b"nan"))["00281050"]["Value"] == [None]


def test_what_has_no_place_in_json_costs_only_itself() -> None:
    nested: dict[str, Any] = {"vr": "SQ"}
    for _ in range(200):
        nested = {"vr": "SQ", "Value": [{"00081110": nested}]}
    encoded = encode_dataset(
        {"00081110": nested, "00100020": {"vr": "LO", "Value": ["\ud800"]}, "00100040": {"vr": "CS"}}
    )
    assert orjson.loads(encoded) == {
        "00081110": {"vr": "SQ"},
        "00100020": {"vr": "LO"},
        "00100040": {"vr": "CS"},
    }


VRS = "AE AS AT CS DA DS DT FD FL IS LO LT OB OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV OF OD OL OV"


@settings(max_examples=60)
@given(
    st.sampled_from(VRS.split()),
    st.binary(max_size=60),
    st.sampled_from([b"", b"ISO_IR 192", b"\\ISO 2022 IR 87"]),
)
def test_any_bytes_of_any_vr_are_written(vr: str, value: bytes, character_set: bytes) -> None:
    for tag in (0x00100010, 0x00091001, 0x00280106):
        dataset = raw_element(tag, vr, value)
        dataset[0x00080005] = RawDataElement(
            Tag(0x00080005), "CS", len(character_set), character_set, 0, False, True, True
        )
        assert f"{tag:08X}" in write(dataset)


def test_a_stray_delimiter_is_no_element() -> None:
    dataset = Dataset()
    tag = Tag(0xFFFEE0DD)
    dataset[tag] = RawDataElement(tag, None, 0, None, 0, True, True, True)
    dataset.PatientID = "BN1"
    assert write(dataset).keys() == {"00080005", "00100020"}
