"""A modality that says what it does, as pynetdicom sends it; for tests."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian, generate_uid
from pynetdicom import AE, evt
from pynetdicom.dsutils import encode
from pynetdicom.sop_class import ModalityPerformedProcedureStep, ModalityPerformedProcedureStepRetrieve

from pacs.archive import Archive
from pacs.performed_steps import Said, create_step, set_step

HOST = "127.0.0.1"


def item(**attributes: Any) -> Dataset:
    dataset = Dataset()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def scheduled(**attributes: Any) -> Dataset:
    """An item of the Scheduled Step Attributes Sequence."""
    return item(
        **{
            "StudyInstanceUID": generate_uid(),
            "ReferencedStudySequence": [],
            "AccessionNumber": "ACC1",
            "RequestedProcedureID": "RP1",
            "RequestedProcedureDescription": "CT ngực",
            "ScheduledProcedureStepID": "SPS1",
            "ScheduledProcedureStepDescription": "",
            "ScheduledProtocolCodeSequence": [],
            **attributes,
        }
    )


def begun(*steps: Dataset, **attributes: Any) -> Dataset:
    """The data set of an N-CREATE, with all of Table F.7.2-1."""
    return item(
        **{
            "SpecificCharacterSet": "ISO_IR 192",
            "ScheduledStepAttributesSequence": list(steps) or [scheduled()],
            "PatientName": "NGUYỄN^VĂN ĐỨC",
            "PatientID": "BN0001",
            "PatientBirthDate": "19700102",
            "PatientSex": "M",
            "ReferencedPatientSequence": [],
            "PerformedProcedureStepID": "PPS1",
            "PerformedStationAETitle": "CT",
            "PerformedStationName": "CT1",
            "PerformedLocation": "",
            "PerformedProcedureStepStartDate": "20261120",
            "PerformedProcedureStepStartTime": "081500",
            "PerformedProcedureStepStatus": "IN PROGRESS",
            "PerformedProcedureStepDescription": "",
            "PerformedProcedureTypeDescription": "",
            "ProcedureCodeSequence": [],
            "PerformedProcedureStepEndDate": "",
            "PerformedProcedureStepEndTime": "",
            "Modality": "CT",
            "StudyID": "",
            "PerformedProtocolCodeSequence": [],
            "PerformedSeriesSequence": [],
            **attributes,
        }
    )


def ended(status: str = "COMPLETED", **attributes: Any) -> Dataset:
    """The data set of a last N-SET."""
    series = item(
        PerformingPhysicianName="",
        ProtocolName="Lồng ngực",
        OperatorsName="Trần^Thị Bình",
        SeriesInstanceUID="1.2.3.4",
        SeriesDescription="",
        RetrieveAETitle="",
        ReferencedImageSequence=[
            item(ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2", ReferencedSOPInstanceUID="1.2.3.4.5")
        ],
        ReferencedNonImageCompositeSOPInstanceSequence=[],
    )
    return item(
        **{
            "SpecificCharacterSet": "ISO_IR 192",
            "PerformedProcedureStepStatus": status,
            "PerformedProcedureStepEndDate": "20261120",
            "PerformedProcedureStepEndTime": "083000",
            "PerformedSeriesSequence": [series],
            **attributes,
        }
    )


def tell_work(archive: Archive) -> list[str]:
    """Take in what a modality says of a step that it begins and goes on with; give the keys of that."""
    uid = generate_uid()
    for say, dataset in ((create_step, begun()), (set_step, item(PerformedProcedureStepDescription="x"))):
        say(archive, Said(uid, ImplicitVRLittleEndian, encode(dataset, True, True) or b"", "CT"))
    return [message.key for message in archive.index.performed_steps.messages(uid)]


@dataclass(frozen=True, slots=True)
class Modality:
    """An association of a modality; ``heard``: the command sets of the answers."""

    association: Any
    heard: list[Dataset] = field(default_factory=list)

    def _begin(self) -> None:
        """Wait until pynetdicom's reactor runs again; it would take our answer if it woke up too late."""
        while self.association._is_paused:
            time.sleep(0.001)

    def create(self, dataset: Dataset, uid: str | None) -> Dataset:
        self._begin()
        status, _ = self.association.send_n_create(dataset, ModalityPerformedProcedureStep, uid)
        return status  # type: ignore[no-any-return]

    def set(self, dataset: Dataset, uid: str) -> Dataset:
        self._begin()
        status, _ = self.association.send_n_set(dataset, ModalityPerformedProcedureStep, uid)
        return status  # type: ignore[no-any-return]

    def get(self, uid: str, tags: list[int]) -> tuple[Dataset, Dataset]:
        self._begin()
        return self.association.send_n_get(  # type: ignore[no-any-return]
            tags, ModalityPerformedProcedureStep, uid, meta_uid=ModalityPerformedProcedureStepRetrieve
        )


@contextlib.contextmanager
def modality(
    port: int, *, syntaxes: str | list[str] = "1.2.840.10008.1.2.1", title: str = "CT"
) -> Iterator[Modality]:
    entity = AE(title)
    for sop_class in (ModalityPerformedProcedureStep, ModalityPerformedProcedureStepRetrieve):
        entity.add_requested_context(sop_class, syntaxes)
    heard: list[Dataset] = []
    handlers: Any = [(evt.EVT_DIMSE_RECV, lambda event: heard.append(event.message.command_set))]
    association = entity.associate(HOST, port, ae_title="FILMLESS", evt_handlers=handlers)
    assert association.is_established
    try:
        yield Modality(association, heard)
    finally:
        if association.is_established:
            association.release()
