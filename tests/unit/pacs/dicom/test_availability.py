"""Instance Availability Notifications, read back by pydicom (PS3.3 C.4.23)."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset

from pacs.dicom.availability import SeriesReference, encode_availability
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES

_CT = "1.2.840.10008.5.1.4.1.1.2"
_REFERENCES = [
    SeriesReference("1.2.1", "1.2.1.1", _CT),
    SeriesReference("1.2.1", "1.2.1.2", _CT),
    SeriesReference("1.2.2", "1.2.2.1", "1.2.840.10008.5.1.4.1.1.88.22"),
]


def read(encoded: bytes, syntax_uid: str) -> Dataset:
    syntax = TRANSFER_SYNTAXES[syntax_uid]
    return read_dataset(DicomBytesIO(encoded), syntax.implicit_vr, not syntax.big_endian)


@pytest.mark.parametrize("syntax_uid", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"])
def test_instances_are_named_series_by_series_and_said_to_be_online(syntax_uid: str) -> None:
    encoded = encode_availability(
        TRANSFER_SYNTAXES[syntax_uid], "FILMLESS", "1.2.3", _REFERENCES, performed_step_uid="1.2.9"
    )
    told = read(encoded, syntax_uid)
    assert [int(element.tag) for element in told] == [0x00081111, 0x00081115, 0x0020000D]
    assert told.StudyInstanceUID == "1.2.3"
    (step,) = told.ReferencedPerformedProcedureStepSequence
    assert step.ReferencedSOPClassUID == "1.2.840.10008.3.1.2.3.3"
    assert step.ReferencedSOPInstanceUID == "1.2.9"
    assert list(step.PerformedWorkitemCodeSequence) == []
    first, second = told.ReferencedSeriesSequence
    assert (first.SeriesInstanceUID, second.SeriesInstanceUID) == ("1.2.1", "1.2.2")
    found = [
        (
            one.RetrieveAETitle,
            one.InstanceAvailability,
            one.ReferencedSOPClassUID,
            one.ReferencedSOPInstanceUID,
        )
        for series in (first, second)
        for one in series.ReferencedSOPSequence
    ]
    assert found == [("FILMLESS", "ONLINE", one.sop_class_uid, one.sop_instance_uid) for one in _REFERENCES]


def test_a_step_that_is_not_known_is_said_to_be_none() -> None:
    uid = "1.2.840.10008.1.2.1"
    told = read(encode_availability(TRANSFER_SYNTAXES[uid], "FILMLESS", "1.2.3", _REFERENCES[:1]), uid)
    assert list(told.ReferencedPerformedProcedureStepSequence) == []
