"""Graphics and words that a presentation state lays over images (PS3.3 C.10.5, C.10.7)."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import Dataset

from pacs.errors import UndecodablePixels
from pacs.pixels.cielab import color_of_cielab, color_of_p_value
from pacs.pixels.composition import WHITE, Color
from pacs.pixels.elements import read_decimals, read_integer, read_items, read_texts
from pacs.pixels.references import ImageReference, read_references
from pacs.pixels.text import clean_text
from pacs.pixels.view import Point

PIXEL = "PIXEL"
DISPLAY = "DISPLAY"
_UNITS = (PIXEL, DISPLAY)

POINT = "POINT"
POLYLINE = "POLYLINE"
INTERPOLATED = "INTERPOLATED"
CIRCLE = "CIRCLE"
ELLIPSE = "ELLIPSE"
_FEWEST_POINTS = {POINT: 1, POLYLINE: 2, INTERPOLATED: 2, CIRCLE: 2, ELLIPSE: 4}

# What people draw has some hundred points. All of it is drawn anew for each picture.
_MAX_GRAPHICS = 2_000
_MAX_POINTS = 20_000
_MAX_CHARACTERS = 20_000
_MAX_LENGTH = 2_048  # ST has half of that (PS3.5 6.2)
_MAX_LAYERS = 32
_MAX_COORDINATE = 1e6


@dataclass(frozen=True, slots=True)
class Graphic:
    """A shape; its points are (column, row) in ``units``."""

    kind: str
    units: str
    points: tuple[Point, ...]
    filled: bool


@dataclass(frozen=True, slots=True)
class Words:
    """A text beside an anchor point, or in a box, whose two corners are top left and bottom right."""

    text: str
    box: tuple[Point, Point] | None
    box_units: str
    align: str
    anchor: Point | None
    anchor_units: str
    is_anchor_visible: bool


@dataclass(frozen=True, slots=True)
class Annotation:
    """A group of shapes and texts in one layer."""

    references: tuple[ImageReference, ...]
    layer: str
    graphics: tuple[Graphic, ...]
    words: tuple[Words, ...]


@dataclass(frozen=True, slots=True)
class Layer:
    """A graphic layer; one of a lower order lies below."""

    name: str
    order: int
    color: Color = WHITE


def read_layers(attributes: Dataset) -> tuple[Layer, ...]:
    """Read the Graphic Layer Sequence, the lowest layer first.

    Raises
    ------
    UndecodablePixels
        There are more than anybody needs.
    """
    items = read_items(attributes, "GraphicLayerSequence")
    if len(items) > _MAX_LAYERS:
        raise UndecodablePixels(f"more than {_MAX_LAYERS} graphic layers")
    layers = [
        Layer(
            (read_texts(item, "GraphicLayer") or [""])[0],
            read_integer(item, "GraphicLayerOrder") or 0,
            _read_color(item),
        )
        for item in items
    ]
    return tuple(sorted(layers, key=lambda layer: layer.order))


def read_annotations(attributes: Dataset) -> tuple[Annotation, ...]:
    """Read the Graphic Annotation Sequence.

    Raises
    ------
    UndecodablePixels
        A shape lacks points, a text its place, or there are more of them than anybody draws.
    """
    annotations = tuple(
        _read_annotation(item) for item in read_items(attributes, "GraphicAnnotationSequence")
    )
    points = [len(graphic.points) for one in annotations for graphic in one.graphics]
    characters = [len(words.text) for one in annotations for words in one.words]
    has_too_many = len(points) > _MAX_GRAPHICS or sum(points) > _MAX_POINTS
    if has_too_many or sum(characters) > _MAX_CHARACTERS or max(characters, default=0) > _MAX_LENGTH:
        raise UndecodablePixels("the presentation state has too many graphics or words")
    return annotations


def _read_annotation(item: Dataset) -> Annotation:
    return Annotation(
        read_references(item),
        (read_texts(item, "GraphicLayer") or [""])[0],
        tuple(_read_graphic(graphic) for graphic in read_items(item, "GraphicObjectSequence")),
        tuple(_read_words(words) for words in read_items(item, "TextObjectSequence")),
    )


def _read_graphic(item: Dataset) -> Graphic:
    kind = (read_texts(item, "GraphicType") or [""])[0].upper()
    points = _read_points(item, "GraphicData")
    if len(points) < _FEWEST_POINTS.get(kind, _MAX_POINTS + 1):
        raise UndecodablePixels("a graphic is of an unknown kind or lacks points")
    filled = read_texts(item, "GraphicFilled")[:1] == ["Y"]
    return Graphic(kind, _read_units(item, "GraphicAnnotationUnits"), points, filled)


def _read_words(item: Dataset) -> Words:
    corners = _read_points(item, "BoundingBoxTopLeftHandCorner") + _read_points(
        item, "BoundingBoxBottomRightHandCorner"
    )
    anchor = _read_points(item, "AnchorPoint")
    if len(corners) < 2 and not anchor:
        raise UndecodablePixels("a text has no place")
    lines = read_texts(item, "UnformattedTextValue")
    align = (read_texts(item, "BoundingBoxTextHorizontalJustification") or ["LEFT"])[0].lower()
    return Words(
        clean_text("\\".join(lines)),
        (corners[0], corners[1]) if len(corners) >= 2 else None,
        _read_units(item, "BoundingBoxAnnotationUnits"),
        align if align in ("left", "center", "right") else "left",
        anchor[0] if anchor else None,
        _read_units(item, "AnchorPointAnnotationUnits"),
        read_texts(item, "AnchorPointVisibility")[:1] == ["Y"],
    )


def _read_points(item: Dataset, keyword: str) -> tuple[Point, ...]:
    numbers = read_decimals(item, keyword)
    if any(abs(number) > _MAX_COORDINATE for number in numbers):
        raise UndecodablePixels(f"{keyword} is beyond any image")
    return tuple(zip(numbers[::2], numbers[1::2], strict=False))


def _read_units(item: Dataset, keyword: str) -> str:
    units = (read_texts(item, keyword) or [PIXEL])[0].upper()
    if units not in _UNITS:
        raise UndecodablePixels("annotations are placed by PIXEL or DISPLAY")
    return units


def _read_color(item: Dataset) -> Color:
    lab = read_decimals(item, "GraphicLayerRecommendedDisplayCIELabValue")
    if len(lab) == 3:
        return color_of_cielab([int(each) for each in lab])
    rgb = read_decimals(item, "GraphicLayerRecommendedDisplayRGBValue")  # retired, and still written
    if len(rgb) == 3:
        scale = 1 if max(rgb) <= 255 else 257
        red, green, blue = (min(max(round(each / scale), 0), 255) for each in rgb)
        return red, green, blue
    gray = read_integer(item, "GraphicLayerRecommendedDisplayGrayscaleValue")
    return WHITE if gray is None else color_of_p_value(gray)
