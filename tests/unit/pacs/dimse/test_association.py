"""Whole associations without a socket: whatever a requestor says, the acceptor ends soundly."""

from __future__ import annotations

import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from pacs.dimse.application_entity import ApplicationEntity, Operation
from pacs.dimse.association import Association
from pacs.dimse.c_echo import C_ECHO
from pacs.dimse.c_store import c_store_operation
from pacs.dimse.message import Message
from pacs.dimse.statuses import CANCEL, PENDING, SUCCESS
from pacs.ingest import Disposition, IncomingInstance, Origin, StoreOutcome
from tests.unit.pacs.dimse import wire
from tests.unit.pacs.dimse.test_upper_layer import Wire


def _store(incoming: IncomingInstance, _: Origin) -> StoreOutcome:
    for _chunk in incoming.chunks:
        pass
    return StoreOutcome(Disposition.STORED, incoming.sop_class_uid, incoming.sop_instance_uid, "1.1", "1.2")


def _answer_thrice(association: Association, message: Message) -> None:
    message.dataset.read(1000)
    for number in range(3):
        if association.is_cancelled(message):
            association.respond(message, CANCEL)
            return
        association.respond_pending(message, PENDING, [bytes(number)])
    association.respond(message, SUCCESS)


FIND = Operation("C-FIND", 0x0020, (wire.IMPLICIT,), wire.STUDY_ROOT_FIND.__eq__, _answer_thrice)
ENTITY = ApplicationEntity(
    "FILMLESS",
    (C_ECHO, c_store_operation(_store, accept_unknown_sop_classes=True), FIND),
    max_dataset_bytes=100_000,
)
PROPOSALS = (*wire.DEFAULT_PROPOSALS, wire.proposal(5, wire.STUDY_ROOT_FIND, wire.IMPLICIT))
FIND_REQUEST = wire.p_data(
    wire.pdv(5, wire.command(0x0020, sop_class=wire.STUDY_ROOT_FIND, dataset=True), is_command=True),
    wire.pdv(5, b"identifier"),
)


def answers(data: bytes, piece: int = 65536) -> list[int]:
    """Serve a requestor that says ``data`` and hangs up; return the types of the PDUs that it is answered."""
    peer = Wire(data, piece)
    Association(peer, ENTITY, lambda _: True).serve()  # type: ignore[arg-type]
    kinds, sent = [], peer.sent
    while sent:
        kind, length = struct.unpack_from(">BxI", sent)
        kinds.append(kind)
        sent = sent[6 + length :]
    return kinds


def test_a_sound_association_is_accepted_answered_and_released() -> None:
    requests = wire.echo_request() + wire.store_request(bytes(50_000)) + wire.echo_request()
    assert answers(wire.associate_request() + requests + wire.RELEASE_RQ) == [2, 4, 4, 4, 6]


def test_what_comes_before_the_last_answer_has_its_turn_behind_it() -> None:
    requests = FIND_REQUEST + wire.echo_request() + FIND_REQUEST
    # The release is here before the second query is answered, and takes it back.
    assert answers(wire.associate_request(PROPOSALS) + requests + wire.RELEASE_RQ) == [2, *[4] * 7, 4, 4, 6]


context_ids = st.sampled_from([1, 3, 3, 3, 5, 5, 7, 2, 0, 255])
uids = st.sampled_from([wire.CT_IMAGE_STORAGE, wire.VERIFICATION, "1.2.3", "", "1" * 80, "../../etc"])
command_elements = st.lists(
    st.builds(
        wire.element, st.sampled_from([0, 2, 0x100, 0x110, 0x800, 0x900, 0x1000]), st.binary(max_size=4)
    )
    | st.binary(max_size=12),
    max_size=8,
).map(b"".join)
commands = command_elements | st.builds(
    wire.command,
    st.sampled_from([0x0001, 0x0030, 0x0020, 0x0FFF, 0x8001, 0xFFFF]),
    sop_class=uids,
    sop_instance=st.none() | uids,
    message_id=st.none() | st.integers(0, 0xFFFF),
    dataset=st.booleans(),
)
fragments = st.builds(
    wire.pdv, context_ids, commands | st.binary(max_size=50), is_command=st.booleans(), is_last=st.booleans()
)
pdus = (
    st.lists(fragments | st.binary(max_size=20), min_size=1, max_size=4).map(lambda some: wire.p_data(*some))
    | st.builds(wire.pdu, st.integers(0, 9), st.binary(max_size=80))
    | st.just(wire.echo_request())
    | st.just(FIND_REQUEST)
    | st.just(wire.store_request(bytes(30_000)))
    | st.just(wire.RELEASE_RQ)
)


@given(st.lists(pdus, max_size=10).map(b"".join), st.sampled_from([7, 1000, 65536]))
@settings(max_examples=250, deadline=None)
def test_whatever_is_said_after_the_acceptance_the_association_ends_by_the_rules(
    data: bytes, piece: int
) -> None:
    """It is answered by responses, and then by a release, an abort, or nothing; never by silence for ever."""
    kinds = answers(wire.associate_request(PROPOSALS) + data, piece)
    assert kinds[0] == 2
    assert set(kinds[1:-1]) <= {4}
    assert kinds[-1] in {2, 4, 6, 7}


@given(st.binary(max_size=300) | st.builds(wire.pdu, st.integers(0, 9), st.binary(max_size=200)))
@settings(max_examples=150, deadline=None)
def test_whatever_is_said_instead_of_a_request_is_aborted_or_rejected(data: bytes) -> None:
    assert answers(data) in ([], [7], [3])
