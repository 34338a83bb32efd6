"""Responses: whatever is remembered of one is never seen in another."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacs.dimse.command import CommandSet, Element, decode_command_set
from pacs.dimse.endings import AssociationAborted
from pacs.dimse.responses import encode_pending_responses, encode_response
from pacs.dimse.statuses import PENDING, SUCCESS, Status, StatusCode
from tests.unit.pacs.dimse import wire

uids = st.text("0123456789.", min_size=1, max_size=70)


def put_together(pdus: bytes, maximum_length: int) -> tuple[set[int], list[tuple[bool, bytes]]]:
    """The contexts of P-DATA-TFs with one fragment each, and their command sets (True) and data sets."""
    contexts, parts, part, last = set(), [], b"", True
    while pdus:
        kind, length, pdv_length, context_id, control = struct.unpack_from(">BxIIBB", pdus)
        assert kind == 4 and pdv_length == length - 4 and length <= maximum_length
        contexts.add(context_id)
        part, pdus, last = part + pdus[12 : 6 + length], pdus[6 + length :], bool(control & 2)
        if last:
            parts.append((bool(control & 1), part))
            part = b""
    assert last
    return contexts, parts


@given(
    context_id=st.integers(0, 127).map(lambda i: 2 * i + 1),
    message_id=st.integers(0, 0xFFFF),
    sop_class=uids,
    sop_instance=st.none() | uids,
    status=st.sampled_from([SUCCESS, Status(StatusCode.OUT_OF_RESOURCES, "no space")]),
    maximum_length=st.sampled_from([16, 200, 16384]),
)
@settings(max_examples=150, deadline=None)
def test_a_response_repeats_its_request_and_tells_the_status(
    context_id: int,
    message_id: int,
    sop_class: str,
    sop_instance: str | None,
    status: Status,
    maximum_length: int,
) -> None:
    request = decode_command_set(
        wire.command(1, sop_class=sop_class, sop_instance=sop_instance, message_id=message_id)
    )
    encoded = encode_response(context_id, 1, request, status, maximum_length)
    contexts, ((is_command, command),) = put_together(encoded, maximum_length)
    assert is_command
    response = decode_command_set(command)
    assert contexts == {context_id}
    assert int.from_bytes(command[8:12], "little") == len(command) - 12
    assert response.number(Element.COMMAND_FIELD) == 0x8001
    assert response.number(Element.MESSAGE_ID_BEING_RESPONDED_TO) == message_id
    assert response.number(Element.COMMAND_DATA_SET_TYPE) == 0x0101
    assert response.number(Element.STATUS) == status.code
    assert response.text(Element.AFFECTED_SOP_CLASS_UID) == sop_class
    assert response.text(Element.AFFECTED_SOP_INSTANCE_UID) == sop_instance
    assert response.text(Element.ERROR_COMMENT) == (status.comment or None)


REQUEST = decode_command_set(wire.command(0x0020, sop_class=wire.STUDY_ROOT_FIND, dataset=True))


def test_an_empty_data_set_is_one() -> None:
    _, parts = put_together(encode_response(3, 0x0021, REQUEST, SUCCESS, 16384, (), b""), 16384)
    assert [is_command for is_command, _ in parts] == [True, False]


@pytest.mark.parametrize("maximum_length", [16, 200, 16384])
def test_a_response_with_a_data_set_and_elements_of_its_service_has_both(maximum_length: int) -> None:
    completed = (Element.NUMBER_OF_COMPLETED_SUB_OPERATIONS, 300)
    encoded = encode_response(
        3, 0x0021, REQUEST, Status(StatusCode.CANCEL), maximum_length, (completed,), b"identifier"
    )
    contexts, ((_, command), (is_command, dataset)) = put_together(encoded, maximum_length)
    response = decode_command_set(command)
    assert (contexts, is_command, dataset) == ({3}, False, b"identifier")
    assert response.number(Element.COMMAND_DATA_SET_TYPE) != 0x0101
    assert response.number(Element.NUMBER_OF_COMPLETED_SUB_OPERATIONS) == 300
    assert response.number(Element.STATUS) == 0xFE00


@given(st.lists(st.binary(max_size=40_000), max_size=9), st.sampled_from([200, 16384, 131072]))
@settings(max_examples=50, deadline=None)
def test_pending_responses_come_each_with_its_identifier(
    identifiers: list[bytes], maximum_length: int
) -> None:
    writes = list(encode_pending_responses(1, 0x0020, REQUEST, PENDING, maximum_length, iter(identifiers)))
    assert all(len(write) > 30_000 for write in writes[:-1])
    _, parts = put_together(b"".join(writes), maximum_length)
    assert [part for is_command, part in parts if not is_command] == identifiers
    commands = [part for is_command, part in parts if is_command]
    assert len(commands) == len(identifiers) and len(set(commands)) <= 1
    for command in commands[:1]:
        response = decode_command_set(command)
        assert response.number(Element.COMMAND_FIELD) == 0x8020
        assert response.number(Element.STATUS) == 0xFF00
        assert response.number(Element.MESSAGE_ID_BEING_RESPONDED_TO) == 7
        assert response.text(Element.AFFECTED_SOP_CLASS_UID) == wire.STUDY_ROOT_FIND


def test_a_request_without_a_message_id_cannot_be_answered() -> None:
    with pytest.raises(AssociationAborted):
        encode_response(1, 1, CommandSet({}), SUCCESS, 16384)
