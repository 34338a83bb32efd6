"""Query parameters of searches and of rendered images, checked before anything is done with them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Final

from fastapi import Depends, Request

from pacs.dicom.attributes import ATTRIBUTES, Attribute, Level, SequenceKey, find_key
from pacs.errors import InvalidRequest
from pacs.index.records import Query
from pacs.pixels.window import LINEAR, LINEAR_EXACT, SIGMOID, Window
from viewer_api.dicom_json import SEQUENCE_TAGS

MAX_RESULTS: Final = 1000
MAX_OFFSET: Final = 1_000_000
MAX_PARAMETERS: Final = 128
MAX_FRAMES: Final = 100
MAX_VIEWPORT: Final = 8192
DEFAULT_QUALITY: Final = 90

_ALL = "all"
# Not matching keys (PS3.18 8.3.3, 8.3.4). Names are always matched blind to case and diacritics, so that
# fuzzymatching changes nothing; the other two forms of matching are not offered.
_OPTIONS = frozenset(
    {
        *("accept", "charset", "includefield", "limit", "offset"),
        *("fuzzymatching", "emptyvaluematching", "multiplevaluematching"),
    }
)
_UNSIGNED = re.compile(r"\d{1,18}", re.ASCII)
_WINDOW_FUNCTIONS = {"linear": LINEAR, "linear-exact": LINEAR_EXACT, "sigmoid": SIGMOID}
_DECIMAL = re.compile(r"[+-]?(\d{1,12}(\.\d{0,12})?|\.\d{1,12})([eE][+-]?\d{1,2})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Search:
    """A search as a client asked for it: the query, and the tags that answers hold."""

    query: Query
    returned: frozenset[int]


@dataclass(frozen=True, slots=True)
class Viewport:
    """The size that a rendered image must fit into, and the region of the image that is shown, in pixels."""

    width: int
    height: int
    region: tuple[int, int, int, int] | None  # left, top, width, height; None: all of it


@dataclass(frozen=True, slots=True)
class Rendering:
    """How an image is to be rendered. None: as the instance says, and in its own size."""

    window: Window | None = None
    viewport: Viewport | None = None
    quality: int = DEFAULT_QUALITY


def parse_search(
    parameters: Sequence[tuple[str, str]],
    level: Level,
    study_instance_uid: str | None = None,
    series_instance_uid: str | None = None,
) -> Search:
    """Understand the query parameters of a search transaction.

    Parameters
    ----------
    parameters
        Names and values, decoded, in the order of the request.
    level
        What is searched for.
    study_instance_uid, series_instance_uid
        From the path, where the search is within a study or a series.

    Raises
    ------
    InvalidRequest
        A value is not of its parameter's form, or a matching key is unknown, given twice, not held by the
        index, or of a level below the one that is searched.

    References
    ----------
    PS3.18 8.3.4, 10.6.1.2
    """
    if len(parameters) > MAX_PARAMETERS:
        raise InvalidRequest(f"more than {MAX_PARAMETERS} query parameters")
    keys = [(_matching_key(name, level), value) for name, value in parameters if name not in _OPTIONS]
    if len({key for key, _ in keys}) < len(keys):
        raise InvalidRequest("a matching key is given more than once")
    query = Query(
        level,
        keys,
        study_instance_uid,
        series_instance_uid,
        limit=min(_unsigned(parameters, "limit", MAX_RESULTS), MAX_RESULTS),
        offset=_unsigned(parameters, "offset", 0),
    )
    if query.offset > MAX_OFFSET:
        raise InvalidRequest(f"offset is larger than {MAX_OFFSET}; narrow the search instead")
    return Search(query, frozenset(_returned_tags(query, _included(parameters))))


def parse_study_list(parameters: Sequence[tuple[str, str]]) -> Search:
    """Understand the parameters of the study list: those of a search, and ``q``, the search box's text."""
    text = next((value for name, value in parameters if name == "q"), None)
    search = parse_search([(name, value) for name, value in parameters if name != "q"], Level.STUDY)
    return replace(search, query=replace(search.query, text=text))


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


def parse_viewport(text: str) -> Viewport:
    """Parse ``vw,vh`` or ``vw,vh,sx,sy,sw,sh``.

    Raises
    ------
    InvalidRequest
        A number is malformed, zero, or larger than 8192 (the viewport) or 65535 (the region). Negative sizes
        of the region, which ask for a mirror image, are refused too: nobody must mistake left for right.

    References
    ----------
    PS3.18 8.3.5.1.3
    """
    numbers = [number.strip() for number in text.split(",", 6)]
    if len(numbers) not in (2, 6) or not all(_UNSIGNED.fullmatch(number) for number in numbers):
        raise InvalidRequest("viewport is vw,vh or vw,vh,sx,sy,sw,sh, whole numbers of pixels")
    width, height, *region = map(int, numbers)
    if not (1 <= width <= MAX_VIEWPORT and 1 <= height <= MAX_VIEWPORT):
        raise InvalidRequest(f"the viewport's sides have 1 to {MAX_VIEWPORT} pixels")
    if not region:
        return Viewport(width, height, None)
    left, top, region_width, region_height = region
    if max(region) > 65535 or not (region_width and region_height):
        raise InvalidRequest("the viewport's region is empty or larger than an image can be")
    return Viewport(width, height, (left, top, region_width, region_height))


def parse_rendering(parameters: Sequence[tuple[str, str]]) -> Rendering:
    """Understand the parameters of a rendered resource; others are left alone (PS3.18 8.3).

    Raises
    ------
    InvalidRequest
        A value is not of its parameter's form.

    References
    ----------
    PS3.18 8.3.5.1
    """
    found = dict(parameters)
    window, viewport = found.get("window"), found.get("viewport")
    quality = _unsigned(parameters, "quality", DEFAULT_QUALITY)
    if not 1 <= quality <= 100:
        raise InvalidRequest("quality is 1 to 100")
    return Rendering(
        window=parse_window(window) if window else None,
        viewport=parse_viewport(viewport) if viewport else None,
        quality=quality,
    )


async def read_rendering(request: Request) -> Rendering:
    """Read how the image of a request is to be rendered."""
    return parse_rendering(request.query_params.multi_items())


RenderingParameters = Annotated[Rendering, Depends(read_rendering)]


def _matching_key(name: str, level: Level) -> Attribute | SequenceKey:
    key = find_key(name)
    if key is None:
        raise InvalidRequest(f"{name} is not an attribute that this archive can search by")
    if key.level > level:
        raise InvalidRequest(
            f"{name} is of the {key.level.name.lower()} level, this search of the {level.name.lower()} level"
        )
    return key


def _unsigned(parameters: Sequence[tuple[str, str]], name: str, default: int) -> int:
    values = [value for key, value in parameters if key == name]
    if not values or values == [""]:
        return default
    if len(values) > 1 or not _UNSIGNED.fullmatch(values[0]):
        raise InvalidRequest(f"{name} is one whole number, not negative")
    return int(values[0])


def _included(parameters: Sequence[tuple[str, str]]) -> list[str]:
    """List the fields to include: the parameter may come repeatedly, and each time with a list."""
    lists = [value.split(",", MAX_PARAMETERS) for name, value in parameters if name == "includefield"]
    return [field.strip() for fields in lists for field in fields]


def _returned_tags(query: Query, included: Sequence[str]) -> Iterable[int]:
    """Yield the tags of an answer: the level's own, those asked for, and the keys that matched.

    Attributes of the levels above are answered where the path leaves them open, their UIDs always.
    """
    everything = _ALL in included
    lowest_open = Level.STUDY
    if query.study_instance_uid is not None:
        lowest_open = Level.SERIES if query.series_instance_uid is None else Level.INSTANCE
    for attribute in ATTRIBUTES:
        if attribute.level > query.level:
            continue
        is_open = attribute.level >= min(lowest_open, query.level)
        if everything or attribute.vr == "UI" or (attribute.default and is_open):
            yield attribute.tag
    yield from (tag for tag, level in SEQUENCE_TAGS.items() if level == query.level or everything)
    for field in included:
        yield from _included_tags(field, query.level)
    for key, _ in query.keys:
        yield key.tag if isinstance(key, Attribute) else key.sequence_tag


def _included_tags(field: str, level: Level) -> Iterable[int]:
    """Find what a field to include stands for; what the index does not hold is left out (PS3.18 8.3.4.3)."""
    try:
        key = find_key(field)
    except InvalidRequest:
        return
    if key is not None and key.level <= level:
        yield key.tag if isinstance(key, Attribute) else key.sequence_tag
