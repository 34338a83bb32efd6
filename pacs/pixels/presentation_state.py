"""Softcopy presentation states: how somebody wants images to be looked at (PS3.3 A.33, PS3.4 N)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from pydicom.dataset import Dataset

from pacs.errors import PixelsUnavailable, UndecodablePixels
from pacs.pixels.annotations import Annotation, Layer, read_annotations, read_layers
from pacs.pixels.description import PixelDescription
from pacs.pixels.displayed_area import (
    DisplayedArea,
    SpatialTransformation,
    read_displayed_areas,
    read_spatial_transformation,
)
from pacs.pixels.elements import read_items, read_texts
from pacs.pixels.grayscale import GrayscaleTransformation
from pacs.pixels.lookup_table import read_lookup_table
from pacs.pixels.modality_lut import (
    ModalityLut,
    can_be_negative,
    output_range,
    read_stated_modality_lut,
)
from pacs.pixels.overlays import OVERLAY_GROUPS
from pacs.pixels.padding import read_padding
from pacs.pixels.presentation_lut import read_stated_presentation_lut
from pacs.pixels.references import ImageReference, covers, read_references
from pacs.pixels.shutters import Shutter, read_shutter
from pacs.pixels.voi import Voi
from pacs.pixels.window import LINEAR_EXACT, Window, read_windows

GRAYSCALE = "1.2.840.10008.5.1.4.1.1.11.1"
COLOR = "1.2.840.10008.5.1.4.1.1.11.2"
PSEUDO_COLOR = "1.2.840.10008.5.1.4.1.1.11.3"
_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
_OVERLAY_ACTIVATION_LAYER = 0x1001


@dataclass(frozen=True, slots=True)
class PresentationState:
    """A grayscale, colour or pseudo-colour softcopy presentation state, checked and ready to be applied.

    ``identity`` names its content, for who keeps pictures: two states of one identity look the same. The data
    set is kept for the tables and planes, which depend on the image to be read.
    """

    identity: str
    references: tuple[ImageReference, ...] = field(repr=False)
    areas: tuple[DisplayedArea, ...] = field(repr=False)
    transformation: SpatialTransformation = field(repr=False)
    shutter: Shutter | None = field(repr=False)
    layers: tuple[Layer, ...] = field(repr=False)
    annotations: tuple[Annotation, ...] = field(repr=False)
    overlay_layers: tuple[tuple[int, str], ...] = field(repr=False)
    has_pseudo_color: bool = field(repr=False)
    transfer_syntax_uid: str = field(repr=False)
    attributes: Dataset = field(repr=False, compare=False)

    def applies_to(self, sop_instance_uid: str, frame_number: int) -> bool:
        """Tell whether the state is for a frame (1-based) of an image."""
        return any(one.covers(sop_instance_uid, frame_number) for one in self.references)

    def find_area(self, sop_instance_uid: str, frame_number: int) -> DisplayedArea | None:
        """Return the displayed area of a frame (1-based), None where it is not stated."""
        found = (area for area in self.areas if covers(area.references, sop_instance_uid, frame_number))
        return next(found, None)

    def find_annotations(self, sop_instance_uid: str, frame_number: int) -> tuple[Annotation, ...]:
        """Return the annotations of a frame (1-based)."""
        return tuple(
            one for one in self.annotations if covers(one.references, sop_instance_uid, frame_number)
        )

    def described_as_own(self, description: PixelDescription) -> PixelDescription:
        """Return the description of an image as if it were encoded like this data set."""
        return replace(description, transfer_syntax_uid=self.transfer_syntax_uid)

    def read_grayscale(
        self, image: Dataset, sop_instance_uid: str, frame_number: int, description: PixelDescription
    ) -> GrayscaleTransformation:
        """Read all steps from stored values to display.

        What the state does not state is an identity, whatever the image says: its Modality LUT, its windows
        and its Photometric Interpretation are overridden.

        Raises
        ------
        UndecodablePixels
            A lookup table is damaged.

        References
        ----------
        PS3.4 N.2.1.2, N.2.1.3, N.2.1.4
        """
        own = self.described_as_own(description)
        modality_lut = read_stated_modality_lut(self.attributes, own)
        voi = self._read_voi(sop_instance_uid, frame_number, modality_lut, own)
        presentation_lut = read_stated_presentation_lut(self.attributes, own.transfer_syntax.big_endian)
        padding = read_padding(image, description)
        return GrayscaleTransformation(modality_lut, voi, presentation_lut, padding)

    def _read_voi(
        self, sop_instance_uid: str, frame_number: int, modality_lut: ModalityLut, own: PixelDescription
    ) -> Voi:
        for item in read_items(self.attributes, "SoftcopyVOILUTSequence"):
            if not covers(read_references(item), sop_instance_uid, frame_number):
                continue
            tables = read_items(item, "VOILUTSequence")
            if tables:
                is_signed = can_be_negative(modality_lut, own)
                return read_lookup_table(tables[0], is_signed, own.transfer_syntax.big_endian)
            windows = read_windows(item)
            if windows:
                return windows[0]
        low, high = output_range(modality_lut, own)
        if not math.isfinite(high - low):
            raise UndecodablePixels("the rescale of the presentation state goes beyond all numbers")
        return Window((low + high) / 2, high - low or 1.0, LINEAR_EXACT)


def read_presentation_state(
    attributes: Dataset, transfer_syntax_uid: str = _EXPLICIT_VR_LITTLE_ENDIAN, identity: str = ""
) -> PresentationState:
    """Read a presentation state.

    Parameters
    ----------
    attributes
        The whole data set.
    transfer_syntax_uid
        That it is stored in.
    identity
        A name of its content, such as a digest; its SOP Instance UID where none is given.

    Raises
    ------
    PixelsUnavailable
        It is of a kind that is not supported: a blending one, say, or one that subtracts a mask.
    UndecodablePixels
        It is damaged, or larger than anybody's.

    References
    ----------
    PS3.3 A.33.1, A.33.2, A.33.3
    """
    sop_class_uid = (read_texts(attributes, "SOPClassUID") or [""])[0]
    if sop_class_uid not in (GRAYSCALE, COLOR, PSEUDO_COLOR):
        raise PixelsUnavailable("this kind of presentation state is not supported")
    if read_items(attributes, "MaskSubtractionSequence"):
        raise PixelsUnavailable("presentation states that subtract a mask are not supported")
    references = tuple(
        reference
        for series in read_items(attributes, "ReferencedSeriesSequence")
        for reference in read_references(series)
    )
    return PresentationState(
        identity or (read_texts(attributes, "SOPInstanceUID") or [""])[0],
        references,
        read_displayed_areas(attributes),
        read_spatial_transformation(attributes),
        read_shutter(attributes),
        read_layers(attributes),
        read_annotations(attributes),
        tuple(_read_overlay_layers(attributes)),
        sop_class_uid == PSEUDO_COLOR,
        transfer_syntax_uid,
        attributes,
    )


def _read_overlay_layers(attributes: Dataset) -> list[tuple[int, str]]:
    """List the overlay groups that are shown, each with its layer (PS3.3 C.11.7)."""
    tags = ((group, group << 16 | _OVERLAY_ACTIVATION_LAYER) for group in OVERLAY_GROUPS)
    layers = ((group, (read_texts(attributes, tag) or [""])[0]) for group, tag in tags)
    return [(group, layer) for group, layer in layers if layer]
