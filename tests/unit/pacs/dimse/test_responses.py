"""Responses: whatever is remembered of one is never seen in another."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacs.dimse.command import CommandSet, Element, decode_command_set
from pacs.dimse.endings import AssociationAborted
from pacs.dimse.responses import encode_response
from pacs.dimse.statuses import SUCCESS, Status, StatusCode
from tests.unit.pacs.dimse import wire

uids = st.text("0123456789.", min_size=1, max_size=70)


def put_together(pdus: bytes, maximum_length: int) -> tuple[set[int], bytes]:
    """The presentation contexts and the command set of P-DATA-TFs with one fragment each."""
    contexts, command, last = set(), b"", False
    while pdus:
        assert not last
        kind, length, pdv_length, context_id, control = struct.unpack_from(">BxIIBB", pdus)
        assert kind == 4 and pdv_length == length - 4 and length <= maximum_length and control & 1
        contexts.add(context_id)
        command, pdus, last = command + pdus[12 : 6 + length], pdus[6 + length :], bool(control & 2)
    assert last
    return contexts, command


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
    contexts, command = put_together(encoded, maximum_length)
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


def test_a_request_without_a_message_id_cannot_be_answered() -> None:
    with pytest.raises(AssociationAborted):
        encode_response(1, 1, CommandSet({}), SUCCESS, 16384)
