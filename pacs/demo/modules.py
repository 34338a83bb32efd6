"""The modules that every image shares (PS3.3 Annex C): patient, study, series, equipment, pixels."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from pacs.codes.tables import CODING_SCHEME_DESIGNATOR
from pacs.demo.orders import (
    INSTITUTION_ADDRESS,
    INSTITUTION_NAME,
    TIMEZONE_OFFSET,
    CodePlace,
    Order,
    ProcedureCode,
)

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "demo.filmless.invalid")

# Part of every UID. Raise it whenever pixels or attributes change: an archive that holds an older edition
# must not be sent other bytes under the same SOP Instance UIDs.
EDITION = "1"


@dataclass(frozen=True)
class Equipment:
    """A modality, of a maker that does not exist."""

    model: str
    station_name: str
    serial_number: str
    department: str = "Khoa Chẩn đoán hình ảnh"
    manufacturer: str = "Minh Họa Medical"
    software: str = "1.0"


@dataclass(frozen=True)
class Series:
    """A series of a study."""

    number: int
    modality: str
    description: str
    body_part: str
    protocol: str
    equipment: Equipment


def demo_uid(*names: object) -> str:
    """Derive a UID that is the same in every run: ``2.25.`` and the integer of a name-based UUID.

    References
    ----------
    PS3.5 B.2, RFC 9562 5.5
    """
    name = "/".join([EDITION, *map(str, names)])
    return f"2.25.{uuid.uuid5(_NAMESPACE, name).int}"


def new_instance(
    order: Order,
    series: Series,
    number: int,
    sop_class_uid: str,
    transfer_syntax_uid: UID = ExplicitVRLittleEndian,
) -> Dataset:
    """Make a data set with all modules above the image, and its file meta information."""
    instance = Dataset()
    _add_sop_common(instance, order, series, number, sop_class_uid)
    _add_patient(instance, order)
    _add_study(instance, order)
    _add_series(instance, order, series)
    _add_equipment(instance, series.equipment)
    _add_request(instance, order)
    instance.InstanceNumber = number
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class_uid)
    meta.MediaStorageSOPInstanceUID = instance.SOPInstanceUID
    meta.TransferSyntaxUID = transfer_syntax_uid
    instance.file_meta = meta
    return instance


def coded(value: str, scheme: str, meaning: str) -> Dataset:
    """Make an item of a code sequence (PS3.3 Table 8.8-1)."""
    item = Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = scheme
    item.CodeMeaning = meaning
    return item


def add_frame_of_reference(instance: Dataset, order: Order) -> None:
    """Say that all series of the study share one space (PS3.3 C.7.4.1)."""
    instance.FrameOfReferenceUID = demo_uid(order.accession_number, "frame of reference")
    instance.PositionReferenceIndicator = ""
    instance.PatientPosition = "HFS"


def add_axial_plane(instance: Dataset, shape: tuple[int, int], pixel_mm: float, z: float) -> None:
    """Place an axial slice of ``shape`` (rows, columns) about the z axis (PS3.3 C.7.6.2)."""
    rows, columns = shape
    corner = (-(columns - 1) / 2 * pixel_mm, -(rows - 1) / 2 * pixel_mm, z)
    instance.PixelSpacing = [decimal(pixel_mm), decimal(pixel_mm)]
    instance.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    instance.ImagePositionPatient = [decimal(value) for value in corner]
    instance.SliceLocation = decimal(z)


def add_grayscale_pixels(
    instance: Dataset,
    stored: npt.NDArray[np.uint16] | npt.NDArray[np.int16],
    bits_stored: int,
    photometric_interpretation: str = "MONOCHROME2",
) -> None:
    """Add ``stored`` values, (rows, columns), in 16 bits each (PS3.3 C.7.6.3)."""
    instance.SamplesPerPixel = 1
    instance.PhotometricInterpretation = photometric_interpretation
    instance.Rows, instance.Columns = stored.shape
    instance.BitsAllocated = 16
    instance.BitsStored = bits_stored
    instance.HighBit = bits_stored - 1
    instance.PixelRepresentation = int(stored.dtype == np.int16)
    instance.PixelData = stored.astype(stored.dtype.newbyteorder("<")).tobytes()
    instance["PixelData"].VR = "OW"


def add_windows(instance: Dataset, windows: Sequence[tuple[float, float, str]]) -> None:
    """Add windows of (centre, width, explanation), the first being the one to begin with (PS3.3 C.11.2)."""
    centres, widths, explanations = zip(*windows, strict=True)
    instance.WindowCenter = list(centres)
    instance.WindowWidth = list(widths)
    instance.WindowCenterWidthExplanation = list(explanations)


def decimal(value: float) -> str:
    """Write a number as DS, which has 16 characters at most (PS3.5 6.2)."""
    return f"{value:.4f}".rstrip("0").rstrip(".")


def _add_sop_common(instance: Dataset, order: Order, series: Series, number: int, sop_class_uid: str) -> None:
    instance.SpecificCharacterSet = "ISO_IR 192"
    instance.InstanceCreationDate, instance.InstanceCreationTime = order.date, order.time
    instance.SOPClassUID = UID(sop_class_uid)
    instance.SOPInstanceUID = UID(demo_uid(order.accession_number, series.number, number))
    instance.TimezoneOffsetFromUTC = TIMEZONE_OFFSET


def _add_patient(instance: Dataset, order: Order) -> None:
    patient = order.patient
    instance.PatientName = patient.name
    instance.PatientID = patient.patient_id
    instance.IssuerOfPatientID = "BVMINHHOA"
    instance.PatientBirthDate = patient.birth_date
    instance.PatientSex = patient.sex
    years = int(order.date[:4]) - int(patient.birth_date[:4]) - (order.date[4:] < patient.birth_date[4:])
    instance.PatientAge = f"{years:03d}Y"
    instance.PatientWeight = decimal(patient.weight_kg)


def _add_study(instance: Dataset, order: Order) -> None:
    instance.StudyInstanceUID = UID(demo_uid(order.accession_number))
    instance.StudyID = order.accession_number[-6:]
    instance.StudyDate, instance.StudyTime = order.date, order.time
    instance.AccessionNumber = order.accession_number
    instance.ReferringPhysicianName = order.referring_physician
    instance.StudyDescription = order.description
    if order.code and order.code.place is CodePlace.STUDY:
        instance.ProcedureCodeSequence = [_national(order.code)]


def _add_series(instance: Dataset, order: Order, series: Series) -> None:
    instance.Modality = series.modality
    instance.SeriesInstanceUID = UID(demo_uid(order.accession_number, series.number))
    instance.SeriesNumber = series.number
    instance.SeriesDescription = series.description
    instance.ProtocolName = series.protocol
    instance.BodyPartExamined = series.body_part
    instance.SeriesDate = instance.AcquisitionDate = instance.ContentDate = order.date
    instance.SeriesTime = instance.AcquisitionTime = instance.ContentTime = order.time


def _add_equipment(instance: Dataset, equipment: Equipment) -> None:
    instance.Manufacturer = equipment.manufacturer
    instance.ManufacturerModelName = equipment.model
    instance.DeviceSerialNumber = equipment.serial_number
    instance.SoftwareVersions = equipment.software
    instance.StationName = equipment.station_name
    instance.InstitutionName = INSTITUTION_NAME
    instance.InstitutionAddress = INSTITUTION_ADDRESS
    instance.InstitutionalDepartmentName = equipment.department


def _add_request(instance: Dataset, order: Order) -> None:
    """Repeat what the worklist asked for (PS3.3 Table 10-9)."""
    request = Dataset()
    request.RequestedProcedureID = f"RP{order.accession_number[2:]}"
    request.ScheduledProcedureStepID = f"SPS{order.accession_number[2:]}"
    request.RequestedProcedureDescription = order.description
    request.ScheduledProcedureStepDescription = order.description
    request.ReasonForTheRequestedProcedure = order.reason
    if order.code and order.code.place is CodePlace.REQUEST:
        request.RequestedProcedureCodeSequence = [_national(order.code)]
    instance.RequestAttributesSequence = [request]
    instance.PerformedProcedureStepID = request.ScheduledProcedureStepID
    instance.PerformedProcedureStepStartDate = order.date
    instance.PerformedProcedureStepStartTime = order.time
    instance.PerformedProcedureStepDescription = order.description


def _national(code: ProcedureCode) -> Dataset:
    return coded(code.value, CODING_SCHEME_DESIGNATOR, code.meaning)
