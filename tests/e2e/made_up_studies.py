"""Small studies that nobody was imaged for, with everything that the browser is tested on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    BasicTextSRStorage,
    CTImageStorage,
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    UltrasoundMultiFrameImageStorage,
    generate_uid,
)

SIDE = 96  # rows and columns
NUMBER_OF_SLICES = 12
NUMBER_OF_FRAMES = 8
TODAY = date.today().strftime("%Y%m%d")
PROCEDURE_CODE = "18.0192.0041"  # one that the national table has
MARKUP = "<img src=x onerror=window.pwned=1>"


def ct_study(name: str = "NGUYỄN^VĂN ĐỨC", patient_id: str = "BN0001", **attributes: str) -> list[Dataset]:
    """A disc of soft tissue that grows from slice to slice, with fat beside it, in air."""
    study = _study(name, patient_id, "CT", **attributes)
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = PROCEDURE_CODE, "99BYT", "CT"
    study.ProcedureCodeSequence = [code]
    return [_ct_slice(study, number) for number in range(1, NUMBER_OF_SLICES + 1)]


def damaged_study() -> list[Dataset]:
    """Three slices of which the last cannot be decoded."""
    slices = ct_study("TRẦN^THỊ THỬ", "BN0002")[:3]
    broken = slices[2]
    broken.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    broken.BitsAllocated = broken.BitsStored = 8
    broken.HighBit, broken.PixelRepresentation = 7, 0
    broken.PixelData = encapsulate([b"this is no JPEG " * 8])
    broken["PixelData"].is_undefined_length = True
    return slices


def loop_study() -> list[Dataset]:
    """A loop in colour: a bright bar that travels, frame by frame."""
    instance = _study("LÊ^HOÀNG MINH", "BN0003", "US", StudyDescription="Siêu âm tim")
    _become_instance(instance, UltrasoundMultiFrameImageStorage, 1)
    frames = np.zeros((NUMBER_OF_FRAMES, SIDE, SIDE, 3), np.uint8)
    for frame in range(NUMBER_OF_FRAMES):
        frames[frame, :, 24 + 6 * frame : 30 + 6 * frame] = (250, 180, 60)
    instance.NumberOfFrames, instance.FrameTime = NUMBER_OF_FRAMES, "50"
    instance.FrameIncrementPointer = 0x00181063
    instance.SamplesPerPixel, instance.PhotometricInterpretation, instance.PlanarConfiguration = 3, "RGB", 0
    _set_pixels(instance, frames, 8)
    return [instance]


def report_study() -> list[Dataset]:
    """A structured report without any image."""
    instance = _study("VÕ^THỊ HỒNG NHUNG", "BN0004", "SR", StudyDescription="Báo cáo")
    _become_instance(instance, BasicTextSRStorage, 1)
    title = Dataset()
    title.CodeValue, title.CodingSchemeDesignator, title.CodeMeaning = (
        "18748-4",
        "LN",
        "Diagnostic imaging report",
    )
    instance.ValueType, instance.ContinuityOfContent = "CONTAINER", "SEPARATE"
    instance.ConceptNameCodeSequence = [title]
    instance.CompletionFlag, instance.VerificationFlag = "COMPLETE", "UNVERIFIED"
    return [instance]


def document_study() -> list[Dataset]:
    """A PDF document, or what begins like one."""
    instance = _study("ĐẶNG^QUỐC BẢO", "BN0006", "DOC", StudyDescription="Giấy cam đoan")
    _become_instance(instance, EncapsulatedPDFStorage, 1)
    instance.MIMETypeOfEncapsulatedDocument = "application/pdf"
    instance.EncapsulatedDocument = b"%PDF-1.7\n" + bytes(5001)
    return [instance]


def hostile_study() -> list[Dataset]:
    """Markup in everything that a page shows."""
    slices = ct_study(MARKUP, "<b onclick=alert(1)>", StudyDescription=MARKUP, InstitutionName=MARKUP)
    for instance in slices:
        instance.SeriesDescription = MARKUP
    return slices[:2]


def all_studies() -> Iterator[Dataset]:
    """Every instance of the studies above."""
    for study in (
        ct_study(),
        damaged_study(),
        loop_study(),
        report_study(),
        document_study(),
        hostile_study(),
    ):
        yield from study


def _study(name: str, patient_id: str, modality: str, **attributes: str) -> Dataset:
    study = Dataset()
    study.SpecificCharacterSet = "ISO_IR 192"
    study.PatientName, study.PatientID = name, patient_id
    study.PatientSex, study.PatientBirthDate = "M", "19810412"
    study.StudyDate = study.SeriesDate = TODAY
    study.StudyTime, study.StudyID, study.AccessionNumber = "073000", "1", f"A-{patient_id[-4:]}"
    study.StudyDescription = "Sọ não"
    study.Modality, study.SeriesNumber, study.SeriesDescription = modality, 2, "Lát cắt ngang"
    study.StudyInstanceUID, study.SeriesInstanceUID = generate_uid(), generate_uid()
    for keyword, value in attributes.items():
        setattr(study, keyword, value)
    return study


def _ct_slice(study: Dataset, number: int) -> Dataset:
    instance = Dataset()
    instance.update(study)
    _become_instance(instance, CTImageStorage, number)
    instance.ImagePositionPatient = [0, 0, 5 * number]
    instance.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    instance.PixelSpacing, instance.SliceThickness = [2, 2], "5"
    instance.RescaleSlope, instance.RescaleIntercept, instance.RescaleType = "1", "-1024", "HU"
    instance.WindowCenter, instance.WindowWidth = "40", "400"
    instance.SamplesPerPixel, instance.PhotometricInterpretation = 1, "MONOCHROME2"
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    hounsfield = np.full((SIDE, SIDE), -1000)
    hounsfield[np.hypot(x, y) < 40] = -700  # lung: black in the file's window
    hounsfield[np.hypot(x, y) < 8 + 2 * number] = 60
    hounsfield[np.abs(y) < 4] = -90
    _set_pixels(instance, (hounsfield + 1024).astype("<u2"), 16)
    return instance


def _become_instance(instance: Dataset, sop_class_uid: str, number: int) -> None:
    instance.SOPClassUID, instance.SOPInstanceUID = sop_class_uid, generate_uid()
    instance.InstanceNumber = number
    instance.file_meta = FileMetaDataset()
    instance.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    instance.file_meta.MediaStorageSOPClassUID = sop_class_uid
    instance.file_meta.MediaStorageSOPInstanceUID = instance.SOPInstanceUID


def _set_pixels(instance: Dataset, pixels: np.ndarray, bits: int) -> None:
    instance.Rows = instance.Columns = SIDE
    instance.BitsAllocated = instance.BitsStored = bits
    instance.HighBit, instance.PixelRepresentation = bits - 1, 0
    instance.PixelData = pixels.tobytes()
    instance["PixelData"].VR = "OB" if bits == 8 else "OW"
