"""How fast servers answer C-FINDs over one association: many answers, and one ID."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from time import perf_counter
from typing import Final

from pydicom.dataset import Dataset
from pynetdicom.dsutils import encode

from pacs.dicom.transfer_syntaxes import IMPLICIT_VR_LITTLE_ENDIAN
from pacs.dimse.command import DATA_SET, CommandField, Element, encode_command_set
from pacs.dimse.information_models import STUDY_ROOT
from pacs.dimse.limits import Limits
from pacs.dimse.message import receive_message
from pacs.dimse.pdu import NegotiatedContext, ProposedContext, encode_associate_request, encode_data
from pacs.dimse.requestor import Peer
from pacs.dimse.statuses import StatusCode
from pacs.dimse.upper_layer import UpperLayer
from pacs.dimse.user_information import UserInformation
from tests.bench.measure import cpu_seconds
from tests.bench.recorded_searches import fill_by_c_store, month_of, patient_id_of
from tests.bench.senders import TIMEOUT_S
from tests.bench.servers import Contender, RunningServer

STUDIES: Final = 10_000
_DIFFERENT: Final = 40  # keys of a kind, asked for in turn
_CONTEXT_ID: Final = 1
_LIMITS: Final = Limits(network_timeout_s=TIMEOUT_S)
_RETURNED: Final = (
    "PatientName", "PatientID", "StudyDate", "StudyTime", "AccessionNumber", "StudyInstanceUID"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FindRate:
    """How many C-FINDs a server answered in a while, with how many answers in all."""

    finds: int
    answers: int
    taken_s: float
    cpu_s: float

    @property
    def per_s(self) -> float:
        """C-FINDs in a second."""
        return self.finds / self.taken_s


FindResults = Mapping[tuple[str, str], Sequence[FindRate]]


def measure_finds(
    contenders: Sequence[Contender],
    studies: int,
    repetitions: int,
    seconds: float,
    tell: Callable[[str], None],
) -> FindResults:
    """Ask every server for the same, several times in turn; all have the same studies."""
    results: dict[tuple[str, str], list[FindRate]] = {}
    with ExitStack() as running:
        servers = [running.enter_context(contender.running()) for contender in contenders]
        for server in servers:
            tell(f"filling {server.name} with {studies:,} studies")
            fill_by_c_store(server, studies)
        for repetition in range(repetitions):
            tell(f"C-FIND, repetition {repetition + 1} of {repetitions}")
            for name, keys in _FINDS.items():
                wanted = [keys(number * 211 % studies) for number in range(1, _DIFFERENT + 1)]
                for server in servers if repetition % 2 else reversed(servers):
                    results.setdefault((name, server.name), []).append(_measure(server, wanted, seconds))
    return results


def _measure(server: RunningServer, wanted: Sequence[Mapping[str, str]], seconds: float) -> FindRate:
    identifiers = [_identifier(keys) for keys in wanted]
    searcher = Searcher(server.peer)
    searcher.find(identifiers[-1])
    cpu_before = sum(cpu_seconds(server.parts).values())
    begin_s, answers = perf_counter(), 0
    for finds in count(1):
        answers += searcher.find(identifiers[finds % len(identifiers)])
        taken_s = perf_counter() - begin_s
        if taken_s > seconds:
            break
    cpu_s = sum(cpu_seconds(server.parts).values()) - cpu_before
    searcher.end()
    return FindRate(finds, answers, taken_s, cpu_s)


def _identifier(keys: Mapping[str, str]) -> bytes:
    dataset = Dataset()
    dataset.QueryRetrieveLevel = "STUDY"
    for keyword in _RETURNED:
        setattr(dataset, keyword, keys.get(keyword, ""))
    encoded = encode(dataset, is_implicit_vr=True, is_little_endian=True)
    if encoded is None:
        raise RuntimeError("pydicom cannot encode an identifier")
    return encoded


class Searcher:
    """An association on which is searched, at little cost: answers are counted and not read."""

    def __init__(self, peer: Peer, sop_class: str = STUDY_ROOT.find_sop_class) -> None:
        connection = socket.create_connection((peer.host, peer.port), TIMEOUT_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._upper_layer = UpperLayer(connection, _LIMITS)
        self._sop_class = sop_class
        proposed = ProposedContext(_CONTEXT_ID, self._sop_class, (IMPLICIT_VR_LITTLE_ENDIAN,))
        user = UserInformation(maximum_length=_LIMITS.max_pdu_length)
        accept = self._upper_layer.request_association(
            encode_associate_request(peer.ae_title, "BENCH", [proposed], user)
        )
        self._maximum_length = accept.maximum_length or _LIMITS.max_pdu_length
        self._contexts = {
            _CONTEXT_ID: NegotiatedContext(_CONTEXT_ID, self._sop_class, IMPLICIT_VR_LITTLE_ENDIAN)
        }

    def find(self, identifier: bytes) -> int:
        """Send a C-FIND-RQ; return how many answers came before success."""
        command = encode_command_set(
            [
                (Element.AFFECTED_SOP_CLASS_UID, self._sop_class),
                (Element.COMMAND_FIELD, CommandField.C_FIND_RQ),
                (Element.MESSAGE_ID, 1),
                (Element.PRIORITY, 0),
                (Element.COMMAND_DATA_SET_TYPE, DATA_SET),
            ]
        )
        parts = ((command, True), (identifier, False))
        pdus = [
            pdu
            for data, is_command in parts
            for pdu in encode_data(_CONTEXT_ID, [data], self._maximum_length, is_command=is_command)
        ]
        self._upper_layer.send(b"".join(pdus))
        answers = 0
        while (status := self._receive_status()) in (StatusCode.PENDING, StatusCode.PENDING_WITH_WARNING):
            answers += 1
        if status != StatusCode.SUCCESS:
            raise RuntimeError(f"C-FIND was answered with {status:04X}")
        return answers

    def _receive_status(self) -> int:
        message = receive_message(self._upper_layer, self._contexts, 1 << 20, 1 << 16)
        if message is None:
            raise RuntimeError("a release instead of an answer")
        message.dataset.drain()
        return message.command.required_number(Element.STATUS)

    def end(self) -> None:
        """Release the association."""
        self._upper_layer.release()
        self._upper_layer.close()


_FINDS: dict[str, Callable[[int], Mapping[str, str]]] = {
    "a twelfth of the studies": lambda n: {"StudyDate": month_of(n)},
    "one patient ID": lambda n: {"PatientID": patient_id_of(n)},
    "everything": lambda _: {},
}
