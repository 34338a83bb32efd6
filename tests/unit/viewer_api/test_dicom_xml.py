from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset

from pacs.dicom.dataset_json import dataset_to_json
from pacs.dicom.json_model import JsonDataset
from tests.data import program
from tests.datasets import encode_file, make_dataset
from viewer_api.dicom_xml import encode_native_model, native_model_parts

NAMESPACE = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"


def parse(dataset: JsonDataset) -> ET.Element:
    root = ET.fromstring(encode_native_model(dataset))
    assert root.tag == f"{NAMESPACE}NativeDicomModel"
    assert root.get("{http://www.w3.org/XML/1998/namespace}space") == "preserve"
    return root


def attribute(dataset: JsonDataset, tag: str) -> ET.Element:
    (found,) = parse(dataset).findall(f"{NAMESPACE}DicomAttribute[@tag='{tag}']")
    return found


def texts(parent: ET.Element, name: str = "Value") -> list[tuple[str | None, str]]:
    return [(child.get("number"), child.text or "") for child in parent.findall(f"{NAMESPACE}{name}")]


def flatten(parent: ET.Element, path: str = "") -> dict[str, str]:
    """Give every attribute and text of a model by its place."""
    found = {}
    for child in parent:
        name = child.tag.removeprefix(NAMESPACE)
        place = f"{path}/{name}[{child.get('tag') or child.get('number') or ''}]"
        found[place] = (child.text or "").strip()
        found |= {f"{place}@{key}": value for key, value in child.attrib.items()}
        found |= flatten(child, place)
    return found


def test_values_are_numbered_and_empty_ones_keep_their_place() -> None:
    image_type = attribute({"00080008": {"vr": "CS", "Value": ["MPG", None, "XR3"]}}, "00080008")
    assert image_type.attrib == {"tag": "00080008", "vr": "CS", "keyword": "ImageType"}
    assert texts(image_type) == [("1", "MPG"), ("2", ""), ("3", "XR3")]


def test_an_element_without_a_value_is_there_and_empty() -> None:
    assert list(attribute({"00100020": {"vr": "LO"}}, "00100020")) == []


def test_numbers_are_written_as_numbers() -> None:
    dataset = {"00280030": {"vr": "DS", "Value": [0.5, 40, -1e-7]}, "00280010": {"vr": "US", "Value": [16]}}
    assert texts(attribute(dataset, "00280030")) == [("1", "0.5"), ("2", "40"), ("3", "-1e-07")]
    assert texts(attribute(dataset, "00280010")) == [("1", "16")]


def test_a_name_is_written_by_groups_and_components() -> None:
    names = [{"Alphabetic": "Nguyễn^Văn^Đức^BS.^^rest", "Phonetic": "^b"}, {}]
    first, second = attribute({"00100010": {"vr": "PN", "Value": names}}, "00100010")
    assert flatten(first) == {
        "/Alphabetic[]": "",
        "/Alphabetic[]/FamilyName[]": "Nguyễn",
        "/Alphabetic[]/GivenName[]": "Văn",
        "/Alphabetic[]/MiddleName[]": "Đức",
        "/Alphabetic[]/NamePrefix[]": "BS.",
        "/Alphabetic[]/NameSuffix[]": "^rest",
        "/Phonetic[]": "",
        "/Phonetic[]/GivenName[]": "b",
    }
    assert (second.get("number"), list(second)) == ("2", [])


def test_a_private_element_stands_under_its_creator_and_not_in_a_block() -> None:
    dataset = {
        "00090010": {"vr": "LO", "Value": ['ACME "1" & <2>']},
        "00091001": {"vr": "SH", "Value": ["theirs"]},
        "00091101": {"vr": "SH", "Value": ["nobody's"]},
    }
    assert [dict(child.attrib) for child in parse(dataset)] == [
        {"tag": "00090001", "vr": "SH", "privateCreator": 'ACME "1" & <2>'},
        {"tag": "00091101", "vr": "SH"},
    ]


def test_binary_values_are_inline_or_by_uri() -> None:
    dataset = {
        "00282000": {"vr": "OB", "InlineBinary": "AQIDBA=="},
        "7FE00010": {"vr": "OW", "BulkDataURI": "https://pacs.example.vn/a?b=1&c=2"},
    }
    assert [text for _, text in texts(attribute(dataset, "00282000"), "InlineBinary")] == ["AQIDBA=="]
    (bulk,) = attribute(dataset, "7FE00010")
    assert bulk.attrib == {"uri": "https://pacs.example.vn/a?b=1&c=2"}


def test_a_sequence_holds_its_items() -> None:
    item = {"00080100": {"vr": "SH", "Value": ["1"]}}
    sequence = attribute({"00081032": {"vr": "SQ", "Value": [item, {}]}}, "00081032")
    first, second = sequence.findall(f"{NAMESPACE}Item")
    assert (first.get("number"), second.get("number"), list(second)) == ("1", "2", [])
    assert flatten(first)["/DicomAttribute[00080100]/Value[1]"] == "1"


def test_line_ends_and_tabs_come_out_of_a_parser_as_they_were() -> None:
    text = "\tone\r\ntwo\rthree\nfour  "
    assert texts(attribute({"00204000": {"vr": "LT", "Value": [text]}}, "00204000")) == [("1", text)]


def test_a_sequence_that_is_nested_too_deeply_costs_only_itself() -> None:
    nested: dict[str, Any] = {"vr": "SQ"}
    for _ in range(5000):
        nested = {"vr": "SQ", "Value": [{"00081110": nested}]}
    model = parse({"00081110": nested, "00100020": {"vr": "LO", "Value": ["BN1"]}})
    assert [(child.get("tag"), len(child)) for child in model] == [("00081110", 0), ("00100020", 1)]


@settings(max_examples=60)
@given(st.text(st.characters(codec=None, exclude_categories=()), max_size=20))
def test_any_text_gives_well_formed_xml(text: str) -> None:
    dataset = {
        "00090010": {"vr": "LO", "Value": [text]},
        "00091001": {"vr": "UT", "Value": [text]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": text}]},
    }
    assert len(parse(dataset)) == 2


def test_parts_are_models() -> None:
    body = b"".join(native_model_parts([{}, {"00100020": {"vr": "LO"}}], "b"))
    assert body.startswith(b"--b\r\nContent-Type: application/dicom+xml\r\n\r\n<?xml")
    assert body.count(b"</NativeDicomModel>\r\n--b") == 2
    assert body.endswith(b"\r\n--b--\r\n")


@pytest.fixture
def varied() -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodeMeaning = "1", "Ngực & <bụng>"
    return make_dataset(
        PixelData=None,
        ImageType=["ORIGINAL", "", "AXIAL"],
        FrameIncrementPointer=0x00181063,
        ImagePositionPatient=[0, 1.5, -2],
        ConceptNameCodeSequence=[item],
        OtherPatientNames=["Nguyễn^Văn=阮^文", "B^C"],
        DiffusionBValue=1000.5,
    )


def test_dcmtk_writes_the_same_model(varied: Dataset, tmp_path: Path) -> None:
    """Private elements are left out: dcm2xml keeps the numbers of their blocks, against PS3.19 A.1.5."""
    path = tmp_path / "one.dcm"
    path.write_bytes(encode_file(varied))
    command = [program("dcm2xml"), "--native-format", "--use-xml-namespace", "--convert-to-utf8", str(path)]
    theirs = flatten(ET.fromstring(subprocess.run(command, capture_output=True, check=True).stdout))
    ours = flatten(parse(dataset_to_json(dcmread(path), "windows-1258", "http://x/bulkdata")))
    assert ours["/DicomAttribute[0040A043]/Item[1]/DicomAttribute[00080104]/Value[1]"] == "Ngực & <bụng>"
    assert ours == theirs
