"""What is negotiated besides presentation contexts: read from pynetdicom's own encoder, and from liars."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pynetdicom.pdu_items import (
    AsynchronousOperationsWindowSubItem,
    SCP_SCU_RoleSelectionSubItem,
    SOPClassCommonExtendedNegotiationSubItem,
    SOPClassExtendedNegotiationSubItem,
    UserIdentitySubItemRQ,
)
from pynetdicom.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)

from pacs.dimse.endings import AbortReason, AssociationAborted
from pacs.dimse.negotiation import answer_user_information
from pacs.dimse.user_information import (
    MAX_SUB_ITEMS,
    CommonExtendedNegotiation,
    OperationsWindow,
    Roles,
    UserIdentity,
    UserInformation,
    encode_user_information,
    parse_user_information,
)
from tests.unit.pacs.dimse import wire

CT = wire.CT_IMAGE_STORAGE
ALLOWED = Roles(scu=True, scp=False)


def parse(data: bytes) -> UserInformation:
    return parse_user_information(memoryview(data))


def by_pynetdicom(item: object, primitive: object) -> bytes:
    item.from_primitive(primitive)  # type: ignore[attr-defined]
    encoded = item.encode()  # type: ignore[attr-defined]
    assert isinstance(encoded, bytes)
    return encoded


def test_roles_are_understood() -> None:
    primitive = SCP_SCU_RoleSelectionNegotiation()
    primitive.sop_class_uid, primitive.scu_role, primitive.scp_role = CT, False, True
    assert parse(by_pynetdicom(SCP_SCU_RoleSelectionSubItem(), primitive)).roles == {CT: Roles(False, True)}


def test_an_operations_window_is_understood() -> None:
    primitive = AsynchronousOperationsWindowNegotiation()
    primitive.maximum_number_operations_invoked, primitive.maximum_number_operations_performed = 5, 0
    data = by_pynetdicom(AsynchronousOperationsWindowSubItem(), primitive)
    assert parse(data).operations_window == OperationsWindow(5, 0)


def test_extended_negotiation_is_understood() -> None:
    primitive = SOPClassExtendedNegotiation()
    primitive.sop_class_uid, primitive.service_class_application_information = CT, b"\2\0\1\0"
    assert parse(by_pynetdicom(SOPClassExtendedNegotiationSubItem(), primitive)).extended == {CT: b"\2\0\1\0"}


def test_common_extended_negotiation_is_understood() -> None:
    primitive = SOPClassCommonExtendedNegotiation()
    primitive.sop_class_uid, primitive.service_class_uid = "1.2.3", "1.2.840.10008.4.2"
    primitive.related_general_sop_class_identification = [CT, "1.2.4"]
    assert parse(by_pynetdicom(SOPClassCommonExtendedNegotiationSubItem(), primitive)).common_extended == {
        "1.2.3": CommonExtendedNegotiation("1.2.840.10008.4.2", (CT, "1.2.4"))
    }


def test_a_user_identity_is_understood_and_never_shown() -> None:
    primitive = UserIdentityNegotiation()
    primitive.user_identity_type, primitive.positive_response_requested = 2, True
    primitive.primary_field, primitive.secondary_field = b"somebody", b"passw0rd"
    user = parse(by_pynetdicom(UserIdentitySubItemRQ(), primitive))
    assert user.user_identity == UserIdentity(2, True, b"somebody", b"passw0rd")
    assert user.user_identity.has_secret
    assert "passw0rd" not in repr(user) and "somebody" not in repr(user)


def test_a_name_alone_is_no_secret() -> None:
    assert not UserIdentity(1, False, b"somebody", b"").has_secret


def test_sub_items_that_are_not_known_are_passed_over() -> None:
    assert parse(wire.item(0x51, b"\0\0\x40\0") + wire.item(0x7F, b"?")) == UserInformation(16384)


UID = wire.CT_IMAGE_STORAGE.encode()
INVALID = {
    "window of three bytes": wire.item(0x53, b"\0\1\0"),
    "role without roles": wire.item(0x54, struct.pack(">H", len(UID)) + UID),
    "role with a UID that lies": wire.item(0x54, struct.pack(">H", 60) + UID + b"\1\1"),
    "role with a long UID": wire.item(0x54, struct.pack(">H", 65) + b"1" * 65 + b"\1\1"),
    "empty role": wire.item(0x54, b""),
    "extended with a UID that lies": wire.item(0x56, b"\xff\xff" + UID),
    "common extended cut short": wire.item(0x57, struct.pack(">H", len(UID)) + UID),
    "common extended with too many related": wire.item(
        0x57, b"\0\0" + b"\0\0" + struct.pack(">H", 65 * 3) + b"\0\x011" * 65
    ),
    "identity cut short": wire.item(0x58, b"\2"),
    "identity with a passcode that lies": wire.item(0x58, b"\2\1\0\1a\xff\xff"),
    "too many sub-items": wire.item(0x7F, b"") * (MAX_SUB_ITEMS + 1),
}


@pytest.mark.parametrize("data", INVALID.values(), ids=INVALID.keys())
def test_an_invalid_sub_item_is_refused(data: bytes) -> None:
    with pytest.raises(AssociationAborted) as refusal:
        parse(data)
    assert refusal.value.reason == AbortReason.INVALID_PARAMETER


kinds = st.sampled_from([0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x7F])
sub_items = st.builds(wire.item, kinds, st.binary(max_size=40))


@given(st.lists(sub_items, max_size=8).map(b"".join) | st.binary(max_size=100))
@settings(max_examples=150, deadline=None)
def test_any_bytes_give_user_information_or_an_abort(data: bytes) -> None:
    try:
        user = parse(data)
    except AssociationAborted:
        return
    assert all(len(uid) <= 64 for uid in (*user.roles, *user.extended, *user.common_extended))


# --- our answer -------------------------------------------------------------------------------------------


def answer(proposed: UserInformation) -> UserInformation:
    return answer_user_information(proposed, {CT: ALLOWED}, lambda _, information: information[::-1], 131072)


@pytest.mark.parametrize("scp", [False, True])
def test_a_requestor_is_told_what_it_may_be(scp: bool) -> None:
    assert answer(UserInformation(roles={CT: Roles(True, scp)})).roles == {CT: ALLOWED}


def test_a_role_that_was_not_proposed_is_not_answered() -> None:
    assert answer(UserInformation(roles={CT: Roles(False, False), "1.2.3": Roles(True, True)})).roles == {}


def test_operations_are_performed_one_at_a_time() -> None:
    proposed = UserInformation(operations_window=OperationsWindow(0, 7))
    assert answer(proposed).operations_window == OperationsWindow(1, 1)
    assert answer(UserInformation()).operations_window is None


def test_extended_negotiation_is_answered_for_what_is_accepted() -> None:
    proposed = UserInformation(extended={CT: b"\1\2", "1.2.3": b"\1"})
    assert answer(proposed).extended == {CT: b"\2\1"}


def test_our_answer_can_be_read() -> None:
    proposed = UserInformation(
        operations_window=OperationsWindow(0, 0), roles={CT: Roles(True, True)}, extended={CT: b"\2\0"}
    )
    ours = answer(proposed)
    read = parse(encode_user_information(ours))
    assert (read.maximum_length, read.operations_window) == (131072, OperationsWindow(1, 1))
    assert (read.roles, read.extended) == ({CT: Roles(True, False)}, {CT: b"\0\2"})
