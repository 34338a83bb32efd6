"""Small DICOM data sets for tests, encoded by pydicom."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import dcmwrite, write_dataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"


def make_dataset(**attributes: Any) -> Dataset:
    """Make a CT-like instance of 16x16 pixels; keyword arguments set or, with None, remove attributes."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = CT_IMAGE_STORAGE
    dataset.SOPInstanceUID = generate_uid()
    dataset.StudyDate, dataset.StudyTime = "20261120", "081500"
    dataset.AccessionNumber = "ACC1"
    dataset.Modality = "CT"
    dataset.StudyDescription = "CT ngực"
    dataset.ReferringPhysicianName = "Lê^Thị Bình"
    dataset.PatientName = "NGUYỄN^VĂN ĐỨC"
    dataset.PatientID = "BN0001"
    dataset.PatientBirthDate = "19700102"
    dataset.PatientSex = "M"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.StudyID, dataset.SeriesNumber, dataset.InstanceNumber = "1", 1, 1
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows = dataset.Columns = 16
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.PixelData = np.arange(256, dtype="<u2").tobytes()
    for keyword, value in attributes.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def encode(dataset: Dataset, transfer_syntax_uid: str = ExplicitVRLittleEndian) -> bytes:
    """Encode a data set as it travels in a C-STORE: no preamble, no File Meta Information."""
    buffer = DicomBytesIO()
    buffer.is_little_endian = transfer_syntax_uid != "1.2.840.10008.1.2.2"
    buffer.is_implicit_VR = transfer_syntax_uid == "1.2.840.10008.1.2"
    write_dataset(buffer, dataset)
    return buffer.getvalue()


def encode_file(dataset: Dataset, transfer_syntax_uid: str = ExplicitVRLittleEndian) -> bytes:
    """Encode a data set as a DICOM file."""
    file_meta = FileMetaDataset()
    file_meta.TransferSyntaxUID = transfer_syntax_uid
    file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta = file_meta
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()
