"""The directory of a DICOM File-set, DICOMDIR, written (PS3.10 8, PS3.3 Annex F).

Records are collected as bytes while the files go out, and linked at the end: they are some hundred bytes for
a file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import UID

from pacs.dicom.dicomdir import MEDIA_STORAGE_DIRECTORY_STORAGE
from pacs.dicom.explicit_vr import encode_head
from pacs.dicom.part10 import encode_file_meta
from pacs.dicom.reencoding import encode_explicit
from pacs.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN

# What a record holds of its data set (PS3.3 F.5), mandatory keys and those that people choose by.
_PATIENT_KEYS: Final = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
_STUDY_KEYS: Final = ("StudyDate", "StudyTime", "StudyDescription", "StudyInstanceUID", "StudyID")
_SERIES_KEYS: Final = ("Modality", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription")
_CONTENT_KEYS: Final = ("ContentDate", "ContentTime")
_LABEL_KEYS: Final = ("ContentLabel", "ContentDescription", "ContentCreatorName")
_INSTANCE_KEYS: Final = {
    "IMAGE": ("ImageType",),
    "RT DOSE": ("DoseSummationType",),
    "RT STRUCTURE SET": ("StructureSetLabel", "StructureSetDate", "StructureSetTime"),
    "RT PLAN": ("RTPlanLabel", "RTPlanDate", "RTPlanTime"),
    "RT TREAT RECORD": ("TreatmentDate", "TreatmentTime"),
    "PRESENTATION": ("PresentationCreationDate", "PresentationCreationTime", *_LABEL_KEYS),
    "WAVEFORM": _CONTENT_KEYS,
    "SR DOCUMENT": (*_CONTENT_KEYS, "CompletionFlag", "VerificationFlag", "ConceptNameCodeSequence"),
    "KEY OBJECT DOC": (*_CONTENT_KEYS, "ConceptNameCodeSequence"),
    "SPECTROSCOPY": ("ImageType", *_CONTENT_KEYS),
    "RAW DATA": _CONTENT_KEYS,
    "REGISTRATION": (*_CONTENT_KEYS, *_LABEL_KEYS),
    "FIDUCIAL": (*_CONTENT_KEYS, *_LABEL_KEYS),
    "ENCAP DOC": (*_CONTENT_KEYS, "DocumentTitle", "MIMETypeOfEncapsulatedDocument"),
    "VALUE MAP": (*_CONTENT_KEYS, *_LABEL_KEYS),
    "MEASUREMENT": _CONTENT_KEYS,
    "SURFACE": (*_CONTENT_KEYS, *_LABEL_KEYS),
}
# By what the keyword of the SOP Class says; the first that it contains counts (PS3.3 Table F.4-1).
_RECORD_TYPES: Final = (
    ("RTDose", "RT DOSE"),
    ("RTStructureSet", "RT STRUCTURE SET"),
    ("RTPlan", "RT PLAN"),
    ("RTIonPlan", "RT PLAN"),
    ("TreatmentRecord", "RT TREAT RECORD"),
    ("TreatmentSummaryRecord", "RT TREAT RECORD"),
    ("PresentationState", "PRESENTATION"),
    ("Waveform", "WAVEFORM"),
    ("KeyObjectSelection", "KEY OBJECT DOC"),
    ("SRStorage", "SR DOCUMENT"),
    ("ProcedureLog", "SR DOCUMENT"),
    ("Report", "SR DOCUMENT"),
    ("Spectroscopy", "SPECTROSCOPY"),
    ("RawData", "RAW DATA"),
    ("SpatialRegistration", "REGISTRATION"),
    ("SpatialFiducials", "FIDUCIAL"),
    ("Encapsulated", "ENCAP DOC"),
    ("RealWorldValueMapping", "VALUE MAP"),
    ("Measurements", "MEASUREMENT"),
    ("SurfaceSegmentation", "SURFACE"),
)

_ITEM_HEAD_SIZE_BYTES: Final = 8
# Within a record and its item's head: the values of (0004,1400) and (0004,1420), which link it.
_NEXT_OFFSET: Final = _ITEM_HEAD_SIZE_BYTES + 8
_LOWER_OFFSET: Final = _NEXT_OFFSET + 4 + 10 + 8


@dataclass(slots=True)
class _Record:
    encoded: bytes
    children: list[_Record] = field(default_factory=list)


class FileSetDirectory:
    """The directory records of a File-set, in the order in which its files are added."""

    def __init__(self) -> None:
        self._studies: dict[str, _Record] = {}
        self._series: dict[tuple[str, str], _Record] = {}
        self._patients: list[_Record] = []

    def add(
        self,
        attributes: Dataset,
        uids: tuple[str, str, str],
        sop_class_uid: str,
        transfer_syntax_uid: str,
        file_id: Sequence[str],
    ) -> None:
        """Add a file.

        Parameters
        ----------
        attributes
            The data set of the file, as it was read.
        uids
            Study, Series and SOP Instance UID.
        file_id
            The components of its name within the File-set: eight of A-Z, 0-9 and _ each (PS3.10 8.2).
        """
        study_uid, series_uid, sop_instance_uid = uids
        study = self._studies.get(study_uid)
        if study is None:
            study = _Record(_encode(attributes, "STUDY", (*_STUDY_KEYS, "AccessionNumber")))
            self._studies[study_uid] = study
            self._patients.append(_Record(_encode(attributes, "PATIENT", _PATIENT_KEYS), [study]))
        series = self._series.get((study_uid, series_uid))
        if series is None:
            series = self._series[study_uid, series_uid] = _Record(
                _encode(attributes, "SERIES", _SERIES_KEYS)
            )
            study.children.append(series)
        kind = record_type(sop_class_uid)
        record = _select(attributes, (*_INSTANCE_KEYS[kind], "InstanceNumber"))
        record.ReferencedFileID = list(file_id)
        record.ReferencedSOPClassUIDInFile = sop_class_uid
        record.ReferencedSOPInstanceUIDInFile = sop_instance_uid
        record.ReferencedTransferSyntaxUIDInFile = transfer_syntax_uid
        series.children.append(_Record(_as_record(record, kind)))

    def encode(self, sop_instance_uid: str) -> bytes:
        """Encode the file DICOMDIR.

        References
        ----------
        PS3.10 8.6, PS3.3 F.3.2.2
        """
        meta = encode_file_meta(MEDIA_STORAGE_DIRECTORY_STORAGE, sop_instance_uid, EXPLICIT_VR_LITTLE_ENDIAN)
        length = sum(len(record.encoded) + _ITEM_HEAD_SIZE_BYTES for record in _walk(self._patients))
        head_size_bytes = 8 + 12 + 12 + 10 + 12
        start = len(meta) + head_size_bytes
        places: dict[int, int] = {}
        for record in _walk(self._patients):
            places[id(record)] = start
            start += len(record.encoded) + _ITEM_HEAD_SIZE_BYTES
        first, last = (places[id(self._patients[end])] for end in (0, -1)) if self._patients else (0, 0)
        head = b"".join(
            (
                encode_head(0x00041130, "CS", 0),
                encode_head(0x00041200, "UL", 4) + struct.pack("<I", first),
                encode_head(0x00041202, "UL", 4) + struct.pack("<I", last),
                encode_head(0x00041212, "US", 2) + struct.pack("<H", 0),
                encode_head(0x00041220, "SQ", length),
            )
        )
        return meta + head + b"".join(_link(self._patients, places))


def record_type(sop_class_uid: str) -> str:
    """Return the type of the directory record of a SOP class; IMAGE where none is better."""
    keyword = UID(sop_class_uid).keyword
    return next((kind for part, kind in _RECORD_TYPES if part in keyword), "IMAGE")


def _encode(attributes: Dataset, kind: str, keywords: Sequence[str]) -> bytes:
    return _as_record(_select(attributes, keywords), kind)


def _select(attributes: Dataset, keywords: Sequence[str]) -> Dataset:
    """Copy elements as they are encoded, with the character set that they are in; absent ones are empty."""
    record = Dataset()
    for keyword in ("SpecificCharacterSet", *keywords):
        tag = Tag(keyword)
        if tag in attributes:
            record[tag] = attributes.get_item(tag)
        elif keyword != "SpecificCharacterSet":
            setattr(record, keyword, None)
    return record


def _as_record(record: Dataset, kind: str) -> bytes:
    record.OffsetOfTheNextDirectoryRecord = 0
    record.RecordInUseFlag = 0xFFFF
    record.OffsetOfReferencedLowerLevelDirectoryEntity = 0
    record.DirectoryRecordType = kind
    return encode_explicit(record)


def _walk(records: Sequence[_Record]) -> Iterator[_Record]:
    for record in records:
        yield record
        yield from _walk(record.children)


def _link(records: Sequence[_Record], places: dict[int, int]) -> Iterator[bytes]:
    """Encode records as items, each with the places of the next one of its level and of its first child."""
    for number, record in enumerate(records):
        item = bytearray(struct.pack("<HHI", 0xFFFE, 0xE000, len(record.encoded)) + record.encoded)
        behind = places[id(records[number + 1])] if number + 1 < len(records) else 0
        lower = places[id(record.children[0])] if record.children else 0
        struct.pack_into("<I", item, _NEXT_OFFSET, behind)
        struct.pack_into("<I", item, _LOWER_OFFSET, lower)
        yield bytes(item)
        yield from _link(record.children, places)
