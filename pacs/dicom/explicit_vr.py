"""Writing data elements in Little Endian (PS3.5 6.2, 7.1), mostly with VRs: values in, bytes out."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from pacs.dicom.element_heads import LONG_FORM, SHORT_FORM, UNDEFINED_LENGTH
from pacs.errors import UnreadableInstance

Value: TypeAlias = str | int | float | None

ITEM: Final = struct.pack("<HHI", 0xFFFE, 0xE000, UNDEFINED_LENGTH)
ITEM_DELIMITER: Final = struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
SEQUENCE_DELIMITER: Final = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)

BINARY_VRS: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_KNOWN_VRS = {vr.decode("ascii") for vr in LONG_FORM | SHORT_FORM}
_MAX_SHORT_LENGTH = 0xFFFE
_PLAIN_TEXT_VRS = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"})
_ENCODED_TEXT_VRS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_SINGLE_VALUE_VRS = frozenset({"LT", "ST", "UT", "UR"})  # a backslash is text (PS3.5 6.4)
_INTEGER_FORMATS = {"US": "<H", "SS": "<h", "UL": "<I", "SL": "<i", "UV": "<Q", "SV": "<q"}
_FLOAT_FORMATS = {"FL": "<f", "FD": "<d"}
_MAX_DECIMAL_LENGTH = 16


def require_vr(vr: object) -> str:
    """Return ``vr`` if it is a value representation of the Standard. Raises UnreadableInstance."""
    if not isinstance(vr, str) or vr not in _KNOWN_VRS:
        raise UnreadableInstance("an element has a value representation that the Standard does not know")
    return vr


def encode_head(tag: int, vr: str, length: int) -> bytes:
    """Encode tag, VR and length of an element.

    Raises
    ------
    UnreadableInstance
        The value is longer than its VR can be.

    References
    ----------
    PS3.5 7.1.2
    """
    code = vr.encode("ascii")
    if code in SHORT_FORM:
        if length > _MAX_SHORT_LENGTH:
            raise UnreadableInstance(f"a value of VR {vr} is longer than {_MAX_SHORT_LENGTH} bytes")
        return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, code, length)
    if length > UNDEFINED_LENGTH:
        raise UnreadableInstance("a value is longer than an element can be")
    return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, code, 0, length)


def encode_implicit_head(tag: int, length: int) -> bytes:
    """Encode tag and length of an element, without its VR.

    Raises
    ------
    UnreadableInstance
        The value is longer than an element can be.

    References
    ----------
    PS3.5 7.1.3
    """
    if length > UNDEFINED_LENGTH:
        raise UnreadableInstance("a value is longer than an element can be")
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, length)


def encode_values(vr: str, values: Sequence[Value]) -> bytes:
    """Encode the values of an element, text in UTF-8, padded to an even length.

    Parameters
    ----------
    vr
        Any but the binary ones and SQ.
    values
        Numbers may come as text. None is an empty value among others.

    Raises
    ------
    UnreadableInstance
        A value is not of its VR; the message does not repeat it.
    """
    try:
        if vr in _PLAIN_TEXT_VRS or vr in _ENCODED_TEXT_VRS:
            return _encode_text(vr, values)
        encode = _NUMBERS[vr]
        return b"".join(encode(vr, value) for value in values if value is not None)
    except (KeyError, ValueError, TypeError, OverflowError, struct.error) as error:
        raise UnreadableInstance(f"a value is none of VR {vr}") from error


def pad(vr: str, size_bytes: int) -> bytes:
    """Return what makes a value of this size one of even length (PS3.5 6.2)."""
    text = vr in _ENCODED_TEXT_VRS or (vr in _PLAIN_TEXT_VRS and vr != "UI")
    return (b" " if text else b"\0") if size_bytes % 2 else b""


def _encode_text(vr: str, values: Sequence[Value]) -> bytes:
    texts = ["" if value is None else _text(vr, value) for value in values]
    if vr in _SINGLE_VALUE_VRS:
        if len(texts) > 1:
            raise ValueError("there is one value only")
    elif any("\\" in text for text in texts):
        raise ValueError("a backslash stands between values, never in one")
    encoded = "\\".join(texts).encode("ascii" if vr in _PLAIN_TEXT_VRS else "utf-8")
    return encoded + pad(vr, len(encoded))


def _text(vr: str, value: str | float) -> str:
    if isinstance(value, str):
        return value
    if vr not in ("DS", "IS") or isinstance(value, bool):
        raise TypeError("not text")
    return _decimal(value) if isinstance(value, float) else str(value)


def _decimal(number: float) -> str:
    """Write a number in the 16 characters of a decimal string, as exactly as these allow (PS3.5 6.2)."""
    for precision in range(17, 0, -1):
        text = f"{number:.{precision}G}"
        if len(text) <= _MAX_DECIMAL_LENGTH and text[-1].isdigit():
            return text
    raise ValueError("not a finite number")


def _integer(vr: str, value: str | float) -> bytes:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise TypeError("not a whole number")
    return struct.pack(_INTEGER_FORMATS[vr], int(value))


def _float(vr: str, value: str | float) -> bytes:
    return struct.pack(_FLOAT_FORMATS[vr], float(value))


def _tag(_vr: str, value: str | float) -> bytes:
    tag = int(str(value), 16)
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF)


_NUMBERS: dict[str, Callable[[str, str | float], bytes]] = {
    **dict.fromkeys(_INTEGER_FORMATS, _integer),
    **dict.fromkeys(_FLOAT_FORMATS, _float),
    "AT": _tag,
}
