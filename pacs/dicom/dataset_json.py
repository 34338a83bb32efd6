"""Whole data sets in the DICOM JSON Model (PS3.18 Annex F), as instance metadata has them.

Written by hand because pydicom takes four milliseconds for the header of a CT slice and a series has
hundreds: values are taken from their bytes where pydicom has not converted them yet. What cannot be converted
becomes an empty element; one bad value never costs the others.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as ItemSequence
from pydicom.tag import BaseTag
from pydicom.valuerep import PersonName

from pacs.dicom.json_model import (
    SPECIFIC_CHARACTER_SET,
    Element,
    JsonDataset,
    element,
    number_to_json,
    sequence,
)
from pacs.dicom.text import TextDecoder, text_decoder

MAX_INLINE_SIZE_BYTES: Final = 1024  # a larger binary value is named by a URI

BINARY_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_NUMBER_FORMATS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}
_PLAIN_TEXT_VRS = frozenset({"AE", "AS", "CS", "DA", "DT", "TM", "UI", "UR"})
_ENCODED_TEXT_VRS = frozenset({"LO", "SH", "PN", "UC", "LT", "ST", "UT"})
_SINGLE_VALUE_VRS = frozenset({"LT", "ST", "UT", "UR"})  # a backslash is text (PS3.5 6.4)
_DECIMAL_VRS = frozenset({"DS", "IS"})
_VRS = frozenset(
    {*BINARY_VRS, *_NUMBER_FORMATS, *_PLAIN_TEXT_VRS, *_ENCODED_TEXT_VRS, *_DECIMAL_VRS, "AT", "SQ"}
)
_SPECIFIC_CHARACTER_SET_TAG = 0x00080005
_FIRST_DELIMITER_TAG = 0xFFFE0000
_NO_TAG = BaseTag(0)


@dataclass(frozen=True, slots=True)
class _Writing:
    """What writing a data set, or an item nested in it, needs to know."""

    decode: TextDecoder
    undeclared_character_set: str
    bulkdata_url: str  # of this data set; the tag is added behind it

    def at(self, dataset: Dataset) -> _Writing:
        """Take the character set of a data set, which an item may have of its own (PS3.5 7.5.3)."""
        declared = dataset.get_item(_SPECIFIC_CHARACTER_SET_TAG)
        if declared is None:
            return self
        value = declared.value
        if not isinstance(value, bytes):
            values = [value or ""] if isinstance(value, str) or value is None else value
            value = "\\".join(map(str, values)).encode("ascii", "replace")
        return replace(self, decode=text_decoder(value, self.undeclared_character_set))


def dataset_to_json(dataset: Dataset, undeclared_character_set: str, bulkdata_url: str) -> JsonDataset:
    """Write a data set, its text in UTF-8 whatever the device used.

    Parameters
    ----------
    dataset
        As ``pacs.retrieve.read_attributes`` returned it; it is not changed in any way that others see.
    undeclared_character_set
        A Python codec for bytes above 127 where no character set is declared.
    bulkdata_url
        What large binary values are named by: this, a slash, and the tag.

    Returns
    -------
    dict
        Elements by tag in ascending order. Specific Character Set is ISO_IR 192.

    References
    ----------
    PS3.18 F.2
    """
    writing = _Writing(text_decoder(b"", undeclared_character_set), undeclared_character_set, bulkdata_url)
    written = _write_dataset(dataset, writing)
    written[SPECIFIC_CHARACTER_SET] = element("CS", "ISO_IR 192")
    return dict(sorted(written.items()))


def value_to_json(vr: str, value: bytes, decode: TextDecoder, *, big_endian: bool) -> Element:
    """Write an element of its encoded value; one that is not of its VR's form becomes empty.

    A binary value longer than 1 KiB is left out.
    """
    convert = _FROM_BYTES.get(vr)
    try:
        if convert is not None:
            raw = RawDataElement(_NO_TAG, vr, len(value), value, 0, False, not big_endian)
            return element(vr, *convert(raw, _Writing(decode, "", "")))
    except (ValueError, struct.error):
        return {"vr": vr}
    vr = vr if vr in _VRS else "UN"  # whatever two bytes a device puts there
    if not 0 < len(value) <= MAX_INLINE_SIZE_BYTES:
        return {"vr": vr}
    return {"vr": vr, "InlineBinary": base64.b64encode(value).decode("ascii")}


def _write_dataset(dataset: Dataset, outer: _Writing) -> JsonDataset:
    writing = outer.at(dataset)
    written = {}
    for tag in sorted(dataset.keys()):
        # Group lengths are not written (F.2.2), nor are stray delimiters, which are no elements (PS3.5 7.5).
        if tag & 0xFFFF and tag < _FIRST_DELIMITER_TAG and tag != _SPECIFIC_CHARACTER_SET_TAG:
            written[f"{tag:08X}"] = _write_element(dataset, tag, writing)
    return written


def _write_element(dataset: Dataset, tag: int, writing: _Writing) -> Element:
    vr = "UN"
    try:
        raw = dataset.get_item(tag)  # it converts what has no value
        vr = raw.VR or "UN"
        if isinstance(raw, RawDataElement) and isinstance(raw.value, bytes):
            convert = _FROM_BYTES.get(vr)
            if convert is not None:
                return element(vr, *convert(raw, writing))
            if vr in BINARY_VRS and vr != "UN":  # pydicom knows the VR of many that were written as UN
                return _write_binary(tag, vr, raw.value, writing)
        return _write_converted(dataset[tag], writing)
    except (Exception, RecursionError):  # pydicom converts when asked, and each VR fails in its own way
        return {"vr": vr if vr in _VRS else "UN"}  # whatever two bytes a device puts there


def _write_converted(converted: DataElement, writing: _Writing) -> Element:
    """Write an element that pydicom has converted."""
    tag, value = int(converted.tag), converted.value
    vr = converted.VR.partition(" ")[0]  # "US or SS", where the data set does not tell
    if isinstance(value, ItemSequence):
        url = f"{writing.bulkdata_url}/{tag:08X}"
        items = (
            _write_dataset(item, replace(writing, bulkdata_url=f"{url}/{number}"))
            for number, item in enumerate(value, start=1)
        )
        return sequence(items)
    if isinstance(value, bytes):
        return _write_binary(tag, vr if vr in BINARY_VRS else "UN", value, writing)
    values: Iterable[Any] = [value] if isinstance(value, str | PersonName) or not _is_list(value) else value
    return element(vr, *(_write_value(vr, one, writing) for one in values))


def _is_list(value: Any) -> bool:
    return hasattr(value, "__iter__")


def _write_value(vr: str, value: Any, writing: _Writing) -> str | float | None:
    if value is None:
        return None
    if isinstance(value, PersonName):
        original = value.original_string
        return writing.decode(original) if isinstance(original, bytes) else str(value)
    if vr in _DECIMAL_VRS:
        return number_to_json(str(getattr(value, "original_string", value)))
    if vr == "AT":
        return f"{int(value):08X}"
    return value if isinstance(value, int | float) else str(value)


def _write_binary(tag: int, vr: str, value: bytes, writing: _Writing) -> Element:
    if not value:
        return {"vr": vr}
    if len(value) > MAX_INLINE_SIZE_BYTES:
        return {"vr": vr, "BulkDataURI": f"{writing.bulkdata_url}/{tag:08X}"}
    return {"vr": vr, "InlineBinary": base64.b64encode(value).decode("ascii")}


def _plain_text(raw: RawDataElement, writing: _Writing) -> list[str | float | None]:
    text = _value(raw).decode("ascii", "replace").replace("\0", "")
    if raw.VR in _SINGLE_VALUE_VRS:
        return [text.strip()]
    return [one.strip() for one in text.split("\\")]


def _encoded_text(raw: RawDataElement, writing: _Writing) -> list[str | float | None]:
    text = writing.decode(_value(raw)).replace("\0", "").rstrip(" ")
    if raw.VR in _SINGLE_VALUE_VRS:
        return [text]
    return [one.strip() for one in text.split("\\")]


def _decimals(raw: RawDataElement, writing: _Writing) -> list[str | float | None]:
    return [number_to_json(one) if isinstance(one, str) else one for one in _plain_text(raw, writing)]


def _binary_numbers(raw: RawDataElement, writing: _Writing) -> list[str | float | None]:
    value, letter = _value(raw), _NUMBER_FORMATS[str(raw.VR)]
    count = len(value) // struct.calcsize(letter)
    return list(struct.unpack(f"{_byte_order(raw)}{count}{letter}", value))


def _tags(raw: RawDataElement, writing: _Writing) -> list[str | float | None]:
    value = _value(raw)
    words = struct.unpack(f"{_byte_order(raw)}{len(value) // 2}H", value)
    return [f"{group:04X}{number:04X}" for group, number in zip(words[::2], words[1::2], strict=True)]


def _value(raw: RawDataElement) -> bytes:
    return raw.value or b""


def _byte_order(raw: RawDataElement) -> str:
    return "<" if raw.is_little_endian else ">"


_FROM_BYTES: dict[str, Callable[[RawDataElement, _Writing], list[str | float | None]]] = {
    **dict.fromkeys(_PLAIN_TEXT_VRS, _plain_text),
    **dict.fromkeys(_ENCODED_TEXT_VRS, _encoded_text),
    **dict.fromkeys(_DECIMAL_VRS, _decimals),
    **dict.fromkeys(_NUMBER_FORMATS, _binary_numbers),
    "AT": _tags,
}
