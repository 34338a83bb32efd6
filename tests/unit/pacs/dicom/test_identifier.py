"""Identifiers on hostile bytes, and what good ones say."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pynetdicom.dsutils import encode

from pacs.dicom.identifier import MAX_DEPTH, Item, parse_identifier
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.errors import UnreadableInstance
from tests.integration.find_peers import identifier

NATIVE = [TRANSFER_SYNTAXES[f"1.2.840.10008.1.2{suffix}"] for suffix in ("", ".1", ".2")]
syntaxes = st.sampled_from(NATIVE)


def encoded(dataset: Dataset, number: int = 0) -> bytes:
    syntax = NATIVE[number]
    data = encode(dataset, syntax.implicit_vr, not syntax.big_endian)
    assert data is not None
    return data


@pytest.mark.parametrize("number", range(3))
def test_an_identifier_is_read_as_text_in_every_encoding(number: int) -> None:
    dataset = identifier(
        "IMAGE", PatientName="Nguyễn^Văn Đức", StudyInstanceUID=["1.2", "1.3"], Rows=512, InstanceNumber="7",
        AccessionNumber="", RequestAttributesSequence={"RequestedProcedureID": "RP1"},
    )  # fmt: skip
    dataset.ReferencedStudySequence = []
    read = parse_identifier(encoded(dataset, number), NATIVE[number], "latin-1")
    assert read.values == {
        0x00080005: "ISO_IR 192", 0x00080052: "IMAGE", 0x00100010: "Nguyễn^Văn Đức", 0x0020000D: "1.2\\1.3",
        0x00280010: "512", 0x00200013: "7", 0x00080050: "",
    }  # fmt: skip
    assert read.sequences == {0x00400275: [Item({0x00401001: "RP1"})], 0x00081110: []}
    assert read.specific_character_set == b"ISO_IR 192"


@pytest.mark.parametrize(
    ("declared", "name"),
    [
        ("ISO_IR 100", "Müller"),
        (["", "ISO 2022 IR 87"], "Yamada=山田"),
        ("GB18030", "王^小东"),
        ("ISO_IR 166", "ไทย"),
    ],
)
def test_text_is_decoded_by_the_character_set_that_is_declared(declared: str | list[str], name: str) -> None:
    dataset = Dataset()
    dataset.SpecificCharacterSet = declared
    dataset.PatientName = name
    assert parse_identifier(encoded(dataset), NATIVE[0], "latin-1").values[0x00100010] == name


def test_undeclared_text_is_in_utf_8_or_in_the_character_set_of_the_site() -> None:
    for text, encoding in (("Đỗ", "utf-8"), ("Müller", "latin-1")):
        value = text.encode(encoding)
        data = bytes.fromhex("10001000") + len(value).to_bytes(4, "little") + value
        assert parse_identifier(data, NATIVE[0], "latin-1").values[0x00100010] == text


def test_group_lengths_are_no_keys() -> None:
    data = bytes.fromhex("08000000 04000000 0a000000 08005200 06000000") + b"STUDY "
    assert parse_identifier(data, NATIVE[0], "latin-1").values == {0x00080052: "STUDY"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"\0\2", "512"),
        (b"", ""),
        (b"512 ", "512"),  # a device that takes it for a text
        (b"\xff" * 4000, "ÿ" * 4000),
    ],
)
def test_what_has_not_the_size_of_a_number_is_read_as_text(value: bytes, text: str) -> None:
    rows = bytes.fromhex("28001000") + len(value).to_bytes(4, "little") + value
    assert parse_identifier(rows, NATIVE[0], "latin-1").values[0x00280010] == text


def test_c3_escape_sequences_without_end_are_not_all_decoded() -> None:
    """Each costs a microsecond or two, and a mebibyte has 200,000 of them; a list of UIDs is read whole."""
    escapes, uids = b"\x1b$B\x1b$(D" * 8000, b"\\".join(b"1.2.%d" % number for number in range(5000))
    elements = ((0x00080005, b"\\ISO 2022 IR 87 "), (0x00100010, b"A" * 8192 + escapes), (0x0020000D, uids))
    data = b"".join(
        struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value for tag, value in elements
    )
    read = parse_identifier(data, NATIVE[0], "latin-1")
    assert read.values[0x00100010] == "A" * 8192
    assert read.values[0x0020000D] == uids.decode()


def nested(depth: int) -> Dataset:
    dataset = innermost = identifier(None)
    for _ in range(depth):
        innermost.ReferencedStudySequence = [Dataset()]
        innermost = innermost.ReferencedStudySequence[0]
    innermost.PatientID = "1"
    return dataset


def test_c3_sequences_are_nested_so_deep_and_no_deeper() -> None:
    parse_identifier(encoded(nested(MAX_DEPTH)), NATIVE[0], "latin-1")
    for depth in (MAX_DEPTH + 1, 60, 150):
        with pytest.raises(UnreadableInstance):
            parse_identifier(encoded(nested(depth)), NATIVE[0], "latin-1")


def test_c3_neither_elements_nor_items_are_without_end() -> None:
    with pytest.raises(UnreadableInstance):
        parse_identifier(bytes.fromhex("0800520000000000") * 30_000, NATIVE[0], "latin-1")
    items = bytes.fromhex("feff00e000000000") * 10_000
    data = bytes.fromhex("08003210") + len(items).to_bytes(4, "little") + items
    assert len(parse_identifier(data, NATIVE[0], "latin-1").sequences[0x00081032]) <= 200


def test_pixels_are_no_key() -> None:
    with pytest.raises(UnreadableInstance):
        parse_identifier(bytes.fromhex("e07f1000 02000000 0000"), NATIVE[0], "latin-1")


@given(st.binary(max_size=400), syntaxes)
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_an_identifier_or_unreadable(data: bytes, syntax: object) -> None:
    try:
        read = parse_identifier(data, syntax, "latin-1")  # type: ignore[arg-type]
    except UnreadableInstance:
        return
    assert all(isinstance(value, str) for value in read.values.values())


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_a_damaged_identifier_is_an_identifier_or_unreadable(data: st.DataObject) -> None:
    number = data.draw(st.integers(0, 2))
    dataset = identifier(
        "SERIES", PatientName="x", ProcedureCodeSequence={"CodeValue": "1"}, SeriesNumber="2"
    )
    damaged = bytearray(encoded(dataset, number))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    try:
        parse_identifier(cut, NATIVE[number], "latin-1")
    except UnreadableInstance:
        return


names = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="\\^="), max_size=20)


@given(names, names, st.sampled_from(["STUDY", "SERIES"]), st.integers(0, 2))
@settings(max_examples=100, deadline=None)
def test_what_is_written_is_read(name: str, patient_id: str, level: str, number: int) -> None:
    dataset = identifier(level, PatientName=name, PatientID=patient_id)
    read = parse_identifier(encoded(dataset, number), NATIVE[number], "latin-1")
    assert (read.values[0x00100010], read.values[0x00100020]) == (name, patient_id)
    assert read.values[0x00080052] == level
