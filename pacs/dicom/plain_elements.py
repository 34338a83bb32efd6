"""The straight road through a data set: plain elements, passed over at the least cost that Python allows.

An element is plain if nothing about it needs thought: little endian, a VR of the Standard, no group that is
special, no sequence that is to be entered, and so short that it ends within the window that is looked at. All
else, and all that is wrong, is left where it stands for :mod:`pacs.dicom.header`, which alone refuses: these
loops change the time that a scan takes and nothing else.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Set
from typing import Final, TypeAlias

from pacs.dicom.element_heads import LONG_FORM, SHORT_FORM, Buffer

# As many bytes are copied at a time, since slices of bytes are made in half the time of those of a view.
WINDOW_SIZE_BYTES: Final = 8 * 1024

_EXPLICIT = struct.Struct("<HH2sH").unpack_from
_IMPLICIT = struct.Struct("<HHI").unpack_from
_LENGTH = struct.Struct("<I").unpack_from

PassPlain: TypeAlias = Callable[[Buffer, int, int, Set[int], Set[int], dict[int, bytes]], tuple[int, int]]


def pass_plain_explicit(
    view: Buffer,
    offset: int,
    max_elements: int,
    wanted: Set[int],
    wanted_sequences: Set[int],
    values: dict[int, bytes],
) -> tuple[int, int]:
    """Pass over plain elements in explicit VR little endian.

    Parameters
    ----------
    view, offset
        The data set, and where in it an element begins.
    max_elements
        How many to pass over at most.
    wanted, wanted_sequences
        Tags of the elements to keep, and of the sequences to stop at.
    values
        Where the wanted values go, by tag; the first one of each tag stays.

    Returns
    -------
    tuple of int
        Where the first element begins that was not passed over, and how many were.

    References
    ----------
    PS3.5 7.1.2
    """
    window = bytes(view[offset : offset + WINDOW_SIZE_BYTES])
    read_head, short_form, size = _EXPLICIT, SHORT_FORM, len(window)
    start = 0
    for passed in range(max_elements):
        if start + 8 > size:
            return offset + start, passed
        group, element, vr, length = read_head(window, start)
        tag = group << 16 | element
        value = start + 8
        if vr not in short_form:
            if vr not in LONG_FORM or value + 4 > size or tag in wanted_sequences:
                return offset + start, passed
            (length,) = _LENGTH(window, value)
            value += 4
        end = value + length
        if end > size or not 0x0002 < group < 0x7FE0:
            return offset + start, passed
        if tag in wanted:
            values.setdefault(tag, window[value:end])
        start = end
    return offset + start, max_elements


def pass_plain_implicit(
    view: Buffer,
    offset: int,
    max_elements: int,
    wanted: Set[int],
    wanted_sequences: Set[int],
    values: dict[int, bytes],
) -> tuple[int, int]:
    """Pass over plain elements in implicit VR little endian, as ``pass_plain_explicit`` does in explicit VR.

    References
    ----------
    PS3.5 7.1.3
    """
    window = bytes(view[offset : offset + WINDOW_SIZE_BYTES])
    read_head, size = _IMPLICIT, len(window)
    start = 0
    for passed in range(max_elements):
        if start + 8 > size:
            return offset + start, passed
        group, element, length = read_head(window, start)
        tag = group << 16 | element
        end = start + 8 + length
        if end > size or not 0x0002 < group < 0x7FE0 or tag in wanted_sequences:
            return offset + start, passed
        if tag in wanted:
            values.setdefault(tag, window[start + 8 : end])
        start = end
    return offset + start, max_elements
