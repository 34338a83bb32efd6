"""Command sets: what we write can be read, what is wrong is refused."""

from __future__ import annotations

import struct

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pynetdicom.dsutils import decode

from pacs.dimse.command import CommandSet, Element, decode_command_set, encode_command_set
from pacs.dimse.endings import AbortSource, AssociationAborted
from tests.unit.pacs.dimse import wire

uids = st.from_regex(r"[0-9](\.[0-9]{1,6}){1,8}", fullmatch=True)
numbers = st.integers(0, 0xFFFF)


@given(status=numbers, message_id=numbers, uid=uids)
@settings(max_examples=50, deadline=None)
def test_an_encoded_command_set_is_decoded_to_the_same(status: int, message_id: int, uid: str) -> None:
    encoded = encode_command_set(
        [(Element.STATUS, status), (Element.MESSAGE_ID, message_id), (Element.AFFECTED_SOP_CLASS_UID, uid)]
    )
    decoded = decode_command_set(encoded)
    assert decoded.number(Element.STATUS) == status
    assert decoded.number(Element.MESSAGE_ID) == message_id
    assert decoded.text(Element.AFFECTED_SOP_CLASS_UID) == uid
    assert len(encoded) % 2 == 0


def test_pydicom_reads_what_we_write() -> None:
    from io import BytesIO

    encoded = encode_command_set(
        [(Element.STATUS, 0xA700), (Element.ERROR_COMMENT, "odd"), (Element.AFFECTED_SOP_CLASS_UID, "1.2.3")]
    )
    dataset = decode(BytesIO(encoded), True, True)
    assert (dataset.Status, dataset.ErrorComment, dataset.AffectedSOPClassUID) == (0xA700, "odd", "1.2.3")
    assert dataset.CommandGroupLength == len(encoded) - 12
    assert [element.tag for element in dataset] == sorted(element.tag for element in dataset)


def test_padding_of_a_text_is_not_part_of_it() -> None:
    decoded = decode_command_set(wire.element(0x0002, b"1.2.3\0") + wire.element(0x1000, b" 1.2 "))
    assert decoded.text(Element.AFFECTED_SOP_CLASS_UID) == "1.2.3"
    assert decoded.text(Element.AFFECTED_SOP_INSTANCE_UID) == "1.2"


def test_an_empty_text_is_none() -> None:
    assert decode_command_set(wire.element(0x0002, b"")).text(Element.AFFECTED_SOP_CLASS_UID) is None


@pytest.mark.parametrize(
    "data",
    [
        wire.number(0x0100, 1) + wire.number(0x0100, 1),  # which one counts?
        b"\x08\x00\x16\x00\x02\x00\x00\x00ab",  # group 0008
        b"\x00\x00\x00\x01\xff\xff\xff\xff",  # undefined length
        b"\x00\x00\x00\x01\x04\x00\x00\x00ab",  # longer than what is there
        wire.number(0x0100, 1) + b"\x00\x00\x10",  # cut short
    ],
    ids=["twice", "other group", "undefined length", "too long", "cut short"],
)
def test_a_malformed_command_set_is_refused(data: bytes) -> None:
    with pytest.raises(AssociationAborted) as refusal:
        decode_command_set(data)
    assert refusal.value.source == AbortSource.SERVICE_USER


@pytest.mark.parametrize("value", [b"", b"\x01", b"\x01\x00\x00\x00"])
def test_a_number_has_two_bytes(value: bytes) -> None:
    with pytest.raises(AssociationAborted):
        decode_command_set(wire.element(0x0100, value)).number(Element.COMMAND_FIELD)


def test_a_required_number_must_be_there() -> None:
    with pytest.raises(AssociationAborted, match="0100"):
        decode_command_set(b"").required_number(Element.COMMAND_FIELD)


@given(st.binary(max_size=300))
@example(wire.command(wire.C_STORE_RQ, sop_instance="1.2"))
@settings(max_examples=150, deadline=None)
def test_any_bytes_give_a_command_set_or_an_abort(data: bytes) -> None:
    try:
        decoded = decode_command_set(data)
    except AssociationAborted:
        return
    assert isinstance(decoded, CommandSet)


@given(st.lists(st.integers(0, 0xFFFFFFFF), max_size=5))
@settings(max_examples=50, deadline=None)
def test_tags_are_read_as_they_were_asked_for(tags: list[int]) -> None:
    value = b"".join(struct.pack("<HH", tag >> 16, tag & 0xFFFF) for tag in tags)
    command = CommandSet({Element.ATTRIBUTE_IDENTIFIER_LIST: value})
    assert command.tags(Element.ATTRIBUTE_IDENTIFIER_LIST) == tuple(tags)


def test_half_a_tag_is_no_tag() -> None:
    with pytest.raises(AssociationAborted):
        CommandSet({Element.ATTRIBUTE_IDENTIFIER_LIST: b"\0" * 6}).tags(Element.ATTRIBUTE_IDENTIFIER_LIST)
