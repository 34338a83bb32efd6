"""MR studies of the brain (PS3.3 A.4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage

from pacs.demo import modules
from pacs.demo.orders import Order
from pacs.demo.phantoms.brain import FIELD_OF_VIEW_MM, SIZE, Brain
from pacs.demo.phantoms.brain_parts import T1, T2, Weighting

_SCANNER = modules.Equipment("Resonance 1.5", "MR01", "MR-15007")
_STORED_PER_SIGNAL = 12  # the brightest tissue comes to about 1,300 of 4,095
_SLICE_MM = 4.0
_SPACING_MM = 5.0


@dataclass(frozen=True)
class PulseSequence:
    """A pulse sequence: its weighting, its times in ms and the window that suits it."""

    number: int
    description: str
    weighting: Weighting
    scanning_sequence: str
    repetition_time: float
    echo_time: float
    echo_train_length: int
    window: tuple[float, float]


T1_SPIN_ECHO = PulseSequence(2, "Ax T1 SE", T1, "SE", 520, 12, 1, (500, 1000))
T2_TURBO_SPIN_ECHO = PulseSequence(3, "Ax T2 TSE", T2, "SE", 4300, 102, 15, (600, 1250))


def brain_slices(
    order: Order, brain: Brain, heights_mm: Sequence[float], pulses: Sequence[PulseSequence]
) -> Iterator[Dataset]:
    """Make one series for each pulse sequence, from the skull's base upwards, one slice at a time."""
    for pulse in pulses:
        series = modules.Series(pulse.number, "MR", pulse.description, "BRAIN", "Sọ não thường quy", _SCANNER)
        for number, height in enumerate(heights_mm, start=1):
            instance = modules.new_instance(order, series, number, MRImageStorage)
            modules.add_frame_of_reference(instance, order)
            modules.add_axial_plane(instance, (SIZE, SIZE), FIELD_OF_VIEW_MM / SIZE, height)
            _add_acquisition(instance, pulse)
            signal = brain.slice_signal(height, pulse.weighting) * _STORED_PER_SIGNAL
            modules.add_grayscale_pixels(
                instance, np.clip(np.rint(signal), 0, 4095).astype(np.uint16), bits_stored=12
            )
            modules.add_windows(instance, [(*pulse.window, "BRAIN")])
            yield instance


def _add_acquisition(instance: Dataset, pulse: PulseSequence) -> None:
    """Add the MR Image module (PS3.3 C.8.3.1)."""
    instance.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    instance.AcquisitionNumber = pulse.number
    instance.ScanningSequence = pulse.scanning_sequence
    instance.SequenceVariant = "SK" if pulse.echo_train_length > 1 else "NONE"
    instance.ScanOptions = ""
    instance.MRAcquisitionType = "2D"
    instance.SequenceName = pulse.description.rpartition(" ")[2].lower()
    instance.AngioFlag = "N"
    instance.SliceThickness = modules.decimal(_SLICE_MM)
    instance.SpacingBetweenSlices = modules.decimal(_SPACING_MM)
    instance.RepetitionTime = modules.decimal(pulse.repetition_time)
    instance.EchoTime = modules.decimal(pulse.echo_time)
    instance.EchoTrainLength = pulse.echo_train_length
    instance.EchoNumbers = 1
    instance.NumberOfAverages = "2"
    instance.MagneticFieldStrength = "1.5"
    instance.ImagingFrequency = "63.87"
    instance.ImagedNucleus = "1H"
    instance.FlipAngle = "90"
    instance.PercentSampling = "90"
    instance.PercentPhaseFieldOfView = "100"
    instance.PixelBandwidth = "130"
    instance.ReceiveCoilName = "HEAD"
