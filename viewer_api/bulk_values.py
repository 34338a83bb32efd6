"""Binary values of a data set, as the URIs of its metadata name them: a tag, in sequences tag/item/tag."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as ItemSequence
from pydicom.tag import Tag

from pacs.dicom.dataset_json import BINARY_VRS, MAX_INLINE_SIZE_BYTES
from pacs.errors import InvalidRequest, NotFound
from viewer_api.media_types import OCTET_STREAM

_PATH: Final = re.compile(r"[0-9A-F]{8}(/[1-9][0-9]{0,5}/[0-9A-F]{8}){0,16}", re.IGNORECASE | re.ASCII)
_ENCAPSULATED_DOCUMENT: Final = 0x00420011
_WORD_SIZES: Final = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
_MAX_DEPTH: Final = 16

# An encapsulated document keeps its media type only where it is one of these and begins as one does: what a
# sender calls a PDF may be a page with a script.
_MAGIC: Final = {"application/pdf": b"%PDF-"}


@dataclass(frozen=True, slots=True)
class BulkValue:
    """A binary value, little endian, with the path that names it."""

    path: str
    value: bytes
    media_type: str


def parse_bulkdata_path(text: str) -> str:
    """Return a path in capitals. Raises InvalidRequest where it is none."""
    if not _PATH.fullmatch(text):
        raise InvalidRequest("bulk data is named by its tag, within sequences by tag/item/tag")
    return text.upper()


def find_value(dataset: Dataset, path: str, *, big_endian: bool) -> BulkValue:
    """Find the value that a path names.

    Raises
    ------
    NotFound
        There is no such element, or it is not binary.
    """
    *steps, last = path.split("/")
    for holder, number in zip(steps[::2], steps[1::2], strict=True):
        dataset = _find_item(dataset, int(holder, 16), int(number))
    element = _get(dataset, int(last, 16))
    if element is None or element.VR not in BINARY_VRS or not isinstance(element.value, bytes):
        raise NotFound("there is no such bulk data")
    return _bulk_value(dataset, element, path, big_endian)


def list_values(dataset: Dataset, *, big_endian: bool, above: str = "") -> Iterator[BulkValue]:
    """List the values that metadata names by a URI, in the order of their tags, but pixel data."""
    for tag in sorted(dataset.keys()):
        element = _get(dataset, tag)
        if element is None:
            continue
        path = f"{above}{tag:08X}"
        if isinstance(element.value, ItemSequence):
            if above.count("/") < 2 * _MAX_DEPTH:
                for number, item in enumerate(element.value, 1):
                    yield from list_values(item, big_endian=big_endian, above=f"{path}/{number}/")
        elif (
            element.VR in BINARY_VRS
            and isinstance(element.value, bytes)
            and len(element.value) > MAX_INLINE_SIZE_BYTES
        ):
            yield _bulk_value(dataset, element, path, big_endian)


def _bulk_value(dataset: Dataset, element: DataElement, path: str, big_endian: bool) -> BulkValue:
    value, word_size = element.value, _WORD_SIZES.get(element.VR, 1)
    if big_endian and len(value) % word_size == 0:
        value = np.frombuffer(value, f"u{word_size}").byteswap().tobytes()
    return BulkValue(path, value, _media_type(dataset, element.tag, value))


def _get(dataset: Dataset, tag: int) -> DataElement | None:
    try:
        found: DataElement | None = dataset.get(Tag(tag))
    except Exception:  # pydicom converts when asked, and fails in its own ways
        return None
    return found


def _find_item(dataset: Dataset, tag: int, number: int) -> Dataset:
    element = _get(dataset, tag)
    items = None if element is None else element.value
    if not isinstance(items, ItemSequence) or number > len(items):
        raise NotFound("there is no such bulk data")
    item: Dataset = items[number - 1]
    return item


def _media_type(dataset: Dataset, tag: int, value: bytes) -> str:
    if tag != _ENCAPSULATED_DOCUMENT:
        return OCTET_STREAM
    claimed = str(dataset.get("MIMETypeOfEncapsulatedDocument", "")).strip().lower()
    magic = _MAGIC.get(claimed)
    return claimed if magic is not None and value.startswith(magic) else OCTET_STREAM
