"""Messages are put together from fragments; data sets are pulled, not pushed."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from pacs.dimse.endings import AssociationAborted
from pacs.dimse.message import Message, receive_message
from pacs.dimse.pdu import NegotiatedContext
from pacs.dimse.upper_layer import Pdv
from tests.unit.pacs.dimse import wire

CONTEXTS = {
    1: NegotiatedContext(1, wire.VERIFICATION, wire.IMPLICIT),
    3: NegotiatedContext(3, wire.CT_IMAGE_STORAGE, wire.EXPLICIT),
}
STORE = wire.command(wire.C_STORE_RQ, sop_instance="1.2.3", dataset=True)
ECHO = wire.command(wire.C_ECHO_RQ, sop_class=wire.VERIFICATION)


class Fragments:
    """A source of fragments that counts how many were asked for."""

    def __init__(self, fragments: Iterable[Pdv]) -> None:
        self._fragments = iter(fragments)
        self.taken = 0

    def receive_pdv(self, *, begins_message: bool = False) -> Pdv | None:
        self.taken += 1
        return next(self._fragments, None)


def command_pdv(data: bytes, *, context_id: int = 3, is_last: bool = True) -> Pdv:
    return Pdv(context_id, True, is_last, memoryview(data))


def data_pdv(data: bytes, *, context_id: int = 3, is_last: bool = False) -> Pdv:
    return Pdv(context_id, False, is_last, memoryview(data))


def receive(fragments: Fragments, max_dataset_bytes: int = 10_000) -> Message:
    message = receive_message(fragments, CONTEXTS, max_dataset_bytes, 65536)
    assert message is not None
    return message


def test_a_command_in_many_fragments_is_one_command() -> None:
    fragments = [command_pdv(STORE[i : i + 5], is_last=i + 5 >= len(STORE)) for i in range(0, len(STORE), 5)]
    message = receive(Fragments(fragments))
    assert message.command_field == wire.C_STORE_RQ
    assert message.context == CONTEXTS[3]


def test_a_data_set_is_not_received_before_it_is_asked_for() -> None:
    source = Fragments([command_pdv(STORE), data_pdv(b"aa"), data_pdv(b"bb"), data_pdv(b"cc", is_last=True)])
    chunks = iter(receive(source).dataset)
    assert source.taken == 1
    assert bytes(next(chunks)) == b"aa"
    assert source.taken == 2
    assert [bytes(chunk) for chunk in chunks] == [b"bb", b"cc"]
    assert source.taken == 4


def test_what_a_handler_leaves_is_drained() -> None:
    source = Fragments(
        [command_pdv(STORE), data_pdv(b"aa"), data_pdv(b"bb", is_last=True), command_pdv(ECHO, context_id=1)]
    )
    dataset = receive(source).dataset
    for _ in dataset:
        break
    dataset.drain()
    dataset.drain()
    assert receive(source).command_field == wire.C_ECHO_RQ


def test_a_message_without_a_data_set_has_no_chunks() -> None:
    source = Fragments([command_pdv(ECHO, context_id=1)])
    assert list(receive(source).dataset) == []
    assert source.taken == 1


def test_a_release_between_messages_ends_them() -> None:
    assert receive_message(Fragments([]), CONTEXTS, 10_000, 65536) is None


@pytest.mark.parametrize(
    "fragments",
    [
        [command_pdv(STORE, context_id=5)],
        [data_pdv(b"aa")],
        [command_pdv(STORE[:10], is_last=False), data_pdv(STORE[10:])],
        [command_pdv(STORE[:10], is_last=False), command_pdv(STORE[10:], context_id=1)],
        [command_pdv(STORE[:10], is_last=False)],
        [command_pdv(b"")],
        [command_pdv(wire.number(0x0100, 1))],
        [command_pdv(wire.number(0x0800, 0x0101))],
        [command_pdv(b"", is_last=False)] * 70_000,
        [command_pdv(bytes(10_000), is_last=False)] * 7,
    ],
    ids=[
        "context that was not accepted",
        "data without a command",
        "data inside a command",
        "command in two contexts",
        "release inside a command",
        "empty command",
        "no data set type",
        "no command field",
        "endless command of empty fragments",
        "huge command",
    ],
)
def test_a_command_out_of_order_ends_the_association(fragments: list[Pdv]) -> None:
    with pytest.raises(AssociationAborted):
        receive(Fragments(fragments))


@pytest.mark.parametrize(
    "fragments",
    [
        [command_pdv(ECHO)],
        [data_pdv(b"aa", context_id=1)],
        [data_pdv(b"aa")],
        [data_pdv(b"a" * 1000)] * 11,
        [data_pdv(b"")] * 2000,
    ],
    ids=["command", "other context", "release", "larger than allowed", "endless empty fragments"],
)
def test_a_data_set_that_does_not_end_as_it_should_ends_the_association(fragments: list[Pdv]) -> None:
    message = receive(Fragments([command_pdv(STORE), *fragments]))
    with pytest.raises(AssociationAborted):
        message.dataset.drain()
