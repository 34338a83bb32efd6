"""Another archive that is asked by C-FIND, and gives by C-GET or C-MOVE (PS3.4 C.4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import Final

from pacs.dicom.identifier import Identifier
from pacs.dicom.order_matching import StudyFacts
from pacs.dicom.sop_classes import is_storage_sop_class
from pacs.dicom.transfer_syntaxes import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TRANSFER_SYNTAXES,
)
from pacs.dicom.uids import parse_uid
from pacs.dimse.command import CommandField, Element
from pacs.dimse.endings import AssociationEnded
from pacs.dimse.finding import MEDIUM_PRIORITY, NATIVE, encode_identifier, find, find_context
from pacs.dimse.information_models import STUDY_ROOT, QueryLevel
from pacs.dimse.message import Message
from pacs.dimse.pdu import MAX_CONTEXTS
from pacs.dimse.requestor import Answer, Peer, PeerRejected, RequestedAssociation
from pacs.dimse.statuses import SUCCESS, Status, StatusCode, status_of
from pacs.dimse.user_information import Roles
from pacs.errors import InvalidUid
from pacs.ingest import IncomingInstance
from pacs.jobs.fetching.wanted import ENDS, MOST_INSTANCES, Receiver, RemoteInstance, Wanted

_AT_A_TIME: Final = 200  # instances of one request
_SOP_CLASS, _SOP_INSTANCE = 0x00080016, 0x00080018
_ACCESSION, _PATIENT = 0x00080050, 0x00100020
_STUDY, _SERIES = 0x0020000D, 0x0020000E
_NAME, _ISSUER, _BIRTH_DATE, _SEX, _STUDY_DATE = 0x00100010, 0x00100021, 0x00100030, 0x00100040, 0x00080020
_TOLD: Final = dict.fromkeys((_NAME, _ISSUER, _BIRTH_DATE, _SEX, _STUDY_DATE), "")  # of a study, if we ask
_SCP_ONLY: Final = Roles(scu=False, scp=True)
# Where the peer does not say what class an instance is of: those that most are of.
_USUAL: Final = (
    "1.2.840.10008.5.1.4.1.1.2",  # CT
    "1.2.840.10008.5.1.4.1.1.4",  # MR
    "1.2.840.10008.5.1.4.1.1.1",  # CR
    "1.2.840.10008.5.1.4.1.1.1.1",  # DX
    "1.2.840.10008.5.1.4.1.1.1.2",  # mammography
    "1.2.840.10008.5.1.4.1.1.6.1",  # ultrasound
    "1.2.840.10008.5.1.4.1.1.3.1",  # ultrasound, several frames
    "1.2.840.10008.5.1.4.1.1.7",  # secondary capture
    "1.2.840.10008.5.1.4.1.1.88.22",  # structured report
    "1.2.840.10008.5.1.4.1.1.104.1",  # PDF
)
_LIKELY: Final = (  # to be stored in; the others come after these as far as there is room
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.5",
    EXPLICIT_VR_BIG_ENDIAN,
)
_SYNTAXES: Final = tuple(dict.fromkeys((*_LIKELY, *TRANSFER_SYNTAXES)))


class DimseSource:
    """A peer. Asks for an association for each piece of work."""

    def __init__(self, peer: Peer, our_ae_title: str, timeout_s: float, *, by_move: bool) -> None:
        self._associate = partial(RequestedAssociation, peer, our_ae_title, timeout_s=timeout_s)
        self._our_ae_title = our_ae_title
        self._by_move = by_move

    def find_studies(self, wanted: Wanted) -> list[StudyFacts]:
        """List the studies that are wanted. Raises PeerUnreachable, PeerRejected."""
        keys = {
            **_TOLD,
            _STUDY: wanted.study_instance_uid or "",
            _PATIENT: wanted.patient_id or "",
            _ACCESSION: wanted.accession_number or "",
        }
        with self._find_association() as association:
            found = map(_facts, find(association, QueryLevel.STUDY, keys))
            return list({study.study_instance_uid: study for study in found}.values())

    def list_instances(self, study_instance_uid: str) -> list[RemoteInstance]:
        """List the instances of a study, series by series. Raises PeerUnreachable, PeerRejected."""
        found: list[RemoteInstance] = []
        with self._find_association() as association:
            of_study = {_STUDY: study_instance_uid}
            series_uids = self._uids(association, QueryLevel.SERIES, {**of_study, _SERIES: ""}, _SERIES)
            for series in dict.fromkeys(list(series_uids)):
                keys = {**of_study, _SERIES: series, _SOP_INSTANCE: "", _SOP_CLASS: ""}
                for answer in find(association, QueryLevel.IMAGE, keys):
                    uid = _uid(answer.values.get(_SOP_INSTANCE, ""))
                    sop_class = answer.values.get(_SOP_CLASS) or None
                    found.append(RemoteInstance(study_instance_uid, series, uid, sop_class))
                    if len(found) > MOST_INSTANCES:
                        raise PeerRejected(f"a study of more than {MOST_INSTANCES} instances")
        return found

    def fetch(self, instances: list[RemoteInstance], receiver: Receiver) -> None:
        """Fetch instances of one study. Raises as `fetch_wanted` does."""
        for _, of_series in groupby(instances, lambda one: one.series_instance_uid):
            listed = list(of_series)
            with self._move_association() if self._by_move else self._get_association(listed) as association:
                for begin in range(0, len(listed), _AT_A_TIME):
                    if receiver.stop.is_set():
                        return
                    part = listed[begin : begin + _AT_A_TIME]
                    if self._by_move:
                        self._move(association, part, receiver)
                    else:
                        _get(association, part, receiver)

    def _find_association(self) -> RequestedAssociation:
        return self._associate(offers=[(STUDY_ROOT.find_sop_class, uid) for uid in NATIVE])

    def _move_association(self) -> RequestedAssociation:
        return self._associate(offers=[(STUDY_ROOT.move_sop_class, uid) for uid in NATIVE])

    def _get_association(self, instances: Sequence[RemoteInstance]) -> RequestedAssociation:
        """Offer each class in each transfer syntax, in contexts of their own, as far as there is room."""
        known = dict.fromkeys(one.sop_class_uid for one in instances if one.sop_class_uid)
        classes = [uid for uid in known if is_storage_sop_class(uid, accept_unknown=True)] or list(_USUAL)
        offers = [(STUDY_ROOT.get_sop_class, uid) for uid in NATIVE]
        offers += [(sop_class, syntax) for syntax in _SYNTAXES for sop_class in classes]
        offers = offers[:MAX_CONTEXTS]
        return self._associate(offers=offers, roles=dict.fromkeys(classes, _SCP_ONLY))

    def _uids(
        self, association: RequestedAssociation, level: QueryLevel, keys: dict[int, str], tag: int
    ) -> Iterator[str]:
        for answer in find(association, level, keys):
            yield _uid(answer.values.get(tag, ""))

    def _move(
        self, association: RequestedAssociation, instances: Sequence[RemoteInstance], receiver: Receiver
    ) -> None:
        """Have instances sent to our own listener, which takes them in."""
        context = find_context(association, STUDY_ROOT.move_sop_class)
        elements: list[tuple[Element, int | str]] = [
            (Element.PRIORITY, MEDIUM_PRIORITY),
            (Element.MOVE_DESTINATION, self._our_ae_title),
        ]
        identifier = _identify(instances, context.transfer_syntax_uid)
        before = receiver.progress.fetched
        for answer in association.exchange(context, CommandField.C_MOVE_RQ, elements, identifier):
            completed = answer.command.number(Element.NUMBER_OF_COMPLETED_SUB_OPERATIONS) or 0
            warned = answer.command.number(Element.NUMBER_OF_WARNING_SUB_OPERATIONS) or 0
            receiver.progress.fetched = max(receiver.progress.fetched, before + completed + warned)
            _check(answer, "C-MOVE")


def _get(association: RequestedAssociation, instances: Sequence[RemoteInstance], receiver: Receiver) -> None:
    context = find_context(association, STUDY_ROOT.get_sop_class)
    answers = association.exchange(
        context,
        CommandField.C_GET_RQ,
        [(Element.PRIORITY, MEDIUM_PRIORITY)],
        _identify(instances, context.transfer_syntax_uid),
        partial(_take, receiver, {one.sop_instance_uid for one in instances}),
        2 * receiver.archive.settings.max_object_size_bytes,
    )
    for answer in answers:
        _check(answer, "C-GET")


def _take(receiver: Receiver, wanted: set[str], message: Message) -> Status:
    """Take in what comes of a C-GET, and only what was asked for."""
    uid = message.command.text(Element.AFFECTED_SOP_INSTANCE_UID) or ""
    if message.command_field != CommandField.C_STORE_RQ or uid not in wanted:
        return Status(StatusCode.PROCESSING_FAILURE, "this was not asked for")
    sop_class_uid = message.command.text(Element.AFFECTED_SOP_CLASS_UID) or ""
    incoming = IncomingInstance(message.context.transfer_syntax_uid, sop_class_uid, uid, message.dataset)
    try:
        receiver.take(incoming)
    except (AssociationEnded, *ENDS):
        raise
    except Exception as error:
        receiver.note_failure(uid, error)
        return status_of(error) or Status(StatusCode.PROCESSING_FAILURE, "internal error")
    return SUCCESS


def _check(answer: Answer, what: str) -> None:
    """Stop where the peer refuses; that some instances failed is found out by what is here afterwards."""
    status = answer.status
    if status not in (0x0000, 0xFF00, 0xFF01) and status & 0xF000 != 0xB000 and status != 0xA702:
        raise PeerRejected(f"the peer answers the {what} with {status:04X}")


def _identify(instances: Sequence[RemoteInstance], transfer_syntax_uid: str) -> bytes:
    keys = {
        _STUDY: instances[0].study_instance_uid,
        _SERIES: instances[0].series_instance_uid,
        _SOP_INSTANCE: "\\".join(one.sop_instance_uid for one in instances),
    }
    return encode_identifier(QueryLevel.IMAGE, keys, transfer_syntax_uid)


def _facts(answer: Identifier) -> StudyFacts:
    told = answer.values
    return StudyFacts(
        study_instance_uid=_uid(told.get(_STUDY, "")),
        accession_number=told.get(_ACCESSION, ""),
        patient_id=told.get(_PATIENT, ""),
        issuer_of_patient_id=told.get(_ISSUER, ""),
        patient_name=told.get(_NAME, ""),
        patient_birth_date=told.get(_BIRTH_DATE, ""),
        patient_sex=told.get(_SEX, ""),
        study_date=told.get(_STUDY_DATE, ""),
    )


def _uid(value: str) -> str:
    try:
        return parse_uid(value)
    except InvalidUid as error:
        raise PeerRejected("the peer answers with a UID that is none") from error
