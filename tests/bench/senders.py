"""Processes that send as a modality does, each over one association, and cheaply."""

from __future__ import annotations

import multiprocessing
from dataclasses import dataclass
from multiprocessing.connection import Connection
from time import monotonic, process_time
from types import TracebackType
from typing import Self

from pydicom.uid import ExplicitVRLittleEndian

from pacs.dimse.command import CommandField, Element
from pacs.dimse.requestor import Peer, RequestedAssociation
from pacs.dimse.statuses import StatusCode
from tests.bench.corpus import Corpus, Instance, Kind

TIMEOUT_S = 60.0
_PATIENCE_S = 600.0
_READY, _GO = "ready", "go"


@dataclass(frozen=True, slots=True)
class Order:
    """What a sender sends, and where to: one study over one association."""

    peer: Peer
    kind: Kind
    study_number: int
    instances: int


@dataclass(frozen=True, slots=True)
class Sent:
    """How an order went, without making the bytes, and without opening and releasing the association."""

    begin_s: float  # of the monotonic clock, which all processes share
    end_s: float
    cpu_s: float
    size_bytes: int


class OpenSender:
    """An association over which instances of one kind go, one after the other; leaving the block ends it."""

    def __init__(self, peer: Peer, kind: Kind) -> None:
        offer = (kind.sop_class_uid, str(ExplicitVRLittleEndian))
        self._association = RequestedAssociation(peer, "BENCH", [offer], TIMEOUT_S)
        context = self._association.find_context(*offer)
        if context is None:
            raise RuntimeError(f"{kind.name} is not accepted")
        self._context = context

    def send(self, instance: Instance) -> None:
        """Send an instance and wait for Success."""
        elements: list[tuple[Element, int | str]] = [
            (Element.PRIORITY, 0),
            (Element.AFFECTED_SOP_INSTANCE_UID, instance.sop_instance_uid),
        ]
        response = self._association.perform(
            self._context, CommandField.C_STORE_RQ, elements, instance.pieces
        )
        status = response.command.required_number(Element.STATUS)
        if status != StatusCode.SUCCESS:
            raise RuntimeError(f"C-STORE was answered with {status:04X}")

    def __enter__(self) -> Self:
        self._association.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._association.__exit__(kind, error, trace)


class Sender:
    """A process that waits for orders. It is started before any server, and costs nothing while it waits."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")  # our own process has threads, which fork forgets
        self._link, theirs = context.Pipe()
        self._process = context.Process(target=_obey, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def prepare(self, order: Order) -> None:
        """Have the instances made and the association opened, and the sender wait; see `wait_until_ready`."""
        self._link.send(order)

    def wait_until_ready(self) -> None:
        """Return when the sender is about to send."""
        answer = self._answer()
        assert answer == _READY, answer

    def go(self) -> None:
        """Have it send; `result` tells how it went."""
        self._link.send(_GO)

    def result(self) -> Sent:
        """Wait for the end of an order."""
        answer = self._answer()
        assert isinstance(answer, Sent), answer
        return answer

    def _answer(self) -> object:
        if not self._link.poll(_PATIENCE_S):
            raise TimeoutError("a sender does not come to an end")
        answer = self._link.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._link.close()  # which is how it learns that nothing more will come
        self._process.join(TIMEOUT_S)


def _obey(link: Connection) -> None:
    corpus = Corpus()
    while True:
        try:
            order = link.recv()
        except EOFError:
            return
        try:
            link.send(_carry_out(order, corpus, link))
        except Exception as error:
            link.send(RuntimeError(f"sending to {order.peer.ae_title}: {error}"))


def _carry_out(order: Order, corpus: Corpus, link: Connection) -> Sent:
    instances = list(corpus.study(order.kind, order.study_number, order.instances))
    with OpenSender(order.peer, order.kind) as sender:
        link.send(_READY)
        link.recv()
        begin_s, cpu_s = monotonic(), process_time()
        for instance in instances:
            sender.send(instance)
        end_s, cpu_s = monotonic(), process_time() - cpu_s
    return Sent(begin_s, end_s, cpu_s, sum(instance.size_bytes for instance in instances))
