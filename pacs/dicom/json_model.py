"""Elements of the DICOM JSON Model (PS3.18 Annex F)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

import orjson

Element: TypeAlias = dict[str, Any]
JsonDataset: TypeAlias = dict[str, Element]

SPECIFIC_CHARACTER_SET: Final = "00080005"
_INTEGER: Final = re.compile(r"[+-]?\d{1,18}", re.ASCII)
COMPONENT_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")  # of a person name


def element(vr: str, *values: str | float | None) -> Element:
    """Write an element; ``None`` and empty text are null among other values, and nothing alone (F.2.5)."""
    written: list[Any] = [None if value == "" else value for value in values]
    if all(value is None for value in written):
        return {"vr": vr}
    if vr == "PN":
        written = [None if value is None else name_to_json(str(value)) for value in written]
    return {"vr": vr, "Value": written}


def sequence(items: Iterable[JsonDataset]) -> Element:
    """Write a sequence; without items it is empty."""
    written = list(items)
    return {"vr": "SQ", "Value": written} if written else {"vr": "SQ"}


def name_to_json(name: str) -> dict[str, str]:
    """Write a person name by its component groups; empty ones are left out (PS3.18 F.2.2)."""
    groups = zip(COMPONENT_GROUPS, name.split("=", len(COMPONENT_GROUPS) - 1), strict=False)
    return {component: text for component, text in groups if text}


def number_to_json(text: str) -> float | str | None:
    """Write a value of VR DS or IS as a number, or as text where it is none (PS3.18 F.2.3.1)."""
    text = text.strip()
    if _INTEGER.fullmatch(text):
        return int(text)
    try:
        return float(text) if text else None
    except ValueError:
        return text


def encode_dataset(dataset: JsonDataset) -> bytes:
    """Encode a data set as JSON; an element that has no place in JSON is written empty.

    Such are lone surrogates, which some character sets decode to, and sequences nested too deeply.
    """
    try:
        return orjson.dumps(dataset)
    except orjson.JSONEncodeError:
        return orjson.dumps({tag: _encodable(written) for tag, written in dataset.items()})


def _encodable(written: Element) -> Element:
    try:
        orjson.dumps(written)
    except orjson.JSONEncodeError:
        return {"vr": written["vr"]}
    return written
