"""The studies of the demonstration, made by formulas when they are needed.

Seeds, times and UIDs are fixed, so on one machine every run makes the same bytes: whoever runs the
demonstration twice sends what the archive already holds, and nothing changes in it. (Another version of
numpy or Pillow may round or compress a little differently.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from pydicom.dataset import Dataset

from pacs.demo import ct, mr, orders, radiography, ultrasound
from pacs.demo.orders import Order
from pacs.demo.phantoms.abdominal_ultrasound import AbdominalUltrasound
from pacs.demo.phantoms.brain import Brain
from pacs.demo.phantoms.chest_radiograph import ChestRadiograph
from pacs.demo.phantoms.echocardiogram import Echocardiogram
from pacs.demo.phantoms.hand_radiograph import HandRadiograph
from pacs.demo.phantoms.thorax import Thorax
from pacs.demo.phantoms.thorax_organs import WITH_CONTRAST, WITHOUT_CONTRAST

_EVERY_5_MM = [297.0 - 5 * step for step in range(60)]
_EVERY_10_MM = [292.0 - 10 * step for step in range(30)]
_BRAIN_MM = [-38.0 + 5 * step for step in range(23)]
_UPPER_BRAIN_MM = [-33.0 + 5 * step for step in range(22)]


@dataclass(frozen=True)
class DemoStudy:
    """One study: known in size before any pixel is made."""

    order: Order
    modality: str
    number_of_instances: int
    _make: Callable[[Order], Iterator[Dataset]] = field(repr=False)

    @property
    def title(self) -> str:
        """What to call the study on a progress bar."""
        return f"{self.modality} · {self.order.description}"

    def instances(self) -> Iterator[Dataset]:
        """Make the instances one at a time, each with ``file_meta.TransferSyntaxUID`` set and encoded so."""
        return self._make(self.order)


def demo_studies() -> Iterator[DemoStudy]:
    """Name the studies, from the newest of each modality to its priors; pixels are made on demand."""
    yield DemoStudy(orders.CT_CHEST, "CT", len(_EVERY_5_MM), _chest_with_contrast)
    yield DemoStudy(orders.CT_CHEST_PRIOR, "CT", len(_EVERY_10_MM), _chest_half_a_year_ago)
    yield DemoStudy(orders.MR_BRAIN, "MR", 2 * len(_BRAIN_MM), _brain_with_lesion)
    yield DemoStudy(orders.MR_BRAIN_AGED, "MR", len(_UPPER_BRAIN_MM), _aged_brain)
    yield DemoStudy(orders.DX_CHEST, "DX", 1, _healthy_chest)
    yield DemoStudy(orders.DX_CHEST_PRIOR, "DX", 1, _chest_with_nodule)
    yield DemoStudy(orders.CR_BEDSIDE, "CR", 1, _chest_in_bed)
    yield DemoStudy(orders.CR_HAND, "CR", 1, _hand)
    yield DemoStudy(orders.US_HEART, "US", 1, _heart)
    yield DemoStudy(orders.US_ABDOMEN, "US", 2, _abdomen)


def _chest_with_contrast(order: Order) -> Iterator[Dataset]:
    thorax = Thorax(seed=7, blood=WITH_CONTRAST, nodule_mm=13)
    scan = ct.ChestScan(thorax, _EVERY_5_MM, "Ngực có thuốc 5 mm", contrast_agent="Iohexol 350 mgI/ml")
    return ct.chest_slices(order, scan)


def _chest_half_a_year_ago(order: Order) -> Iterator[Dataset]:
    thorax = Thorax(seed=7, blood=WITHOUT_CONTRAST, nodule_mm=7, noise_hu=10, slice_mm=10)
    scan = ct.ChestScan(thorax, _EVERY_10_MM, "Ngực không thuốc 10 mm", is_signed=True)
    return ct.chest_slices(order, scan)


def _brain_with_lesion(order: Order) -> Iterator[Dataset]:
    return mr.brain_slices(order, Brain(seed=5), _BRAIN_MM, (mr.T1_SPIN_ECHO, mr.T2_TURBO_SPIN_ECHO))


def _aged_brain(order: Order) -> Iterator[Dataset]:
    brain = Brain(seed=31, atrophy_mm=1.3, has_lesion=False)
    return mr.brain_slices(order, brain, _UPPER_BRAIN_MM, (mr.T2_TURBO_SPIN_ECHO,))


def _healthy_chest(order: Order) -> Iterator[Dataset]:
    return radiography.digital_chest(order, ChestRadiograph(seed=4, female=True), black_bones=True)


def _chest_with_nodule(order: Order) -> Iterator[Dataset]:
    return radiography.digital_chest(order, ChestRadiograph(seed=3, nodule_mm=14))


def _chest_in_bed(order: Order) -> Iterator[Dataset]:
    chest = ChestRadiograph(seed=9, female=True, heart=1.18, consolidation=0.8)
    return radiography.bedside_chest(order, chest)


def _hand(order: Order) -> Iterator[Dataset]:
    return radiography.plate_of_hand(order, HandRadiograph(seed=3))


def _heart(order: Order) -> Iterator[Dataset]:
    return ultrasound.heart_clip(order, Echocardiogram(seed=3))


def _abdomen(order: Order) -> Iterator[Dataset]:
    return ultrasound.abdominal_stills(order, AbdominalUltrasound(seed=2))
