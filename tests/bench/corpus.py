"""Made-up instances to send: each has UIDs and noise of its own, and costs the sender next to nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, DigitalXRayImageStorageForPresentation, MRImageStorage, generate_uid

from tests.datasets import encode, make_dataset

_NOISE_VALUES = 16 * 1024 * 1024  # of two bytes
_STEP_BYTES = 15_486  # even, and no divisor of anything, so that no two instances begin alike


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of image, of 16 bits a pixel."""

    name: str
    modality: str
    sop_class_uid: str
    rows: int
    columns: int

    @property
    def pixels_size_bytes(self) -> int:
        """Size of the pixel data, which is nearly the instance's."""
        return 2 * self.rows * self.columns


CT = Kind("CT 530 KB", "CT", CTImageStorage, 512, 512)
SMALL = Kind("MR 22 KB", "MR", MRImageStorage, 102, 102)
DX = Kind("DX 15 MB", "DX", DigitalXRayImageStorageForPresentation, 3000, 2500)


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance ready to be sent: its data set in two pieces, as it travels in a C-STORE."""

    sop_instance_uid: str
    pieces: tuple[bytes, memoryview]

    @property
    def size_bytes(self) -> int:
        """Size of the data set."""
        return sum(len(piece) for piece in self.pieces)


class Corpus:
    """Makes studies out of one pool of noise, of which every instance shows another part."""

    def __init__(self) -> None:
        noise = np.random.default_rng(1).integers(0, 4096, _NOISE_VALUES, dtype="<u2")
        self._noise = memoryview(noise.tobytes())

    def study(self, kind: Kind, number: int, instances: int) -> Iterator[Instance]:
        """Make a study of one series. The same arguments give the same bytes, in every process."""
        study = _study(kind, number)
        for instance_number in range(1, instances + 1):
            study.SOPInstanceUID = _uid(number, instance_number)
            study.InstanceNumber = instance_number
            study.ImagePositionPatient = [-125, -125, instance_number]
            pixels = self.pixels(kind, number * 1009 + instance_number)
            yield Instance(study.SOPInstanceUID, (_up_to_pixels(study, kind), pixels))

    def pixels(self, kind: Kind, serial: int) -> memoryview:
        """Return stored values, 12 bits of 16, that no other ``serial`` has."""
        begin = serial * _STEP_BYTES % (len(self._noise) - kind.pixels_size_bytes)
        return self._noise[begin : begin + kind.pixels_size_bytes]


class BodyCorpus(Corpus):
    """Makes images that compress as those of bodies do: smooth, with edges and a little noise.

    Pictures of pure noise take a JPEG encoder several times as long, and would hide what all else costs.
    """

    def pixels(self, kind: Kind, serial: int) -> memoryview:
        """Return an ellipse of soft tissue with two lungs in it and air around; the noise is the pool's."""
        y, x = np.ogrid[-1 : 1 : kind.rows * 1j, -1 : 1 : kind.columns * 1j]
        body = (x / 0.9) ** 2 + (y / 0.95) ** 2 < 1
        lungs = ((np.abs(x) - 0.42) / 0.3) ** 2 + ((y + serial % 17 / 100) / 0.55) ** 2 < 1
        tissue = 1064 + 60 * np.sin(5 * x + serial) * np.cos(4 * y)
        image = np.where(lungs, 250 + 90 * np.cos(25 * x * y), np.where(body, tissue, 24))
        noise = np.frombuffer(super().pixels(kind, serial), "<u2").reshape(image.shape)
        return memoryview((image + noise % 32).astype("<u2").tobytes())


def series_uids(number: int, instances: int) -> tuple[str, str, list[str]]:
    """Name a study's study, series and instances, as :meth:`Corpus.study` makes them."""
    uids = [_uid(number, instance_number) for instance_number in range(1, instances + 1)]
    return _uid(number, "study"), _uid(number, "series"), uids


def _study(kind: Kind, number: int) -> Dataset:
    """Make what the instances of a study have in common: about as much as a device writes."""
    study = make_dataset(
        SOPClassUID=kind.sop_class_uid,
        Modality=kind.modality,
        StudyInstanceUID=_uid(number, "study"),
        SeriesInstanceUID=_uid(number, "series"),
        FrameOfReferenceUID=_uid(number, "frame of reference"),
        PatientID=f"BENCH{number:04}",
        AccessionNumber=f"B{number:06}",
        StudyID=str(number),
        Rows=kind.rows,
        Columns=kind.columns,
        PixelData=None,
    )
    study.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    study.SeriesDate = study.AcquisitionDate = study.ContentDate = study.StudyDate
    study.SeriesTime = study.AcquisitionTime = study.ContentTime = study.StudyTime
    study.Manufacturer, study.ManufacturerModelName, study.StationName = "Bench", "Noise 1", "BENCH01"
    study.InstitutionName, study.SeriesDescription = "Bệnh viện Thử nghiệm", "Noise, made by a benchmark"
    study.BodyPartExamined, study.ProtocolName, study.PatientPosition = "CHEST", "Noise", "HFS"
    study.KVP, study.SliceThickness, study.PixelSpacing = "120", "1", [0.48828125, 0.48828125]
    study.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    study.WindowCenter, study.WindowWidth = "40", "400"
    study.RescaleIntercept, study.RescaleSlope = "-1024", "1"
    return study


def _uid(*names: object) -> str:
    return generate_uid(entropy_srcs=["filmless bench", *map(str, names)])


def _up_to_pixels(dataset: Dataset, kind: Kind) -> bytes:
    """Encode a data set in Explicit VR Little Endian up to the value of its Pixel Data (PS3.5 7.1.2)."""
    return encode(dataset) + b"\xe0\x7f\x10\x00OW\0\0" + kind.pixels_size_bytes.to_bytes(4, "little")
