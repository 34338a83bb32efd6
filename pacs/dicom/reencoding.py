"""A data set of any native encoding written in Little Endian, with or without VRs, its values byte for byte.

pydicom would decode each value and encode it again, by which text that breaks its character set is lost and a
number that is none stops everything. Here values stay what they are: only their VR is named, where the
original leaves it to the dictionary, and the bytes of binary numbers are turned around, where it is big
endian.
"""

from __future__ import annotations

import struct
from typing import Any, Final

import numpy as np
from pydicom.datadict import dictionary_VR, private_dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element
from pydicom.tag import Tag

from pacs.dicom.element_heads import LONG_FORM, UNDEFINED_LENGTH
from pacs.dicom.explicit_vr import SEQUENCE_DELIMITER, encode_head, encode_implicit_head

_WORD_SIZES: Final = {
    **dict.fromkeys(("AT", "OW", "SS", "US"), 2),
    **dict.fromkeys(("FL", "OF", "OL", "SL", "UL"), 4),
    **dict.fromkeys(("FD", "OD", "OV", "SV", "UV"), 8),
}
# Where the dictionary leaves a choice, for a value whose bytes are the same in all of them.
_CHOICES: Final = {"US or OW": "OW", "US or SS or OW": "OW", "OB or OW": "OW"}
_MAX_SHORT_LENGTH: Final = 0xFFFE
_ITEM: Final = struct.pack("<HH", 0xFFFE, 0xE000)


def encode_explicit(dataset: Dataset) -> bytes:
    """Encode a data set as pydicom has read it, and as it was changed since.

    Sequences and items get defined lengths; group lengths, which are retired, are left out.

    Raises
    ------
    UnreadableInstance
        A sequence is larger than 4 GiB.

    References
    ----------
    PS3.5 7.1.2, 6.2.2, A.2
    """
    return _encode(dataset, is_signed=dataset.get("PixelRepresentation") == 1)


def encode_implicit(dataset: Dataset) -> bytes:
    """Encode a data set as :func:`encode_explicit`, but in Implicit VR Little Endian.

    VRs of private elements are lost, which the receiver has to know or takes for UN.

    References
    ----------
    PS3.5 7.1.3, A.1
    """
    return _encode(dataset, is_signed=dataset.get("PixelRepresentation") == 1, implicit_vr=True)


def _encode(dataset: Dataset, is_signed: bool, implicit_vr: bool = False) -> bytes:
    if "PixelRepresentation" in dataset:
        is_signed = dataset.get("PixelRepresentation") == 1
    encoded = []
    for tag in sorted(dataset.keys()):
        if tag.element == 0:
            continue
        element = dataset.get_item(tag)
        vr = _vr(dataset, element, is_signed)
        if vr == "SQ":
            encoded.append(_encode_sequence(dataset[tag], is_signed, implicit_vr))
        elif isinstance(element, RawDataElement):
            encoded.append(_encode_raw(element, vr, implicit_vr))
        else:
            encoded.append(_encode_changed(element, implicit_vr))
    return b"".join(encoded)


def _vr(dataset: Dataset, element: Any, is_signed: bool) -> str:
    vr = element.VR
    if vr is None:
        vr = _dictionary_vr(dataset, element.tag)
    if " or " in vr:
        vr = _CHOICES.get(vr, "SS" if is_signed else "US")
    return str(vr)


def _dictionary_vr(dataset: Dataset, tag: Any) -> str:
    """Look up the VR of an element that was encoded without; UN for one that is not known (PS3.5 6.2.2)."""
    try:
        if not tag.is_private:
            return dictionary_VR(tag)
        if tag.is_private_creator:
            return "LO"
        creator = dataset.get(Tag(tag.group, tag.element >> 8))
        return private_dictionary_VR(tag, str(creator.value)) if creator else "UN"
    except Exception:  # KeyError where it is not known; pydicom converts the creator when asked
        return "UN"


def _encode_raw(element: RawDataElement, vr: str, implicit_vr: bool) -> bytes:
    value = element.value or b""
    if element.length == UNDEFINED_LENGTH:  # encapsulated pixel data of an icon
        return _head(element.tag, vr, UNDEFINED_LENGTH, implicit_vr) + value + SEQUENCE_DELIMITER
    value = value if element.is_little_endian else _turn(value, vr)
    return _head(element.tag, vr, len(value), implicit_vr) + value


def _encode_sequence(element: DataElement, is_signed: bool, implicit_vr: bool) -> bytes:
    items = []
    for item in element.value or ():
        encoded = _encode(item, is_signed, implicit_vr)
        items.append(_ITEM + struct.pack("<I", len(encoded)) + encoded)
    value = b"".join(items)
    return _head(element.tag, "SQ", len(value), implicit_vr) + value


def _encode_changed(element: DataElement, implicit_vr: bool) -> bytes:
    """Encode an element that pydicom has converted, or that was set."""
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, implicit_vr
    write_data_element(buffer, element)
    return bytes(buffer.getvalue())


def _head(tag: Any, vr: str, length: int, implicit_vr: bool) -> bytes:
    """Encode a head; with its VR, a value that is too long for its VR becomes one of VR UN (PS3.5 6.2.2)."""
    if implicit_vr:
        return encode_implicit_head(int(tag), length)
    is_too_long = length > _MAX_SHORT_LENGTH and vr.encode() not in LONG_FORM
    return encode_head(int(tag), "UN" if is_too_long else vr, length)


def _turn(value: bytes, vr: str) -> bytes:
    word_size = _WORD_SIZES.get(vr, 1)
    if word_size == 1 or len(value) % word_size:
        return value
    return np.frombuffer(value, f"u{word_size}").byteswap().tobytes()
