"""Every feature of a presentation state against a phantom whose picture is worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pacs.errors import InvalidRequest
from pacs.pixels.window import Window
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
from tests.unit.pacs.pixels.test_grayscale import table_item
from tests.unit.pacs.pixels.test_icc import profile_with_red_and_blue_exchanged
from tests.unit.pacs.pixels.test_overlays import PLANE, add_plane
from tests.unit.pacs.pixels.test_render import add_palette

RAMP = np.array([[0, 64, 128, 255]], np.uint8)
PICTURE = np.arange(1, 7, dtype=np.uint8).reshape(2, 3)
EXACT = "LINEAR_EXACT"


def drawn(picture: np.ndarray) -> list[str]:
    return ["".join("#" if pixel else "." for pixel in row) for row in picture]


# Grayscale


def test_what_the_state_does_not_state_is_an_identity_whatever_the_image_says() -> None:
    image = {
        "RescaleSlope": 2,
        "RescaleIntercept": 10,
        "WindowCenter": 10,
        "WindowWidth": 2,
        "PhotometricInterpretation": "MONOCHROME1",
    }
    assert show(RAMP, state_attributes(), image).tolist() == RAMP.tolist()


def test_the_identity_spans_the_bits_of_the_image() -> None:
    stored = np.array([[0, 2048, 4095]], np.uint16)
    image = {"BitsAllocated": 16, "BitsStored": 12}
    assert show(stored, state_attributes(), image).tolist() == [[0, 127, 255]]


def test_the_rescale_of_the_state_comes_before_its_window() -> None:
    voi = item(WindowCenter=100, WindowWidth=200, VOILUTFunction=EXACT)
    state = state_attributes(RescaleSlope=2, RescaleIntercept=-28, SoftcopyVOILUTSequence=[voi])
    assert show(RAMP, state).tolist() == [[0, 127, 255, 255]]


def test_the_tables_of_the_state_are_looked_up_one_after_the_other() -> None:
    state = state_attributes(
        ModalityLUTSequence=[table_item(0, [255 - n for n in range(256)], 8)],
        SoftcopyVOILUTSequence=[item(VOILUTSequence=[table_item(0, [min(n, 127) for n in range(256)], 7)])],
        PresentationLUTShape=None,
        PresentationLUTSequence=[table_item(0, [0, 1023], 10)],
    )
    # 255, 191, 127 and 0 after the Modality LUT; 127, 127, 127 and 0 of 127 after the VOI LUT
    assert show(RAMP, state).tolist() == [[255, 255, 255, 0]]


def test_an_inverse_presentation_lut_shows_the_lowest_value_white() -> None:
    assert show(RAMP, state_attributes(PresentationLUTShape="INVERSE")).tolist() == [[255, 191, 127, 0]]


def test_the_window_is_that_of_the_image_and_the_frame() -> None:
    others = [
        item(ReferencedImageSequence=[reference("9.9")], WindowCenter=1, WindowWidth=2),
        item(ReferencedImageSequence=[reference(frames=[2, 3])], WindowCenter=1, WindowWidth=2),
    ]
    own = item(
        ReferencedImageSequence=[reference(frames=1)], WindowCenter=64, WindowWidth=128, VOILUTFunction=EXACT
    )
    state = state_attributes(SoftcopyVOILUTSequence=[*others, own])
    assert show(RAMP, state).tolist() == [[0, 127, 255, 255]]


def test_a_state_of_another_image_and_a_window_beside_it_are_invalid_requests() -> None:
    other = state_attributes(ReferencedSeriesSequence=[item(ReferencedImageSequence=[reference("9.9")])])
    with pytest.raises(InvalidRequest):
        show(RAMP, other)
    with pytest.raises(InvalidRequest):
        show(RAMP, state_attributes(), voi=Window(1, 2))


# Place and size


@pytest.mark.parametrize(
    ("rotation", "flip", "shown"),
    [
        (0, "N", [[1, 2, 3], [4, 5, 6]]),
        (90, "N", [[4, 1], [5, 2], [6, 3]]),
        (180, "N", [[6, 5, 4], [3, 2, 1]]),
        (270, "N", [[3, 6], [2, 5], [1, 4]]),
        (0, "Y", [[3, 2, 1], [6, 5, 4]]),
        (90, "Y", [[1, 4], [2, 5], [3, 6]]),
    ],
)
def test_the_image_is_turned_clockwise_and_then_flipped(rotation: int, flip: str, shown: Any) -> None:
    assert show(PICTURE, state_attributes(ImageRotation=rotation, ImageHorizontalFlip=flip)).tolist() == shown


def test_the_displayed_area_is_cut_out_by_its_corners() -> None:
    state = state_attributes(DisplayedAreaSelectionSequence=[displayed_area((2, 1), (3, 2))])
    assert show(PICTURE, state).tolist() == [[2, 3], [5, 6]]


def test_the_corners_of_a_turned_area_are_those_of_the_display() -> None:
    # Turned by 90 degrees, row 2 and column 2 come to the top left, row 1 and column 3 to the bottom right
    area = displayed_area((2, 2), (3, 1))
    state = state_attributes(DisplayedAreaSelectionSequence=[area], ImageRotation=90)
    assert show(PICTURE, state).tolist() == [[5, 2], [6, 3]]


def test_an_area_beyond_the_image_is_black_there() -> None:
    state = state_attributes(DisplayedAreaSelectionSequence=[displayed_area((0, 0), (4, 2))])
    assert show(PICTURE, state).tolist() == [[0] * 5, [0, 1, 2, 3, 0], [0, 4, 5, 6, 0]]


def test_the_area_is_that_of_the_image() -> None:
    other = displayed_area((1, 1), (1, 1), ReferencedImageSequence=[reference("9.9")])
    own = displayed_area((2, 1), (2, 2), ReferencedImageSequence=[reference()])
    assert show(PICTURE, state_attributes(DisplayedAreaSelectionSequence=[other, own])).tolist() == [[2], [5]]


@pytest.mark.parametrize(
    ("mode", "more", "size", "shape"),
    [
        ("SCALE TO FIT", {}, None, (20, 30)),
        ("SCALE TO FIT", {}, (60, 60), (40, 60)),
        ("SCALE TO FIT", {}, (15, 60), (10, 15)),
        ("TRUE SIZE", {"PresentationPixelSpacing": [1, 1]}, (60, 60), (20, 30)),
        ("MAGNIFY", {"PresentationPixelMagnificationRatio": 3}, None, (60, 90)),
        ("MAGNIFY", {"PresentationPixelMagnificationRatio": 0.5}, None, (10, 15)),
        ("MAGNIFY", {"PresentationPixelMagnificationRatio": 3}, (60, 60), (40, 60)),
        ("SCALE TO FIT", {"PresentationPixelAspectRatio": [2, 1]}, None, (40, 30)),
        ("SCALE TO FIT", {"PresentationPixelSpacing": [1, 2]}, None, (20, 60)),
    ],
)
def test_the_size_mode_says_how_large_the_area_is_shown(
    mode: str, more: dict[str, Any], size: tuple[int, int] | None, shape: tuple[int, int]
) -> None:
    area = displayed_area((1, 1), (30, 20), mode, **more)
    state = state_attributes(DisplayedAreaSelectionSequence=[area])
    assert show(black(20, 30), state, size=size).shape == shape
    turned = state_attributes(DisplayedAreaSelectionSequence=[area], ImageRotation=90)
    turned_size = None if size is None else size[::-1]
    assert show(black(20, 30), turned, size=turned_size).shape == shape[::-1]


@pytest.mark.parametrize("size", [None, (20_000, 6_000)])
def test_what_a_state_enlarges_has_a_bound(size: tuple[int, int] | None) -> None:
    area = displayed_area((1, 1), (500, 400), "MAGNIFY", PresentationPixelMagnificationRatio=20)
    shown = show(black(20, 30), state_attributes(DisplayedAreaSelectionSequence=[area]), size=size)
    assert (1 << 24) - 10_000 < shown.size <= 1 << 24
    assert shown.shape[1] / shown.shape[0] == pytest.approx(500 / 400, rel=0.001)


# Shutters


WHITE_IMAGE = np.full((5, 7), 255, np.uint8)


@pytest.mark.parametrize(
    ("shutter", "shown"),
    [
        (
            {
                "ShutterShape": "RECTANGULAR",
                "ShutterLeftVerticalEdge": 2,
                "ShutterRightVerticalEdge": 4,
                "ShutterUpperHorizontalEdge": 3,
                "ShutterLowerHorizontalEdge": 4,
            },
            [".......", ".......", ".###...", ".###...", "......."],
        ),
        (
            {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": [3, 4], "RadiusOfCircularShutter": 2},
            ["...#...", "..###..", ".#####.", "..###..", "...#..."],
        ),
        (
            {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [1, 1, 1, 7, 4, 7, 4, 1]},
            ["#######", "#######", "#######", "#######", "......."],
        ),
        (
            {
                "ShutterShape": ["RECTANGULAR", "CIRCULAR"],
                "ShutterLeftVerticalEdge": 4,
                "ShutterRightVerticalEdge": 7,
                "ShutterUpperHorizontalEdge": 1,
                "ShutterLowerHorizontalEdge": 5,
                "CenterOfCircularShutter": [3, 4],
                "RadiusOfCircularShutter": 1,
            },
            [".......", "...#...", "...##..", "...#...", "......."],
        ),
    ],
)
def test_a_shutter_hides_what_lies_outside_of_all_its_shapes(shutter: Any, shown: list[str]) -> None:
    assert drawn(show(WHITE_IMAGE, state_attributes(**shutter))) == shown


def test_a_circular_shutter_is_round_on_the_display_where_pixels_are_not_square() -> None:
    shutter = {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": [3, 4], "RadiusOfCircularShutter": 2}
    shown = show(WHITE_IMAGE, state_attributes(**shutter), {"PixelSpacing": [2, 1]})
    assert drawn(shown) == [".......", "...#...", ".#####.", "...#...", "......."]


def test_what_a_shutter_hides_has_its_presentation_value() -> None:
    shutter: dict[str, Any] = {
        "ShutterShape": "RECTANGULAR",
        "ShutterLeftVerticalEdge": 2,
        "ShutterRightVerticalEdge": 3,
        "ShutterUpperHorizontalEdge": 1,
        "ShutterLowerHorizontalEdge": 1,
        "ShutterPresentationValue": 0x8080,
    }
    assert show(PICTURE, state_attributes(**shutter)).tolist() == [[128, 2, 3], [128, 128, 128]]


def test_a_bitmap_shutter_hides_what_its_overlay_covers() -> None:
    state = add_plane(state_attributes(ShutterShape="BITMAP", ShutterOverlayGroup=0x6002), 0x6002)
    shown = show(np.full((4, 6), 255, np.uint8), state)
    assert np.array_equal(shown == 0, PLANE)


# Graphics


def test_a_polyline_covers_the_pixels_that_its_points_are_in() -> None:
    state = state_attributes(
        GraphicAnnotationSequence=[annotation([graphic("POLYLINE", 1.5, 1.5, 4.5, 1.5, 4.5, 3.5)])]
    )
    assert drawn(show(black(5, 6), state)) == ["......", ".####.", "....#.", "....#.", "......"]


def test_a_point_is_the_pixel_that_it_lies_in() -> None:
    state = state_attributes(GraphicAnnotationSequence=[annotation([graphic("POINT", 2.9, 1.1)])])
    assert drawn(show(black(3, 5), state)) == [".....", "..#..", "....."]


def test_display_units_are_parts_of_the_displayed_area_as_it_is_shown() -> None:
    line = graphic("POLYLINE", 0.1, 0.3, 0.9, 0.3, units="DISPLAY")
    state = state_attributes(
        ImageRotation=90,
        DisplayedAreaSelectionSequence=[displayed_area((1, 1), (5, 5))],
        GraphicAnnotationSequence=[annotation([line])],
    )
    assert drawn(show(black(5, 9), state)) == [".....", "#####", ".....", ".....", "....."]


def test_pixel_units_turn_with_the_image() -> None:
    line = graphic("POLYLINE", 0.5, 0.5, 2.5, 0.5)
    state = state_attributes(ImageRotation=90, GraphicAnnotationSequence=[annotation([line])])
    assert drawn(show(black(2, 4), state)) == [".#", ".#", ".#", ".."]


def test_a_circle_goes_through_its_second_point() -> None:
    state = state_attributes(
        GraphicAnnotationSequence=[annotation([graphic("CIRCLE", 10.5, 10.5, 15.5, 10.5)])]
    )
    shown = show(black(21, 21), state)
    ys, xs = np.nonzero(shown)
    assert np.abs(np.hypot(xs - 10, ys - 10) - 5).max() < 1
    assert shown[10, 15] and shown[10, 5] and shown[15, 10] and shown[5, 10] and not shown[10, 10]


def test_an_ellipse_has_its_axes_and_may_be_filled() -> None:
    shape = graphic("ELLIPSE", 2.5, 10.5, 18.5, 10.5, 10.5, 6.5, 10.5, 14.5, filled="Y")
    shown = show(black(21, 21), state_attributes(GraphicAnnotationSequence=[annotation([shape])]))
    ys, xs = np.mgrid[:21, :21]
    distance = np.hypot((xs - 10) / 8, (ys - 10) / 4)
    assert shown[distance < 0.85].all() and not shown[distance > 1.2].any()
    assert shown[10, 2] and shown[10, 18] and shown[6, 10] and shown[14, 10]


def test_a_filled_polyline_covers_its_inside() -> None:
    square = graphic("POLYLINE", 1.5, 1.5, 4.5, 1.5, 4.5, 3.5, 1.5, 3.5, 1.5, 1.5, filled="Y")
    state = state_attributes(GraphicAnnotationSequence=[annotation([square])])
    assert drawn(show(black(5, 6), state)) == ["......", ".####.", ".####.", ".####.", "......"]


def test_an_interpolated_line_is_smooth_and_goes_through_all_points() -> None:
    points = [(2.5, 10.5), (7.5, 2.5), (12.5, 10.5), (17.5, 18.5)]
    line = graphic("INTERPOLATED", *(number for point in points for number in point))
    shown = show(black(21, 21), state_attributes(GraphicAnnotationSequence=[annotation([line])]))
    assert all(shown[int(y), int(x)] for x, y in points)
    assert shown[:3].any() and not shown[0].any()


def test_a_line_that_leaves_the_picture_is_cut_off_there() -> None:
    line = graphic("POLYLINE", -900000, 1.5, 900000, 1.5)
    shown = show(black(3, 5), state_attributes(GraphicAnnotationSequence=[annotation([line])]))
    assert drawn(shown) == [".....", "#####", "....."]


def test_graphics_of_other_images_are_not_shown() -> None:
    line = graphic("POLYLINE", 0.5, 0.5, 3.5, 0.5)
    other = annotation([line], ReferencedImageSequence=[reference("9.9")])
    assert not show(black(3, 5), state_attributes(GraphicAnnotationSequence=[other])).any()


# Layers


def layer(name: str, order: int, gray: int | None = None, **more: Any) -> Any:
    made = item(GraphicLayer=name, GraphicLayerOrder=order, **more)
    if gray is not None:
        made.GraphicLayerRecommendedDisplayGrayscaleValue = gray
    return made


def test_higher_layers_lie_over_lower_ones_in_their_own_gray() -> None:
    across, down = graphic("POLYLINE", 0.5, 1.5, 2.5, 1.5), graphic("POLYLINE", 1.5, 0.5, 1.5, 2.5)
    state = state_attributes(
        GraphicLayerSequence=[layer("TOP", 2, 0xFFFF), layer("BELOW", 1, 0x8080)],
        GraphicAnnotationSequence=[annotation([down], layer="TOP"), annotation([across], layer="BELOW")],
    )
    assert show(black(3, 3), state).tolist() == [[0, 255, 0], [128, 255, 128], [0, 255, 0]]


def test_a_layer_may_have_a_colour() -> None:
    lab = [0x876B, 0xD025, 0xC339]  # L* 52.9, a* 79.4, b* 66.5: close to pure red of sRGB
    state = state_attributes(
        GraphicLayerSequence=[layer("L", 1, GraphicLayerRecommendedDisplayCIELabValue=lab)],
        GraphicAnnotationSequence=[annotation([graphic("POINT", 0.5, 0.5)])],
    )
    shown = show(black(1, 2), state)
    red, green, blue = shown[0, 0].tolist()
    assert red > 240 and green < 40 and blue < 40 and shown[0, 1].tolist() == [0, 0, 0]


@pytest.mark.parametrize("rgb", [[255, 128, 0], [65535, 32896, 0]])
def test_a_layer_may_have_its_colour_as_it_was_written_formerly(rgb: list[int]) -> None:
    state = state_attributes(
        GraphicLayerSequence=[layer("L", 1, GraphicLayerRecommendedDisplayRGBValue=rgb)],
        GraphicAnnotationSequence=[annotation([graphic("POINT", 0.5, 0.5)])],
    )
    assert show(black(1, 2), state)[0, 0].tolist() == [255, 128, 0]


def test_an_overlay_is_shown_only_where_a_layer_is_named_for_it() -> None:
    state = add_plane(state_attributes())
    assert not show(black(4, 6), state).any()
    state.add_new((0x6000, 0x1001), "CS", "L")
    assert np.array_equal(show(black(4, 6), state) == 255, PLANE)


# Words


def test_words_are_written_within_their_box() -> None:
    state = state_attributes(GraphicAnnotationSequence=[annotation(words=[words("Hx", (20, 10, 120, 40))])])
    shown = show(black(60, 160), state)
    ys, xs = np.nonzero(shown)
    assert 20 <= xs.min() < 24 and ys.min() >= 10 and xs.max() < 120 and ys.max() < 40
    assert ys.max() - ys.min() > 12


@pytest.mark.parametrize(
    ("align", "low", "high"), [("LEFT", 0, 60), ("CENTER", 60, 140), ("RIGHT", 140, 200)]
)
def test_words_lie_in_their_box_as_they_are_justified(align: str, low: int, high: int) -> None:
    text = words("I", (0, 0, 200, 20))
    text.BoundingBoxTextHorizontalJustification = align
    shown = show(black(20, 200), state_attributes(GraphicAnnotationSequence=[annotation(words=[text])]))
    xs = np.nonzero(shown)[1]
    assert low <= xs.min() and xs.max() < high


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_words_turn_with_the_image(rotation: int) -> None:
    state = state_attributes(
        GraphicAnnotationSequence=[annotation(words=[words("Gãy xương", (10, 10, 110, 30))])]
    )
    upright = show(black(60, 160), state)
    state.ImageRotation = rotation
    assert np.array_equal(show(black(60, 160), state), np.rot90(upright, -rotation // 90))


def test_vietnamese_letters_are_all_drawn_and_all_different() -> None:
    letters = "aáàảãạăắằẳẵặâấầẩẫậđeéèẻẽẹêếềểễệiíìỉĩịoóòỏõọôốồổỗộơớờởỡợuúùủũụưứừửữựyýỳỷỹỵ"
    pictures = set()
    for letter in letters:
        state = state_attributes(
            GraphicAnnotationSequence=[annotation(words=[words(letter, (0, 0, 90, 60))])]
        )
        pictures.add(show(black(70, 90), state).tobytes())
    assert len(pictures) == len(letters)


def test_words_in_a_box_without_size_can_be_read() -> None:
    state = state_attributes(GraphicAnnotationSequence=[annotation(words=[words("Hx", (9, 9, 9, 9))])])
    shown = show(black(800, 900), state)
    ys = np.nonzero(shown)[0]
    assert ys.max() - ys.min() >= 7


def test_words_can_be_read_on_a_ground_of_their_own_colour() -> None:
    state = state_attributes(GraphicAnnotationSequence=[annotation(words=[words("Hx", (0, 0, 90, 60))])])
    on_black, on_white = show(black(60, 90), state), show(np.full((60, 90), 255, np.uint8), state)
    assert (on_white[on_black == 255] == 255).all() and (on_white == 0).sum() > 50


def test_decomposed_letters_are_drawn_like_composed_ones() -> None:
    composed, decomposed = (
        show(
            black(30, 120),
            state_attributes(GraphicAnnotationSequence=[annotation(words=[words(text, (0, 0, 120, 30))])]),
        )
        for text in ("Nguyễn", "Nguye\u0302\u0303n")
    )
    assert np.array_equal(composed, decomposed) and composed.any()


def test_words_at_an_anchor_begin_there_and_a_visible_anchor_is_joined_to_its_box() -> None:
    at_anchor = item(UnformattedTextValue="X", AnchorPointAnnotationUnits="DISPLAY", AnchorPoint=[0.5, 0.5])
    shown = show(black(80, 80), state_attributes(GraphicAnnotationSequence=[annotation(words=[at_anchor])]))
    ys, xs = np.nonzero(shown)
    assert 40 <= xs.min() < 44 and 40 <= ys.min() < 44
    joined = words(
        "X",
        (50, 5, 70, 20),
        AnchorPointAnnotationUnits="PIXEL",
        AnchorPoint=[5.5, 60.5],
        AnchorPointVisibility="Y",
    )
    shown = show(black(80, 80), state_attributes(GraphicAnnotationSequence=[annotation(words=[joined])]))
    assert shown[60, 5] and shown[30:50, 15:40].any()


# Colour


def test_a_pseudo_colour_state_gives_grays_the_colours_of_its_palette() -> None:
    state = state_attributes(SOPClassUID="1.2.840.10008.5.1.4.1.1.11.3", PresentationLUTShape=None)
    add_palette(state, 0, [(0, 0, 9), (200, 0, 0), (255, 255, 0)])
    shown = show(np.array([[0, 127, 255]], np.uint8), state)
    assert shown.tolist() == [[[0, 0, 9], [200, 0, 0], [255, 255, 0]]]


def test_a_colour_state_shows_colours_by_its_own_profile() -> None:
    state = state_attributes(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.11.2",
        PresentationLUTShape=None,
        ICCProfile=profile_with_red_and_blue_exchanged(),
        ImageHorizontalFlip="Y",
    )
    stored = np.array([[[200, 100, 50], [10, 20, 30]]], np.uint8)
    image = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    shown = show(stored, state, image)
    assert np.abs(shown.astype(int) - [[[30, 20, 10], [50, 100, 200]]]).max() <= 2
