"""What is said to a peer: that a study can be had here, or what a modality said, as it said it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID, uuid5

from pacs.archive import Archive
from pacs.dicom.availability import (
    INSTANCE_AVAILABILITY_NOTIFICATION,
    SeriesReference,
    encode_availability,
)
from pacs.dicom.performed_procedure_step import MODALITY_PERFORMED_PROCEDURE_STEP
from pacs.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, TRANSFER_SYNTAXES
from pacs.dicom.written_dataset import write_dataset
from pacs.dimse.command import CommandField
from pacs.dimse.notices import CalledPeer, Outcome, PeerAnswer, calling
from pacs.dimse.requestor import Peer
from pacs.errors import ArchiveError
from pacs.index.notices import Notice, NoticeKind
from pacs.index.performed_steps import StepFilter
from pacs.performed_steps import Said, read_message

LEASE: Final = timedelta(seconds=12)
_TIMEOUT_S: Final = 30.0
_MOST_REFERENCES: Final = 5000  # in one message: some 1.5 MB


class PeerSaidNo(ArchiveError):
    """The peer has answered with a failure, and would again."""


class PeerSaidLater(ArchiveError):
    """The peer has answered that it cannot take it now."""


class NothingHere(ArchiveError):
    """The index has nothing of a study: it was deleted, or the index is being made anew."""


def tell(archive: Archive, peer: Peer, told: Notice) -> bool:
    """Tell a peer something, and see that it has taken it; False: there is something newer to tell.

    Raises
    ------
    PeerSaidNo, PeerSaidLater, NothingHere
    pacs.dimse.requestor.PeerUnreachable, pacs.dimse.requestor.PeerRejected
    pacs.errors.UnreadableInstance, pacs.errors.IndexUnavailable, storage.errors.StoreError
    """
    if told.kind is NoticeKind.AVAILABLE:
        return _tell_of_study(archive, peer, told)
    _tell_of_step(archive, peer, told)
    return True


def _tell_of_study(archive: Archive, peer: Peer, told: Notice) -> bool:
    """Tell of all instances of a study, of a long one in several messages. What was deleted is not told."""
    references = archive.index.notice_work.list_references(told, _MOST_REFERENCES)
    if not references:
        raise NothingHere("nothing of the study is here")
    steps = archive.index.performed_steps.list_steps(StepFilter(study_instance_uid=told.subject_uid), 2)
    step_uid = steps[0].sop_instance_uid if len(steps) == 1 else None  # one at most (PS3.3 C.4.23)
    with calling(peer, archive.settings.ae_title, INSTANCE_AVAILABILITY_NOTIFICATION, _TIMEOUT_S) as called:
        while references:
            _tell_of_part(archive, called, told, references, step_uid)
            up_to = archive.index.notice_work.go_on(told, references[-1], datetime.now(UTC) + LEASE)
            if up_to is None:
                return False
            told = up_to
            references = archive.index.notice_work.list_references(told, _MOST_REFERENCES)
    return True


def _tell_of_part(
    archive: Archive,
    called: CalledPeer,
    told: Notice,
    references: list[SeriesReference],
    step_uid: str | None,
) -> None:
    uid = f"2.25.{uuid5(UUID(told.token), told.told_up_to).int}"
    ours, study_uid = archive.settings.ae_title, told.subject_uid

    def encode(syntax_uid: str) -> bytes:
        return encode_availability(TRANSFER_SYNTAXES[syntax_uid], ours, study_uid, references, step_uid)

    answer = called.create(uid, EXPLICIT_VR_LITTLE_ENDIAN, encode)
    _require_taken(answer, CommandField.N_CREATE_RQ, told)


def _tell_of_step(archive: Archive, peer: Peer, told: Notice) -> None:
    """Pass on what a modality said: byte for byte if the peer takes the transfer syntax."""
    said = read_message(archive, told.object_key or "", None)
    encode = partial(_encode_message, archive, said)
    with calling(peer, archive.settings.ae_title, MODALITY_PERFORMED_PROCEDURE_STEP, _TIMEOUT_S) as called:
        is_first = told.number == 1
        send = called.create if is_first else called.set
        answer = send(said.sop_instance_uid, said.transfer_syntax_uid, encode)
    _require_taken(answer, CommandField.N_CREATE_RQ if is_first else CommandField.N_SET_RQ, told)


def _encode_message(archive: Archive, said: Said, syntax_uid: str) -> bytes:
    if syntax_uid == said.transfer_syntax_uid:
        return said.data
    return write_dataset(said.read(archive), TRANSFER_SYNTAXES[syntax_uid])


def _require_taken(answer: PeerAnswer, command_field: CommandField, told: Notice) -> None:
    outcome = answer.outcome(command_field, is_again=told.claims > 1)
    if outcome is not Outcome.TAKEN:
        failure = PeerSaidLater if outcome is Outcome.LATER else PeerSaidNo
        raise failure(f"the peer answered {answer.status:04X}")
