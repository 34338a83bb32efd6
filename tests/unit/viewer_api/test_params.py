from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs.errors import InvalidRequest
from pacs.pictures.rendering import Rendering
from pacs.pixels.appearance import Appearance, Region
from pacs.pixels.gsdf import Display
from pacs.pixels.voi import VoiChoice
from pacs.pixels.window import Window
from viewer_api.params import (
    parse_annotations,
    parse_color_profile,
    parse_display,
    parse_frame_list,
    parse_rendering,
    parse_viewport,
    parse_voi,
    parse_window,
)
from viewer_api.problems import NotAcceptable


def test_frame_lists() -> None:
    assert parse_frame_list("3") == [3]
    assert parse_frame_list("1, 2,10") == [1, 2, 10]


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "1,1", "1,", "a", "1;2", "1.5", "1" * 30, ",".join(map(str, range(1, 102))), "٣"]
)
def test_a_bad_frame_list_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_frame_list(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("40,400,linear", Window(40, 400, "LINEAR")),
        ("40,400", Window(40, 400, "LINEAR")),
        ("-600.5, 1500, linear-exact", Window(-600.5, 1500, "LINEAR_EXACT")),
        ("1e3,2E+2,SIGMOID", Window(1000, 200, "SIGMOID")),
    ],
)
def test_windows(text: str, expected: Window) -> None:
    assert parse_window(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "40",
        "40,",
        ",400,linear",
        "40,400,cubic",
        "40,0,linear",
        "40,-1,linear",
        "nan,1,linear",
        "1,2,linear,3",
    ],
)
def test_a_bad_window_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_window(text)


def test_vois() -> None:
    assert parse_voi("2") == VoiChoice(index=2)
    assert parse_voi("BONE 2") == VoiChoice(explanation="BONE 2")
    assert parse_rendering([("voi", "1")]).appearance.voi == VoiChoice(index=1)


def test_displays() -> None:
    assert parse_display("0.5,500") == Display(0.5, 500)
    assert parse_rendering([("display", "1, 250, 1.8")]).appearance.display == Display(1, 250, 1.8)


@pytest.mark.parametrize(
    "parameters",
    [
        [("voi", "0")],
        [("voi", "x" * 65)],
        [("voi", "1"), ("window", "1,2")],
        [("display", "1")],
        [("display", "1,x")],
        [("display", "500,1")],
        [("display", "1,2,3,4")],
        [("display", "1,1e99")],
    ],
)
def test_a_bad_voi_or_display_is_refused(parameters: list[tuple[str, str]]) -> None:
    with pytest.raises(InvalidRequest):
        parse_rendering(parameters)


def test_viewports() -> None:
    assert parse_viewport("256,256") == Appearance(size=(256, 256))
    region = Appearance(region=Region(0, 1, 20, 30), size=(100, 50))
    assert parse_viewport("100,50,0,1,20,30") == region
    assert parse_viewport("100,50,0,1,-20,30") == replace(region, flipped_horizontally=True)
    assert parse_viewport("100,50,0,1,20,-30") == replace(region, flipped_vertically=True)


@pytest.mark.parametrize(
    "text",
    [
        "256",
        "0,1",
        "-1,5",
        "99999,1",
        "a,b",
        "1,2,3,4",
        "1,2,0,0,0,5",
        "1,2,0,0,--5,5",
        "1,2,-1,0,5,5",
        "1,2,0,0,-,5",
        "1,2,0,0,9,99999",
    ],
)
def test_a_bad_viewport_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_viewport(text)


def test_parameters_that_are_not_for_rendering_are_left_alone() -> None:
    assert parse_rendering([("charset", "utf-8"), ("limit", "1")]) == Rendering()


def test_annotations() -> None:
    assert parse_annotations("") == ()
    assert parse_annotations("technique, patient") == parse_annotations("patient,technique")
    for text in ("name", "patient,name", "patient,", "x" * 99):
        with pytest.raises(InvalidRequest):
            parse_annotations(text)


def test_color_profiles() -> None:
    assert [parse_color_profile(text) for text in ("", "no", "yes", "srgb")] == [False, False, True, True]
    with pytest.raises(InvalidRequest):
        parse_color_profile("cmyk")
    for text in ("adobergb", "rommrgb"):
        with pytest.raises(NotAcceptable):
            parse_color_profile(text)


@pytest.mark.parametrize("quality", ["0", "101", "x", "-5"])
def test_quality_is_1_to_100(quality: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_rendering([("quality", quality)])
    assert parse_rendering([("quality", "100")]).quality == 100


@given(st.text(alphabet="0123456789,.-+eEinfa ", max_size=30))
def test_any_window_and_viewport_is_understood_or_refused(text: str) -> None:
    for parse in (parse_window, parse_viewport, parse_frame_list, parse_voi, parse_display):
        try:
            assert parse(text)
        except InvalidRequest:
            continue
