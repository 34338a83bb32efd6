"""The content of a structured report as a tree of plain text (PS3.3 C.17.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset

from pacs.errors import UnreadableInstance
from pacs.pixels.elements import read_items, read_texts

MAX_DEPTH: Final = 64
MAX_ITEMS: Final = 20_000

CONTAINER: Final = "CONTAINER"


@dataclass(frozen=True, slots=True)
class ContentItem:
    """One item: what it is about, what it says of that, and the items below it.

    ``name`` is empty where the report gives none, ``value`` for a container.
    """

    value_type: str
    name: str
    value: str
    children: Sequence[ContentItem] = ()


def has_content_tree(attributes: Dataset) -> bool:
    """Tell whether a data set is a structured report."""
    return read_texts(attributes, "ValueType")[:1] == [CONTAINER]


def read_content_tree(attributes: Dataset) -> ContentItem:
    """Read the tree from its root, which is the data set itself.

    Raises
    ------
    UnreadableInstance
        It is nested deeper than 64 items, or has more than 20,000.
    """
    return _Reader().read(attributes, 0)


class _Reader:
    """Reads items, with what may still be spent on them."""

    def __init__(self) -> None:
        self._items_left = MAX_ITEMS

    def read(self, item: Dataset, depth: int) -> ContentItem:
        self._items_left -= 1
        if depth > MAX_DEPTH or self._items_left < 0:
            raise UnreadableInstance("the report has more content than can be shown")
        value_type = _text(item, "ValueType")
        write = _WRITERS.get(value_type, _unwritten)
        children = [self.read(child, depth + 1) for child in read_items(item, "ContentSequence")]
        return ContentItem(value_type, _meaning(item, "ConceptNameCodeSequence"), write(item), children)


def _text(item: Dataset, keyword: str) -> str:
    return " ".join(read_texts(item, keyword))


def _meaning(item: Dataset, keyword: str) -> str:
    """Return what a code means, or the code itself where nobody says."""
    codes = read_items(item, keyword)
    if not codes:
        return ""
    return _text(codes[0], "CodeMeaning") or _text(codes[0], "CodeValue")


def _number(item: Dataset) -> str:
    measured = read_items(item, "MeasuredValueSequence")
    if not measured:
        return _meaning(item, "NumericValueQualifierCodeSequence")
    units = read_items(measured[0], "MeasurementUnitsCodeSequence")
    unit = _text(units[0], "CodeValue") if units else ""
    shown = (
        ""
        if unit == "1"
        else unit
        if len(unit) <= 16
        else _meaning(measured[0], "MeasurementUnitsCodeSequence")
    )
    return f"{_text(measured[0], 'NumericValue')} {shown}".strip()


def _reference(item: Dataset) -> str:
    references = read_items(item, "ReferencedSOPSequence")
    if not references:
        return ""
    frames = _text(references[0], "ReferencedFrameNumber")
    return _text(references[0], "ReferencedSOPInstanceUID") + (f" [{frames}]" if frames else "")


def _name(item: Dataset) -> str:
    return _text(item, "PersonName").partition("=")[0].replace("^", " ").strip()


def _unwritten(item: Dataset) -> str:
    return ""


_WRITERS: Final[Mapping[str, Callable[[Dataset], str]]] = {
    "TEXT": lambda item: _text(item, "TextValue"),
    "CODE": lambda item: _meaning(item, "ConceptCodeSequence"),
    "NUM": _number,
    "DATE": lambda item: _text(item, "Date"),
    "TIME": lambda item: _text(item, "Time"),
    "DATETIME": lambda item: _text(item, "DateTime"),
    "PNAME": _name,
    "UIDREF": lambda item: _text(item, "UID"),
    "IMAGE": _reference,
    "COMPOSITE": _reference,
    "WAVEFORM": _reference,
    "SCOORD": lambda item: _text(item, "GraphicType"),
    "SCOORD3D": lambda item: _text(item, "GraphicType"),
    "TCOORD": lambda item: _text(item, "TemporalRangeType"),
}
