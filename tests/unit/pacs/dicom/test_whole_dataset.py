"""A small data set is read whole, and no byte of a stranger does harm."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from pacs.dicom.json_model import encode_dataset
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.dicom.whole_dataset import MAX_DEPTH, read_whole_dataset
from pacs.dicom.written_dataset import write_dataset
from pacs.errors import UnreadableInstance
from tests import raw_elements as raw
from tests.datasets import encode
from tests.integration.performed_steps import begun, ended, item, scheduled

IMPLICIT, EXPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
NATIVE = (IMPLICIT, EXPLICIT, BIG_ENDIAN)
SEQUENCE = 0x00400270
LATIN_1 = "latin-1"


def read(data: bytes, syntax: str = EXPLICIT) -> dict[str, dict[str, object]]:
    return read_whole_dataset(data, TRANSFER_SYNTAXES[syntax], LATIN_1)


def without_empty_values(written: Any) -> Any:
    """Leave out what pydicom writes of elements that have no value."""
    if isinstance(written, dict):
        return {name: without_empty_values(one) for name, one in written.items() if one not in ([], [{}])}
    return [without_empty_values(one) for one in written] if isinstance(written, list) else written


@pytest.mark.parametrize("syntax", NATIVE)
@pytest.mark.parametrize("dataset", [begun(), ended()], ids=["begun", "ended"])
def test_every_element_is_read_as_pydicom_reads_it(dataset: Dataset, syntax: str) -> None:
    found = read(encode(dataset, syntax), syntax)
    assert found == without_empty_values(orjson.loads(dataset.to_json()))


@pytest.mark.parametrize("syntax", NATIVE)
def test_what_is_written_reads_as_it_was(syntax: str) -> None:
    dataset = read(encode(ended()))
    assert read(write_dataset(dataset, TRANSFER_SYNTAXES[syntax]), syntax) == dataset


def test_a_value_that_its_vr_does_not_have_costs_no_other() -> None:
    written = write_dataset(
        {"00200013": {"vr": "IS", "Value": ["x"]}, "00100020": {"vr": "LO", "Value": ["BN1"]}},
        TRANSFER_SYNTAXES[EXPLICIT],
    )
    assert read(written)["00100020"]["Value"] == ["BN1"]


def test_items_may_have_a_character_set_of_their_own() -> None:
    inner = raw.element(0x00080005, b"CS", b"ISO_IR 100") + raw.element(0x00100010, b"PN", b"J\xfcrgen")
    outer = raw.element(0x00080005, b"CS", b"ISO_IR 192")
    data = outer + raw.element(0x00100010, b"PN", "Lê".encode() + b" ")
    found = read(data + raw.element(SEQUENCE, b"SQ", raw.item(inner)))
    assert found["00100010"]["Value"] == [{"Alphabetic": "Lê"}]
    assert found["00400270"]["Value"] == [{"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Jürgen"}]}}]


def test_private_elements_and_sequences_of_unknown_vr_are_read_too() -> None:
    nested = raw.element(0x00090010, b"LO", b"US") + raw.element(0x00091001, b"SH", b"mine")
    unknown = raw.item(b"\x08\x00\x50\x00\x04\x00\x00\x00ACC1")  # implicit VR, as in UN
    found = read(nested + raw.element(SEQUENCE, b"UN", unknown))
    assert found["00091001"] == {"vr": "SH", "Value": ["mine"]}
    assert found["00400270"]["Value"] == [{"00080050": {"vr": "SH", "Value": ["ACC1"]}}]


def nested(depth: int, length: int | None) -> bytes:
    data = raw.element(0x00080050, b"SH", b"ACC1")
    for _ in range(depth):
        inner = raw.item(data, length) + (raw.ITEM_END if length else b"")
        data = raw.element(SEQUENCE, b"SQ", inner, length) + (raw.SEQUENCE_END if length else b"")
    return data


@pytest.mark.parametrize("length", [None, raw.UNDEFINED])
def test_what_is_nested_too_deeply_is_refused(length: int | None) -> None:
    read(nested(MAX_DEPTH, length))
    with pytest.raises(UnreadableInstance, match="deep"):
        read(nested(MAX_DEPTH + 1, length))
    with pytest.raises(UnreadableInstance, match="deep"):
        read(nested(2000, length))


def test_too_many_elements_are_refused() -> None:
    with pytest.raises(UnreadableInstance, match="too many"):
        read(raw.element(SEQUENCE, b"SQ", raw.item(b"") * 200_001))


@pytest.mark.parametrize(
    "data",
    [
        raw.element(0x00100020, b"LO", b"BN1 ", 400),
        raw.element(SEQUENCE, b"SQ", b"", 400),
        raw.element(SEQUENCE, b"SQ", raw.item(b"", 400)),
        raw.element(SEQUENCE, b"SQ", raw.item(b""), raw.UNDEFINED),
        raw.element(SEQUENCE, b"SQ", raw.element(0x00080050, b"SH", b"A ")),
        raw.element(0x00100020, b"LT", b"", 0)[:7],
        raw.element(0x7FE00010, b"OW", b"\0\0"),
        raw.element(0x00020010, b"UI", b"1.2\0"),
        raw.element(0x00100021, b"UT", b"", raw.UNDEFINED),
        raw.ITEM_END,
    ],
)
def test_what_breaks_the_rules_of_encoding_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableInstance):
        read(data)


@given(st.binary(max_size=200), st.sampled_from(NATIVE))
@settings(max_examples=300, deadline=None)
def test_strange_bytes_are_read_or_refused(data: bytes, syntax: str) -> None:
    try:
        found = read(data, syntax)
    except UnreadableInstance:
        return
    orjson.loads(encode_dataset(found))


@given(st.data(), st.sampled_from(NATIVE))
@settings(max_examples=200, deadline=None)
def test_a_damaged_message_is_read_or_refused(data: st.DataObject, syntax: str) -> None:
    message = bytearray(encode(begun(scheduled(StudyInstanceUID="1.2.3")), syntax))
    for _ in range(data.draw(st.integers(1, 4))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    del message[data.draw(st.integers(0, len(message))) :]
    try:
        found = read(bytes(message), syntax)
    except UnreadableInstance:
        return
    written = write_dataset(orjson.loads(encode_dataset(found)), TRANSFER_SYNTAXES[syntax])
    read(written, syntax)


def test_a_long_binary_value_is_left_out() -> None:
    found = read(encode(item(EncapsulatedDocument=b"\0" * 2000)))
    assert found["00420011"] == {"vr": "OB"}
