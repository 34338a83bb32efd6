"""Ultrasound studies: a clip in JPEG (PS3.3 A.7) and still pictures (A.6)."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
)

from pacs.demo import modules
from pacs.demo.orders import Order
from pacs.demo.phantoms import abdominal_ultrasound, echocardiogram
from pacs.demo.phantoms.abdominal_ultrasound import AbdominalUltrasound
from pacs.demo.phantoms.echocardiogram import Echocardiogram
from pacs.demo.phantoms.ultrasound import Fan, Screen

_HEART_SCANNER = modules.Equipment("Echo 4", "US02", "US-40213", "Khoa Tim mạch")
_SCANNER = modules.Equipment("Sono 3", "US01", "US-30544")
_JPEG_QUALITY = 88


def heart_clip(order: Order, echo: Echocardiogram) -> Iterator[Dataset]:
    """Make one multi-frame image in colour, JPEG Baseline."""
    series = modules.Series(1, "US", "Bốn buồng từ mỏm", "HEART", "Tim người lớn", _HEART_SCANNER)
    instance = modules.new_instance(order, series, 1, UltrasoundMultiFrameImageStorage, JPEGBaseline8Bit)
    _add_image(instance, echocardiogram.FAN, has_doppler=True)
    screens = list(echo.frames())
    frames = [_as_jpeg(screen) for screen in screens]
    _add_cine(instance, len(frames))
    _add_color_pixels(instance, screens[0], "YBR_FULL_422")
    raw_size = sum(screen.nbytes for screen in screens)
    instance.LossyImageCompression = "01"
    instance.LossyImageCompressionRatio = modules.decimal(raw_size / sum(map(len, frames)))
    instance.LossyImageCompressionMethod = "ISO_10918_1"
    instance.PixelData = encapsulate(frames, has_bot=True)
    instance["PixelData"].VR = "OB"
    instance["PixelData"].is_undefined_length = True
    yield instance


def abdominal_stills(order: Order, abdomen: AbdominalUltrasound) -> Iterator[Dataset]:
    """Make the still pictures of an abdomen, RGB without compression."""
    series = modules.Series(1, "US", "Bụng tổng quát", "ABDOMEN", "Bụng", _SCANNER)
    for number, view in enumerate((abdomen.gall_bladder, abdomen.kidney), start=1):
        instance = modules.new_instance(order, series, number, UltrasoundImageStorage, ExplicitVRLittleEndian)
        _add_image(instance, abdominal_ultrasound.FAN, has_doppler=False)
        screen = view()
        _add_color_pixels(instance, screen, "RGB")
        instance.LossyImageCompression = "00"
        instance.PixelData = screen.tobytes()
        instance["PixelData"].VR = "OB"
        yield instance


def _as_jpeg(screen: Screen) -> bytes:
    """Encode one frame with the chroma halved along rows, as YBR_FULL_422 says (PS3.5 8.2.1)."""
    encoded = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(screen)).save(
        encoded, "JPEG", quality=_JPEG_QUALITY, subsampling="4:2:2"
    )
    return encoded.getvalue()


def _add_image(instance: Dataset, fan: Fan, *, has_doppler: bool) -> None:
    """Add the US Image and Region Calibration modules (PS3.3 C.8.5.6, C.8.5.5)."""
    instance.ImageType = ["ORIGINAL", "PRIMARY", *(("TTE", "0011") if has_doppler else ("ABDOMINAL", "0001"))]
    instance.PatientOrientation = ""
    instance.UltrasoundColorDataPresent = int(has_doppler)
    instance.BurnedInAnnotation = "NO"  # the text on the screen names no patient
    instance.TransducerType = "SECTOR_PHASED" if has_doppler else "CURVED LINEAR"
    instance.SequenceOfUltrasoundRegions = [_region(fan)]


def _region(fan: Fan) -> Dataset:
    """Calibrate the sector, so that lengths can be measured in it."""
    rows, columns = np.nonzero(fan.visible > 0)
    region = Dataset()
    region.RegionSpatialFormat = 1  # 2D
    region.RegionDataType = 1  # tissue
    region.RegionFlags = 2
    region.RegionLocationMinX0, region.RegionLocationMinY0 = int(columns.min()), int(rows.min())
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = int(columns.max()), int(rows.max())
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3  # cm
    region.PhysicalDeltaX = region.PhysicalDeltaY = fan.pixel_mm / 10
    region.TransducerFrequency = 2500
    return region


def _add_cine(instance: Dataset, number_of_frames: int) -> None:
    """Add the Multi-frame and Cine modules (PS3.3 C.7.6.6, C.7.6.5)."""
    instance.NumberOfFrames = number_of_frames
    instance.FrameIncrementPointer = 0x00181063  # Frame Time
    instance.FrameTime = modules.decimal(echocardiogram.FRAME_TIME_MS)
    instance.RecommendedDisplayFrameRate = round(1000 / echocardiogram.FRAME_TIME_MS)
    instance.StartTrim, instance.StopTrim = 1, number_of_frames
    instance.HeartRate = round(60_000 / (number_of_frames * echocardiogram.FRAME_TIME_MS))


def _add_color_pixels(instance: Dataset, screen: Screen, photometric_interpretation: str) -> None:
    instance.SamplesPerPixel = 3
    instance.PhotometricInterpretation = photometric_interpretation
    instance.PlanarConfiguration = 0
    instance.Rows, instance.Columns = screen.shape[:2]
    instance.BitsAllocated = instance.BitsStored = 8
    instance.HighBit = 7
    instance.PixelRepresentation = 0
