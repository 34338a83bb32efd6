"""Query parameters of frames and rendered images, checked before anything is done with them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Final

from fastapi import Depends, Request

from pacs.errors import InvalidRequest
from pacs.pictures.annotations import PATIENT, TECHNIQUE
from pacs.pictures.rendering import Rendering
from pacs.pictures.thumbnails import THUMBNAIL
from pacs.pixels.appearance import AS_STORED, Appearance, Region
from pacs.pixels.gsdf import Display
from pacs.pixels.voi import VoiChoice
from pacs.pixels.window import LINEAR, LINEAR_EXACT, SIGMOID, Window
from viewer_api.problems import NotAcceptable

MAX_PARAMETERS: Final = 128
MAX_FRAMES: Final = 100
MAX_VIEWPORT: Final = 8192
_MAX_EXPLANATION: Final = 64  # LO (PS3.5 6.2)

FULL_SIZE: Final = Rendering()
_ANNOTATIONS: Final = (PATIENT, TECHNIQUE)
_COLOR_PROFILES: Final = ("no", "yes", "srgb")
_OTHER_COLOR_SPACES: Final = ("adobergb", "rommrgb")
_PREVIEW: Final = Rendering(Appearance(size=(256, 256)), quality=80)

_UNSIGNED = re.compile(r"\d{1,18}", re.ASCII)
_WINDOW_FUNCTIONS = {"linear": LINEAR, "linear-exact": LINEAR_EXACT, "sigmoid": SIGMOID}
_DECIMAL = re.compile(r"[+-]?(\d{1,12}(\.\d{0,12})?|\.\d{1,12})([eE][+-]?\d{1,2})?", re.ASCII)


def parse_frame_list(text: str) -> list[int]:
    """Parse a list of frame numbers, 1-based.

    Raises
    ------
    InvalidRequest
        An entry is not a positive number, or is there twice, or there are more than 100.

    References
    ----------
    PS3.18 10.1.1
    """
    entries = text.split(",", MAX_FRAMES)
    if len(entries) > MAX_FRAMES:
        raise InvalidRequest(f"more than {MAX_FRAMES} frames in one request")
    if not all(_UNSIGNED.fullmatch(entry.strip()) and int(entry) > 0 for entry in entries):
        raise InvalidRequest("a frame list is made of numbers from 1 on, separated by commas")
    frames = [int(entry) for entry in entries]
    if len(set(frames)) < len(frames):
        raise InvalidRequest("a frame list names no frame twice")
    return frames


def parse_window(text: str) -> Window:
    """Parse ``center,width`` or ``center,width,function``; the function is ``linear`` where it is left out.

    Raises
    ------
    InvalidRequest
        A number is malformed, the width is not above zero, or the function is unknown.

    References
    ----------
    PS3.18 8.3.5.1.4, PS3.3 C.11.2.1.2, C.11.2.1.3
    """
    pieces = [piece.strip() for piece in text.split(",", 3)]
    if len(pieces) not in (2, 3) or not all(_DECIMAL.fullmatch(number) for number in pieces[:2]):
        raise InvalidRequest("window is center,width,function; the first two are numbers")
    function = _WINDOW_FUNCTIONS.get(pieces[2].lower() if len(pieces) == 3 else "linear")
    if function is None:
        raise InvalidRequest(f"the window's function is one of {', '.join(_WINDOW_FUNCTIONS)}")
    return Window(float(pieces[0]), float(pieces[1]), function)


def parse_voi(text: str) -> VoiChoice:
    """Parse which window or VOI LUT of the image is wanted: its place, from 1 on, or its explanation.

    Raises
    ------
    InvalidRequest
        It is neither, or longer than an explanation can be.

    References
    ----------
    PS3.3 C.11.2.1; the parameter is not one of the Standard's
    """
    if len(text) > _MAX_EXPLANATION:
        raise InvalidRequest("voi is the place or the explanation of a window of the image")
    return VoiChoice(index=int(text)) if _UNSIGNED.fullmatch(text) else VoiChoice(explanation=text)


def parse_display(text: str) -> Display:
    """Parse ``darkest,brightest`` or ``darkest,brightest,gamma``: luminances in candela per square metre.

    Raises
    ------
    InvalidRequest
        A number is malformed, or no display is like that.

    References
    ----------
    PS3.14; the parameter is not one of the Standard's
    """
    numbers = [number.strip() for number in text.split(",", 3)]
    if len(numbers) not in (2, 3) or not all(map(_DECIMAL.fullmatch, numbers)):
        raise InvalidRequest("display is darkest,brightest,gamma; all are numbers")
    return Display(*map(float, numbers))


def parse_viewport(text: str, appearance: Appearance = AS_STORED) -> Appearance:
    """Parse ``vw,vh`` or ``vw,vh,sx,sy,sw,sh``; a negative ``sw`` or ``sh`` asks for the mirror image.

    Raises
    ------
    InvalidRequest
        A number is malformed, zero, or larger than 8192 (the viewport) or 65535 (the region).

    References
    ----------
    PS3.18 8.3.5.1.3
    """
    numbers = [number.strip() for number in text.split(",", 6)]
    unsigned = [number.removeprefix("-") if place > 3 else number for place, number in enumerate(numbers)]
    if len(numbers) not in (2, 6) or not all(map(_UNSIGNED.fullmatch, unsigned)):
        raise InvalidRequest("viewport is vw,vh or vw,vh,sx,sy,sw,sh, whole numbers of pixels")
    width, height, *region = map(int, numbers)
    if not (1 <= width <= MAX_VIEWPORT and 1 <= height <= MAX_VIEWPORT):
        raise InvalidRequest(f"the viewport's sides have 1 to {MAX_VIEWPORT} pixels")
    appearance = replace(appearance, size=(width, height))
    if not region:
        return appearance
    left, top, region_width, region_height = region
    if max(map(abs, region)) > 65535 or not (region_width and region_height):
        raise InvalidRequest("the viewport's region is empty or larger than an image can be")
    return replace(
        appearance,
        region=Region(left, top, abs(region_width), abs(region_height)),
        flipped_horizontally=region_width < 0,
        flipped_vertically=region_height < 0,
    )


def parse_rendering(parameters: Sequence[tuple[str, str]], preset: Rendering = FULL_SIZE) -> Rendering:
    """Understand the parameters of a rendered resource; others are left alone (PS3.18 8.3).

    Parameters
    ----------
    preset
        What it is like where the client does not say.

    Raises
    ------
    InvalidRequest
        A value is not of its parameter's form.

    References
    ----------
    PS3.18 8.3.5.1
    """
    found = dict(parameters)
    quality = parse_unsigned(parameters, "quality", preset.quality)
    if not 1 <= quality <= 100:
        raise InvalidRequest("quality is 1 to 100")
    appearance = preset.appearance
    if window := found.get("window"):
        appearance = replace(appearance, voi=parse_window(window))
    if voi := found.get("voi"):
        if window:
            raise InvalidRequest("a picture has one window: window or voi")
        appearance = replace(appearance, voi=parse_voi(voi))
    if display := found.get("display"):
        appearance = replace(appearance, display=parse_display(display))
    if viewport := found.get("viewport"):
        appearance = parse_viewport(viewport, appearance)
    return replace(
        preset,
        appearance=appearance,
        quality=quality,
        annotations=parse_annotations(found.get("annotation", "")),
        has_profile=parse_color_profile(found.get("iccprofile", "")),
    )


def parse_annotations(text: str) -> tuple[str, ...]:
    """Parse what is to be burnt into a picture: some of ``patient`` and ``technique``, by commas.

    Raises
    ------
    InvalidRequest
        It is something else.

    References
    ----------
    PS3.18 8.3.5.1.1
    """
    wanted = {word.strip() for word in text.split(",", len(_ANNOTATIONS))} if text else set()
    if not wanted <= set(_ANNOTATIONS):
        raise InvalidRequest(f"annotation is a list of {' and '.join(_ANNOTATIONS)}")
    return tuple(sorted(wanted))


def parse_color_profile(text: str) -> bool:
    """Tell whether a picture's file is to say what its colours are, which always are those of sRGB.

    Raises
    ------
    InvalidRequest
        The value is not one of the Standard's.
    NotAcceptable
        It is another colour space than sRGB, which is the only one offered.

    References
    ----------
    PS3.18 8.3.5.1.5
    """
    if text in _OTHER_COLOR_SPACES:
        raise NotAcceptable([f"iccprofile={one}" for one in _COLOR_PROFILES])
    if text not in _COLOR_PROFILES and text:
        raise InvalidRequest("iccprofile is no, yes, srgb, adobergb or rommrgb")
    return text in ("yes", "srgb")


def read_rendering(request: Request) -> Rendering:
    """Read how the image of a request is to be rendered. Raises InvalidRequest."""
    return parse_rendering(request.query_params.multi_items())


def read_thumbnail(request: Request) -> Rendering:
    """Read how a thumbnail is to be rendered. Raises InvalidRequest."""
    return parse_rendering(request.query_params.multi_items(), THUMBNAIL)


def read_preview(request: Request) -> Rendering:
    """Read how a preview is to be rendered. Raises InvalidRequest."""
    return parse_rendering(request.query_params.multi_items(), _PREVIEW)


async def _rendering(request: Request) -> Rendering:
    return read_rendering(request)


async def _thumbnail(request: Request) -> Rendering:
    return read_thumbnail(request)


async def _preview(request: Request) -> Rendering:
    return read_preview(request)


RenderingParameters = Annotated[Rendering, Depends(_rendering)]
ThumbnailParameters = Annotated[Rendering, Depends(_thumbnail)]
PreviewParameters = Annotated[Rendering, Depends(_preview)]


def parse_unsigned(parameters: Sequence[tuple[str, str]], name: str, default: int) -> int:
    """Read a parameter that is one whole number, not negative; the default where it is absent or empty.

    Raises
    ------
    InvalidRequest
        It is something else.
    """
    values = [value for key, value in parameters if key == name]
    if not values or values == [""]:
        return default
    if len(values) > 1 or not _UNSIGNED.fullmatch(values[0]):
        raise InvalidRequest(f"{name} is one whole number, not negative")
    return int(values[0])
