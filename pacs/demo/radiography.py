"""Plain radiographs: from flat detectors (DX, PS3.3 A.26) and from storage phosphor plates (CR, A.2)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import ComputedRadiographyImageStorage, DigitalXRayImageStorageForPresentation

from pacs.demo import modules
from pacs.demo.orders import Order
from pacs.demo.phantoms import chest_radiograph, hand_radiograph
from pacs.demo.phantoms.chest_radiograph import ChestRadiograph
from pacs.demo.phantoms.drawing import FloatImage
from pacs.demo.phantoms.hand_radiograph import HandRadiograph

_DETECTOR = modules.Equipment("Rad DR", "DX01", "DX-20114")
_PLATE_READER = modules.Equipment("Rad CR", "CR01", "CR-30871")


def digital_chest(order: Order, chest: ChestRadiograph, *, black_bones: bool = False) -> Iterator[Dataset]:
    """Make one DX image of 14 bits; ``black_bones`` stores it as MONOCHROME1, which displays look through."""
    series = modules.Series(1, "DX", "Ngực thẳng PA", "CHEST", "Ngực PA", _DETECTOR)
    instance = modules.new_instance(order, series, 1, DigitalXRayImageStorageForPresentation)
    stored = _stored(chest.densities(), 14)
    if black_bones:
        modules.add_grayscale_pixels(instance, np.uint16(16383) - stored, 14, "MONOCHROME1")
    else:
        modules.add_grayscale_pixels(instance, stored, 14)
    modules.add_windows(instance, [(8192, 16384, "NORMAL")])
    _add_dx_image(instance, black_bones=black_bones)
    _add_detector(instance)
    yield instance


def bedside_chest(order: Order, chest: ChestRadiograph) -> Iterator[Dataset]:
    """Make one CR image of a patient in bed, 12 bits."""
    series = modules.Series(1, "CR", "Ngực AP tại giường", "CHEST", "Ngực AP", _PLATE_READER)
    instance = modules.new_instance(order, series, 1, ComputedRadiographyImageStorage)
    instance.ViewPosition = "AP"
    instance.PatientOrientation = ["L", "F"]
    _add_plate(instance, chest.densities(), chest_radiograph.PIXEL_MM, "35CMX43CM", kvp=85)
    modules.add_windows(instance, [(2048, 4096, "NORMAL")])
    yield instance


def plate_of_hand(order: Order, hand: HandRadiograph) -> Iterator[Dataset]:
    """Make one CR image of a right hand, 12 bits."""
    series = modules.Series(1, "CR", "Bàn tay phải PA", "HAND", "Bàn tay PA", _PLATE_READER)
    instance = modules.new_instance(order, series, 1, ComputedRadiographyImageStorage)
    instance.ViewPosition = "PA"
    instance.Laterality = "R"
    instance.PatientOrientation = ["L", "H"]
    _add_plate(instance, hand.densities(), hand_radiograph.PIXEL_MM, "18CMX24CM", kvp=50)
    modules.add_windows(instance, [(1550, 3000, "BONE")])
    yield instance


def _stored(densities: FloatImage, bits: int) -> npt.NDArray[np.uint16]:
    stored: npt.NDArray[np.uint16] = np.rint(densities * np.float32(2**bits - 1)).astype(np.uint16)
    return stored


def _add_dx_image(instance: Dataset, *, black_bones: bool) -> None:
    """Add the DX Series, Anatomy, Image, Positioning and Acquisition modules (PS3.3 C.8.11)."""
    instance.PresentationIntentType = "FOR PRESENTATION"
    instance.ImageType = ["ORIGINAL", "PRIMARY", ""]
    instance.AnatomicRegionSequence = [modules.coded("51185008", "SCT", "Chest")]
    instance.ImageLaterality = "U"
    instance.PatientOrientation = ["L", "F"]
    instance.PixelIntensityRelationship = "LOG"
    instance.PixelIntensityRelationshipSign = 1 if black_bones else -1
    instance.RescaleIntercept = "0"
    instance.RescaleSlope = "1"
    instance.RescaleType = "US"
    instance.PresentationLUTShape = "INVERSE" if black_bones else "IDENTITY"
    instance.LossyImageCompression = "00"
    instance.BurnedInAnnotation = "NO"
    instance.AcquisitionContextSequence = []
    instance.ViewPosition = "PA"
    view = modules.coded("399348003", "SCT", "postero-anterior")
    view.ViewModifierCodeSequence = []
    instance.ViewCodeSequence = [view]
    instance.PositionerType = "NONE"
    instance.KVP = "125"
    instance.ExposureTime = 8
    instance.XRayTubeCurrent = 320
    instance.Exposure = 3
    instance.DistanceSourceToDetector = "1800"
    instance.Grid = ["FIXED", "FOCUSED"]


def _add_detector(instance: Dataset) -> None:
    """Add the DX Detector module (PS3.3 C.8.11.4)."""
    spacing = modules.decimal(chest_radiograph.PIXEL_MM)
    instance.DetectorType = "SCINTILLATOR"
    instance.DetectorConfiguration = "AREA"
    instance.DetectorID = "FPD-3543"
    instance.DetectorElementPhysicalSize = [spacing, spacing]
    instance.DetectorElementSpacing = [spacing, spacing]
    instance.DetectorActiveShape = "RECTANGLE"
    instance.FieldOfViewShape = "RECTANGLE"
    instance.FieldOfViewDimensions = [420, 350]
    instance.ImagerPixelSpacing = [spacing, spacing]


def _add_plate(instance: Dataset, densities: FloatImage, pixel_mm: float, cassette: str, kvp: int) -> None:
    """Add the pixels and the CR Image module (PS3.3 C.8.1.2)."""
    instance.ImageType = ["ORIGINAL", "PRIMARY"]
    instance.KVP = str(kvp)
    instance.PlateType = "ST-VI"
    instance.CassetteSize = cassette
    instance.ImagerPixelSpacing = [modules.decimal(pixel_mm), modules.decimal(pixel_mm)]
    instance.BurnedInAnnotation = "NO"
    modules.add_grayscale_pixels(instance, _stored(densities, 12), 12)
