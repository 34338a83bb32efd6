from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from pacs.errors import ArchiveError, PixelsUnavailable, UndecodablePixels
from pacs.pixels.presentation_state import read_presentation_state
from tests.unit.pacs.pixels.presentation_states import (
    annotation,
    black,
    displayed_area,
    graphic,
    item,
    reference,
    show,
    state_attributes,
    words,
)


def test_a_state_applies_to_the_images_and_frames_that_it_names() -> None:
    series = [
        item(ReferencedImageSequence=[reference("1.1"), reference("1.2", [2, 4])]),
        item(ReferencedImageSequence=[reference("1.3", 7)]),
    ]
    state = read_presentation_state(state_attributes(ReferencedSeriesSequence=series))
    applies = [("1.1", 1), ("1.1", 99), ("1.2", 2), ("1.2", 4), ("1.3", 7)]
    assert all(state.applies_to(*one) for one in applies)
    assert not any(state.applies_to(*one) for one in [("1.2", 1), ("1.3", 1), ("9.9", 1), ("", 1)])


def test_states_of_one_content_have_one_name_and_look() -> None:
    one, other = (read_presentation_state(state_attributes(), identity="sha") for _ in range(2))
    assert one == other and repr(one) == repr(other) == "PresentationState(identity='sha')"


@pytest.mark.parametrize(
    "changes",
    [
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.11.4"},
        {"SOPClassUID": None},
        {"MaskSubtractionSequence": [item(MaskOperation="AVG_SUB")]},
    ],
)
def test_other_kinds_of_states_are_not_shown_as_if_they_were_understood(changes: dict[str, Any]) -> None:
    with pytest.raises(PixelsUnavailable):
        read_presentation_state(state_attributes(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"ImageRotation": 45},
        {"ShutterShape": "CIRCULAR"},
        {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [1, 2, 3, 4]},
        {"DisplayedAreaSelectionSequence": [item(DisplayedAreaTopLeftHandCorner=[1, 1])]},
        {"DisplayedAreaSelectionSequence": [displayed_area((-(2**31), 1), (1, 1))]},
        {"GraphicAnnotationSequence": [annotation([graphic("ELLIPSE", 1, 1, 2, 2)])]},
        {"GraphicAnnotationSequence": [annotation([graphic("SPIRAL", 1, 1, 2, 2)])]},
        {"GraphicAnnotationSequence": [annotation([graphic("POINT", 1, 1, units="MATRIX")])]},
        {"GraphicAnnotationSequence": [annotation([graphic("POINT", 1e30, 1)])]},
        {"GraphicAnnotationSequence": [annotation([graphic("POLYLINE", *range(50_000))])]},
        {"GraphicAnnotationSequence": [annotation(words=[item(UnformattedTextValue="nowhere")])]},
        {"GraphicAnnotationSequence": [annotation([graphic("POINT", 1, 1)] * 2001)]},
        {"GraphicAnnotationSequence": [annotation(words=[words("x" * 3000, (0, 0, 9, 9))])]},
        {"GraphicLayerSequence": [item(GraphicLayer=str(n)) for n in range(33)]},
    ],
)
def test_a_damaged_or_monstrous_state_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UndecodablePixels):
        read_presentation_state(state_attributes(**changes))


def test_a_rescale_beyond_all_numbers_is_refused() -> None:
    with pytest.raises(UndecodablePixels):
        show(black(2, 2), state_attributes(RescaleSlope="1e308", RescaleIntercept="-1e308"))


def test_what_lies_far_away_costs_nothing() -> None:
    shapes = [
        graphic(kind, *numbers, filled="Y")
        for kind, numbers in [
            ("POINT", (999999, -999999)),
            ("POLYLINE", (-999999, -999999, 999999, 999999, 999999, -999999, -999999, -999999)),
            ("CIRCLE", (999999, 999999, 0, 0)),
            ("ELLIPSE", (-999999, 0, 999999, 0, 0, -999999, 0, 999999)),
        ]
    ]
    far = [words("x" * 2000, (-999999, -999999, 999999, 999999)), words("y", (9e5, 9e5, 9.1e5, 9.1e5))]
    state = state_attributes(
        GraphicAnnotationSequence=[annotation(shapes, far)],
        DisplayedAreaSelectionSequence=[displayed_area((1, 1), (1, 1))],
    )
    assert show(black(1, 1), state, size=(2048, 2048)).shape == (2048, 2048)


NUMBERS = st.one_of(
    st.integers(-70000, 70000), st.floats(-100, 100, width=32), st.sampled_from([0, 1e-30, 999999.0])
)
TEXTS = st.text(max_size=30)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "GraphicType": st.sampled_from(["POINT", "POLYLINE", "INTERPOLATED", "CIRCLE", "ELLIPSE", ""]),
    "GraphicData": st.lists(NUMBERS.filter(lambda number: abs(number) < 1e5), max_size=12),
    "GraphicAnnotationUnits": st.sampled_from(["PIXEL", "DISPLAY", "?"]),
    "GraphicFilled": st.sampled_from(["Y", "N", ""]),
}
WORDS: dict[str, st.SearchStrategy[Any]] = {
    "UnformattedTextValue": TEXTS,
    "BoundingBoxAnnotationUnits": st.sampled_from(["PIXEL", "DISPLAY"]),
    "BoundingBoxTopLeftHandCorner": st.lists(NUMBERS, min_size=2, max_size=2),
    "BoundingBoxBottomRightHandCorner": st.lists(NUMBERS, min_size=2, max_size=2),
    "BoundingBoxTextHorizontalJustification": st.sampled_from(["LEFT", "RIGHT", "CENTER", "?"]),
    "AnchorPoint": st.lists(NUMBERS, max_size=3),
    "AnchorPointVisibility": st.sampled_from(["Y", "N"]),
}
SMALL = st.integers(0, 70)
STATE: dict[str, st.SearchStrategy[Any]] = {
    "ImageRotation": st.sampled_from([0, 90, 180, 270, 360, 13]),
    "ImageHorizontalFlip": st.sampled_from(["Y", "N", "?"]),
    "ShutterShape": st.lists(st.sampled_from(["RECTANGULAR", "CIRCULAR", "POLYGONAL", "BITMAP"]), max_size=4),
    "ShutterLeftVerticalEdge": SMALL,
    "ShutterRightVerticalEdge": SMALL,
    "ShutterUpperHorizontalEdge": SMALL,
    "ShutterLowerHorizontalEdge": SMALL,
    "CenterOfCircularShutter": st.lists(SMALL, min_size=1, max_size=3),
    "RadiusOfCircularShutter": SMALL,
    "VerticesOfThePolygonalShutter": st.lists(SMALL, max_size=12),
    "ShutterPresentationValue": st.integers(0, 65535),
    "PresentationLUTShape": st.sampled_from(["IDENTITY", "INVERSE", "?"]),
}


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_whatever_a_state_says_it_is_shown_or_refused_with_our_errors(data: st.DataObject) -> None:
    def some(strategies: dict[str, st.SearchStrategy[Any]]) -> Dataset:
        chosen = {name: data.draw(st.one_of(st.none(), each)) for name, each in strategies.items()}
        return item(**{name: value for name, value in chosen.items() if value is not None})

    corner = st.tuples(st.integers(-50, 50), st.integers(-50, 50))
    area = displayed_area(
        data.draw(corner), data.draw(corner), data.draw(st.sampled_from(["MAGNIFY", "TRUE SIZE"]))
    )
    changes = {element.keyword: element.value for element in some(STATE)}
    state = state_attributes(
        **{
            **changes,
            "DisplayedAreaSelectionSequence": [area] if data.draw(st.booleans()) else [],
            "GraphicAnnotationSequence": [annotation([some(VALUES)], [some(WORDS)])],
        }
    )
    size = data.draw(st.one_of(st.none(), st.tuples(st.integers(1, 90), st.integers(1, 90))))
    try:
        shown = show(black(20, 30), state, size=size)
    except ArchiveError:
        return
    assert shown.dtype == np.uint8 and min(shown.shape[:2]) >= 1
