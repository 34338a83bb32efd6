"""CT studies of the chest (PS3.3 A.3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from pacs.demo import modules
from pacs.demo.orders import Order
from pacs.demo.phantoms.thorax import FIELD_OF_VIEW_MM, SIZE, Thorax
from pacs.demo.phantoms.thorax_shape import TOP_MM

_SCANNER = modules.Equipment("Tomo 32", "CT01", "CT-10032")
_INTERCEPT = -1024


@dataclass(frozen=True)
class ChestScan:
    """How a chest is scanned.

    ``is_signed`` stores two's complement in 16 bits, as some makers do, instead of 12 bits without sign.
    """

    thorax: Thorax
    heights_mm: Sequence[float]
    description: str
    contrast_agent: str | None = None
    is_signed: bool = False


def chest_slices(order: Order, scan: ChestScan) -> Iterator[Dataset]:
    """Make the slices of a scan from head to feet, one at a time."""
    series = modules.Series(2, "CT", scan.description, "CHEST", "Ngực thường quy", _SCANNER)
    for number, height in enumerate(scan.heights_mm, start=1):
        instance = modules.new_instance(order, series, number, CTImageStorage)
        modules.add_frame_of_reference(instance, order)
        modules.add_axial_plane(instance, (SIZE, SIZE), FIELD_OF_VIEW_MM / SIZE, height - TOP_MM)
        _add_acquisition(instance, scan)
        _add_pixels(instance, scan, height)
        yield instance


def _add_acquisition(instance: Dataset, scan: ChestScan) -> None:
    """Add the CT Image and Contrast/Bolus modules (PS3.3 C.8.2.1, C.7.6.4)."""
    instance.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    instance.AcquisitionNumber = 1
    instance.KVP = "120"
    instance.XRayTubeCurrent = 180
    instance.ExposureTime = 500
    instance.Exposure = 90
    instance.GantryDetectorTilt = "0"
    instance.RotationDirection = "CW"
    instance.FilterType = "BODY"
    instance.ScanOptions = "HELICAL MODE"
    instance.ConvolutionKernel = "STANDARD"
    instance.DataCollectionDiameter = "500"
    instance.ReconstructionDiameter = modules.decimal(FIELD_OF_VIEW_MM)
    instance.TableHeight = "140"
    instance.SliceThickness = modules.decimal(scan.thorax.slice_mm)
    if scan.contrast_agent:
        instance.ContrastBolusAgent = scan.contrast_agent
        instance.ContrastBolusRoute = "IV"
        instance.ContrastBolusVolume = "70"


def _add_pixels(instance: Dataset, scan: ChestScan, height: float) -> None:
    stored = np.rint(scan.thorax.slice_hu(height)) - _INTERCEPT
    if scan.is_signed:
        modules.add_grayscale_pixels(
            instance, np.clip(stored, -32768, 32767).astype(np.int16), bits_stored=16
        )
    else:
        modules.add_grayscale_pixels(instance, np.clip(stored, 0, 4095).astype(np.uint16), bits_stored=12)
    instance.RescaleIntercept = str(_INTERCEPT)
    instance.RescaleSlope = "1"
    instance.RescaleType = "HU"
    modules.add_windows(instance, [(40, 400, "MEDIASTINUM"), (-600, 1500, "LUNG"), (480, 2500, "BONE")])
