"""Negotiation PDUs, against pynetdicom's own encoder and decoder and against lies."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_RELEASE_RP

from pacs.dicom.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from pacs.dimse.endings import (
    LOCAL_LIMIT_EXCEEDED,
    AbortReason,
    AbortSource,
    AssociationAborted,
)
from pacs.dimse.pdu import (
    AssociateRequest,
    ContextResult,
    NegotiatedContext,
    ProposedContext,
    encode_abort,
    encode_associate_accept,
    encode_associate_reject,
    encode_associate_request,
    encode_data,
    encode_message,
    encode_release_reply,
    explain_associate_reject,
    parse_associate_accept,
    parse_associate_request,
    whole_fragments,
)
from pacs.dimse.user_information import OperationsWindow, Roles, UserIdentity, UserInformation
from tests.unit.pacs.dimse import wire


def parse(request: bytes) -> AssociateRequest:
    return parse_associate_request(request[6:])


def test_a_request_is_understood() -> None:
    request = parse(
        wire.associate_request(
            [wire.proposal(5, wire.CT_IMAGE_STORAGE, wire.JPEG_LOSSLESS, wire.EXPLICIT)], maximum_length=32768
        )
    )
    assert request.called_ae_title == "FILMLESS"
    assert request.calling_ae_title == "CT01"
    assert request.speaks_dicom
    assert request.user.maximum_length == 32768
    assert request.user.implementation_version_name == "TEST"
    (context,) = request.contexts
    assert context.context_id == 5
    assert context.abstract_syntax == wire.CT_IMAGE_STORAGE
    assert context.transfer_syntaxes == (wire.JPEG_LOSSLESS, wire.EXPLICIT)


def test_a_request_with_every_kind_of_negotiation_by_pynetdicom_is_understood() -> None:
    from pynetdicom.pdu import A_ASSOCIATE_RQ
    from pynetdicom.pdu_primitives import (
        A_ASSOCIATE,
        AsynchronousOperationsWindowNegotiation,
        ImplementationClassUIDNotification,
        MaximumLengthNotification,
        SCP_SCU_RoleSelectionNegotiation,
        UserIdentityNegotiation,
    )
    from pynetdicom.presentation import build_context

    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title = "MR 7"
    primitive.called_ae_title = "FILMLESS"
    context = build_context(wire.CT_IMAGE_STORAGE)
    context.context_id = 1
    primitive.presentation_context_definition_list = [context]
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received = 0
    implementation.implementation_class_uid = "1.2.3.4"
    role = SCP_SCU_RoleSelectionNegotiation()
    role.sop_class_uid, role.scu_role, role.scp_role = wire.CT_IMAGE_STORAGE, True, True
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = 3
    identity = UserIdentityNegotiation()
    identity.user_identity_type, identity.primary_field = 1, b"somebody"
    primitive.user_information = [length, implementation, role, window, identity]
    encoded = A_ASSOCIATE_RQ(primitive).encode()

    request = parse(encoded)
    assert request.calling_ae_title == "MR 7"
    assert request.user.maximum_length == 0
    assert request.user.roles == {wire.CT_IMAGE_STORAGE: Roles(scu=True, scp=True)}
    assert request.user.operations_window == OperationsWindow(3, 1)
    assert request.user.user_identity == UserIdentity(1, False, b"somebody", b"")
    assert request.contexts[0].transfer_syntaxes == tuple(map(str, context.transfer_syntax))


def test_control_characters_of_an_ae_title_cannot_forge_a_line_of_the_log() -> None:
    assert parse(wire.associate_request(calling="A\r\nB\x1b\xe1")).calling_ae_title == "A??B??"


def test_uids_padded_by_nul_are_understood() -> None:
    request = parse(
        wire.associate_request([wire.proposal(1, wire.VERIFICATION + "\0", wire.IMPLICIT + "\0")])
    )
    assert request.contexts[0].abstract_syntax == wire.VERIFICATION
    assert request.contexts[0].transfer_syntaxes == (wire.IMPLICIT,)


def test_another_application_context_is_not_dicom() -> None:
    assert not parse(wire.associate_request(application_context="1.2.3")).speaks_dicom


LONG_UID = "1." + "2" * 63
INVALID_REQUESTS = {
    "shorter than its fixed fields": wire.pdu(1, bytes(67)),
    "no contexts": wire.associate_request([]),
    "no items": wire.pdu(1, bytes(68)),
    "even context id": wire.associate_request([wire.proposal(2, wire.VERIFICATION, wire.IMPLICIT)]),
    "129 contexts": wire.associate_request(
        [wire.proposal(1 + 2 * i & 255, "1.2", "1.3") for i in range(129)]
    ),
    "65 transfer syntaxes": wire.associate_request([wire.proposal(1, wire.VERIFICATION, *["1.2"] * 65)]),
    "no transfer syntax": wire.associate_request([wire.proposal(1, wire.VERIFICATION)]),
    "no abstract syntax": wire.associate_request([wire.item(0x20, b"\1\0\0\0" + wire.item(0x40, b"1.2"))]),
    "empty context": wire.associate_request([wire.item(0x20, b"\1")]),
    "long UID": wire.associate_request([wire.proposal(1, LONG_UID, wire.IMPLICIT)]),
    "item longer than the PDU": wire.associate_request([struct.pack(">BxH", 0x20, 60_000) + bytes(8)]),
    "sub-item longer than its item": wire.associate_request(
        [wire.item(0x20, b"\1\0\0\0" + struct.pack(">BxH", 0x30, 60_000))]
    ),
    "item header cut short": wire.pdu(1, wire.associate_request()[6:] + b"\x20\0"),
    "maximum length of no use": wire.associate_request(maximum_length=7),
}


@pytest.mark.parametrize("request_bytes", INVALID_REQUESTS.values(), ids=INVALID_REQUESTS.keys())
def test_an_invalid_request_is_refused(request_bytes: bytes) -> None:
    with pytest.raises(AssociationAborted) as refusal:
        parse(request_bytes)
    assert refusal.value.reason == AbortReason.INVALID_PARAMETER


def test_a_request_full_of_tiny_items_is_refused_at_the_first_limit() -> None:
    """A2: 128 KiB hold 32,000 empty transfer syntaxes."""
    bomb = wire.item(0x20, b"\1\0\0\0" + wire.item(0x40, b"") * 16_000)
    with pytest.raises(AssociationAborted, match="too many transfer syntaxes"):
        parse(wire.associate_request([bomb, bomb]))


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_a_damaged_request_is_understood_or_refused(data: st.DataObject) -> None:
    body = bytearray(wire.associate_request()[6:])
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    del body[data.draw(st.integers(0, len(body))) :]
    try:
        request = parse_associate_request(bytes(body))
    except AssociationAborted:
        return
    assert 1 <= len(request.contexts) <= 128
    assert request.calling_ae_title.isprintable()


def test_pynetdicom_understands_our_acceptance() -> None:
    request = parse(wire.associate_request())
    contexts = [
        NegotiatedContext(1, wire.VERIFICATION, wire.IMPLICIT),
        NegotiatedContext(3, "1.2.3", wire.EXPLICIT, ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED),
    ]
    decoded = A_ASSOCIATE_AC()
    decoded.decode(encode_associate_accept(request, contexts, UserInformation(maximum_length=131072)))
    assert decoded.application_context_name == "1.2.840.10008.3.1.1.1"
    answers = [(c.context_id, c.result, str(c.transfer_syntax)) for c in decoded.presentation_context]
    assert answers[0] == (1, 0, wire.IMPLICIT)
    assert answers[1][:2] == (3, 3)
    user = decoded.user_information
    assert user.maximum_length == 131072
    assert user.implementation_class_uid == IMPLEMENTATION_CLASS_UID
    assert user.implementation_version_name == IMPLEMENTATION_VERSION_NAME
    assert decoded.reserved_aet.strip() == "FILMLESS"  # the first of the two fields is the called one
    assert decoded.reserved_aec.strip() == "CT01"


def test_pynetdicom_understands_rejection_abort_and_release() -> None:
    rejection, abort, release = A_ASSOCIATE_RJ(), A_ABORT_RQ(), A_RELEASE_RP()
    rejection.decode(encode_associate_reject(LOCAL_LIMIT_EXCEEDED))
    assert rejection.result_str == "Rejected (Transient)"
    assert rejection.reason_str == "Local limit exceeded"
    abort.decode(encode_abort(AbortSource.SERVICE_PROVIDER, AbortReason.UNEXPECTED_PDU))
    assert (abort.source, abort.reason_diagnostic) == (2, 2)
    release.decode(encode_release_reply())
    assert release.pdu_length == 4


@given(
    chunks=st.lists(st.binary(max_size=400), max_size=4),
    maximum_length=st.integers(8, 500),
    is_command=st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_data_is_cut_into_what_the_peer_takes(
    chunks: list[bytes], maximum_length: int, is_command: bool
) -> None:
    joined, ends = b"", []
    for encoded in encode_data(9, chunks, maximum_length, is_command=is_command):
        kind, length, pdv_length, context_id, control = struct.unpack_from(">BxIIBB", encoded)
        assert (kind, pdv_length, context_id) == (4, length - 4, 9)
        assert length == len(encoded) - 6 <= maximum_length
        assert bool(control & 1) == is_command
        ends.append(bool(control & 2))
        joined += encoded[12:]
    assert joined == b"".join(chunks)
    assert ends == [False] * (len(ends) - 1) + [True]


@given(
    st.lists(st.binary(max_size=300).map(lambda data: data * 400), max_size=4),
    st.sampled_from([8, 9, 100, 4096, 16382, 131072]),
)
@settings(max_examples=60, deadline=None)
def test_a_message_is_written_in_few_parts_and_is_the_same_bytes(
    chunks: list[bytes], maximum_length: int
) -> None:
    chunks = [chunk[: 500 * maximum_length] for chunk in chunks]
    command = b"command set"
    writes = list(encode_message(9, command, chunks, maximum_length))
    expected = [
        *encode_data(9, [command], maximum_length, is_command=True),
        *encode_data(9, chunks, maximum_length, is_command=False),
    ]
    assert b"".join(b"".join(parts) for parts in writes) == b"".join(expected)
    assert all(len(parts) <= 512 for parts in writes)  # sendmsg(2) takes 1024
    assert all(sum(map(len, parts)) < 512 * 1024 for parts in writes)
    assert len(writes) <= 1 + sum(map(len, chunks)) // 100_000 + len(expected) // 250


@pytest.mark.parametrize("maximum_length", [8, 16382, 16384, 131072, 131073, 2**20])
def test_what_is_read_at_a_time_fills_its_pdus(maximum_length: int) -> None:
    piece = bytes(whole_fragments(maximum_length))
    sizes = {len(pdu) for pdu in encode_data(1, [piece], maximum_length, is_command=False)}
    assert sizes == {maximum_length // 2 * 2 + 6}


def test_our_request_is_understood_by_ourselves_and_by_pynetdicom() -> None:
    from pynetdicom.pdu import A_ASSOCIATE_RQ

    contexts = (
        ProposedContext(1, wire.VERIFICATION, (wire.IMPLICIT,)),
        ProposedContext(3, wire.CT_IMAGE_STORAGE, (wire.JPEG_LOSSLESS, wire.EXPLICIT)),
    )
    encoded = encode_associate_request("PACS2", "FILMLESS", contexts, UserInformation(maximum_length=131072))
    ours = parse(encoded)
    assert ours.contexts == contexts
    assert (ours.called_ae_title, ours.calling_ae_title, ours.user.maximum_length) == (
        "PACS2",
        "FILMLESS",
        131072,
    )
    theirs = A_ASSOCIATE_RQ()
    theirs.decode(encoded)
    assert (theirs.called_ae_title, theirs.calling_ae_title) == ("PACS2", "FILMLESS")
    assert [(c.context_id, c.abstract_syntax) for c in theirs.presentation_context] == [
        (1, wire.VERIFICATION),
        (3, wire.CT_IMAGE_STORAGE),
    ]


def test_an_acceptance_tells_which_contexts_may_be_used() -> None:
    request = parse(wire.associate_request())
    answers = [
        NegotiatedContext(1, wire.VERIFICATION, wire.IMPLICIT),
        NegotiatedContext(3, "1.2", wire.EXPLICIT, ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED),
    ]
    accept = parse_associate_accept(
        encode_associate_accept(request, answers, UserInformation(maximum_length=4096))[6:]
    )
    assert accept.transfer_syntaxes == {1: wire.IMPLICIT}
    assert accept.maximum_length == 4096


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_a_damaged_acceptance_is_understood_or_refused(data: st.DataObject) -> None:
    request = parse(wire.associate_request())
    answers = [NegotiatedContext(c.context_id, c.abstract_syntax, wire.IMPLICIT) for c in request.contexts]
    body = bytearray(encode_associate_accept(request, answers, UserInformation(maximum_length=4096))[6:])
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    del body[data.draw(st.integers(0, len(body))) :]
    try:
        accept = parse_associate_accept(bytes(body))
    except AssociationAborted:
        return
    assert len(accept.transfer_syntaxes) <= 2
    assert all(len(uid) <= 64 for uid in accept.transfer_syntaxes.values())


@pytest.mark.parametrize(
    ("body", "meaning"),
    [
        (b"\0\1\1\7", "called AE title not recognised"),
        (b"\0\1\1\3", "calling AE title not recognised"),
        (b"\0\2\3\2", "local limit exceeded"),
        (b"\0\1\2\1", "result 1, source 2, reason 1"),
    ],
)
def test_a_rejection_is_explained(body: bytes, meaning: str) -> None:
    assert explain_associate_reject(body) == meaning
