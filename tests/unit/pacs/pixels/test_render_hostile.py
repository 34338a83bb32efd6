"""Whatever an image says of its looks, there is a picture of it or one of our errors."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from pacs.errors import ArchiveError
from pacs.pixels.appearance import Appearance
from pacs.pixels.description import describe_pixels
from pacs.pixels.presentation_description import describe_presentation
from pacs.pixels.render import render_frame
from pacs.pixels.voi import VoiChoice
from pacs.pixels.window import Window
from tests.unit.pacs.pixels.images import EXPLICIT, image_attributes
from tests.unit.pacs.pixels.test_overlays import add_plane

DECIMALS = st.one_of(
    st.sampled_from(["", "0", "-0", "1e308", "-1e308", "1e-308", "1", "-1"]),
    st.floats(-5000, 5000, width=16).map(lambda number: f"{number:.6g}"),
)
MANY_DECIMALS = st.lists(DECIMALS, max_size=3)
WORDS = st.integers(0, 65535)
TABLES = st.tuples(
    st.lists(WORDS, max_size=4), st.lists(WORDS, max_size=9), st.binary(max_size=9), st.booleans()
)
VALUES: dict[str, tuple[str, st.SearchStrategy[Any]]] = {
    "RescaleSlope": ("DS", DECIMALS),
    "RescaleIntercept": ("DS", DECIMALS),
    "WindowCenter": ("DS", MANY_DECIMALS),
    "WindowWidth": ("DS", MANY_DECIMALS),
    "VOILUTFunction": ("CS", st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID", "OTHER", ""])),
    "PixelPaddingValue": ("US", WORDS),
    "PixelPaddingRangeLimit": ("US", WORDS),
    "PresentationLUTShape": ("CS", st.sampled_from(["IDENTITY", "INVERSE", "OTHER"])),
    "PixelPresentation": ("CS", st.sampled_from(["COLOR", "MONOCHROME"])),
    "PixelSpacing": ("DS", MANY_DECIMALS),
    "PixelAspectRatio": ("IS", st.lists(st.integers(-5, 50), max_size=3)),
    "ICCProfile": ("OB", st.binary(max_size=200)),
}
LUTS = ("ModalityLUTSequence", "VOILUTSequence", "PresentationLUTSequence")
PALETTE = ("RedPaletteColorLookupTable", "GreenPaletteColorLookupTable", "BluePaletteColorLookupTable")


def table(descriptor: list[int], entries: list[int], packed: bytes, is_packed: bool) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", descriptor)
    item.add_new("LUTData", "OW" if is_packed else "US", packed if is_packed else entries)
    return item


@st.composite
def images(draw: st.DrawFn) -> Dataset:
    bits = draw(st.sampled_from([8, 16, 32]))
    interpretations = ["MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB"][: 4 if bits == 8 else 3]
    name = draw(st.sampled_from(interpretations))
    attributes = image_attributes(
        BitsAllocated=bits,
        BitsStored=draw(st.integers(1, bits)),
        PixelRepresentation=draw(st.integers(0, 1)),
        PhotometricInterpretation=name,
        SamplesPerPixel=3 if name == "RGB" else 1,
    )
    for keyword, (vr, strategy) in VALUES.items():
        if draw(st.booleans()):
            attributes.add_new(keyword, vr, draw(strategy))
    for keyword in LUTS:
        if draw(st.integers(0, 3)) == 0:
            setattr(attributes, keyword, [table(*draw(TABLES))])
    for prefix in PALETTE:
        if draw(st.booleans()):
            attributes.add_new(f"{prefix}Descriptor", "US", draw(st.lists(WORDS, max_size=4)))
            attributes.add_new(f"{prefix}Data", "OW", draw(st.binary(max_size=9)))
    return add_plane(attributes) if draw(st.booleans()) else attributes


@settings(max_examples=150, deadline=None)
@given(
    images(),
    st.one_of(st.none(), st.integers(1, 3).map(VoiChoice), st.just(Window(3, 4, "SIGMOID"))),
    st.one_of(st.none(), st.tuples(st.integers(1, 20), st.integers(1, 20))),
    st.integers(0, 2**32),
)
def test_whatever_an_image_says_it_is_shown_or_refused_with_our_errors(
    attributes: Dataset, voi: Any, size: tuple[int, int] | None, seed: int
) -> None:
    try:
        description = describe_pixels(attributes, EXPLICIT)
        limits = np.iinfo(description.dtype)
        random = np.random.default_rng(seed)
        stored = random.integers(
            limits.min, limits.max, description.frame_shape, description.dtype, endpoint=True
        )
        shown = render_frame(stored, attributes, description, 0, Appearance(voi=voi, size=size))
        if description.is_monochrome:
            describe_presentation(stored, attributes, description, 0)
    except ArchiveError:
        return
    assert shown.dtype == np.uint8 and min(shown.shape[:2]) >= 1
