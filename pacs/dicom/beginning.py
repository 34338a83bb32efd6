"""The first elements of a data set: what it says of itself before any of it is kept."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from pacs.dicom.element_heads import SHORT_FORM, Buffer
from pacs.dicom.header import scan_header
from pacs.dicom.sop_classes import is_storage_sop_class
from pacs.dicom.transfer_syntaxes import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TRANSFER_SYNTAXES,
    TransferSyntax,
)
from pacs.dicom.uids import parse_uid
from pacs.errors import InvalidUid, UnreadableInstance

_SOP_CLASS_UID, _SOP_INSTANCE_UID = 0x00080016, 0x00080018
_INFLATED_SIZE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class SopUids:
    """What a data set says that it is."""

    sop_class_uid: str
    sop_instance_uid: str


def read_sop_uids(beginning: Buffer, syntax: TransferSyntax) -> SopUids | None:
    """Read SOP Class and SOP Instance UID from the first bytes of a data set.

    They stand among the first elements (PS3.5 7.1: ascending order). None where they do not, where the bytes
    end before them, or where one of them is no UID: the reader of the whole data set then has the last word.
    """
    if syntax.deflated:
        try:
            beginning = zlib.decompressobj(-zlib.MAX_WBITS).decompress(beginning, _INFLATED_SIZE_BYTES)
        except zlib.error:
            return None
    found = _walk(beginning, ">" if syntax.big_endian else "<")
    try:
        return found and SopUids(parse_uid(found.sop_class_uid), parse_uid(found.sop_instance_uid))
    except InvalidUid:
        return None


def recognise_bare_dataset(head: Buffer) -> TransferSyntax | None:
    """Recognise a data set that was saved without preamble and File Meta Information; None if it is not one.

    Its transfer syntax is told by its first element, and it must name a storage SOP class of the Standard.
    No more is guessed: ``require_native_pixels`` refuses one whose pixel data is compressed.
    """
    if bytes(head[:1]) == b"\x08":
        syntax = EXPLICIT_VR_LITTLE_ENDIAN if bytes(head[4:6]) in SHORT_FORM else IMPLICIT_VR_LITTLE_ENDIAN
    else:
        syntax = EXPLICIT_VR_BIG_ENDIAN
    uids = read_sop_uids(head, TRANSFER_SYNTAXES[syntax])
    if uids is None or not is_storage_sop_class(uids.sop_class_uid, accept_unknown=False):
        return None
    return TRANSFER_SYNTAXES[syntax]


def require_native_pixels(head: Buffer, syntax: TransferSyntax) -> None:
    """Refuse a bare data set of which nobody can tell how its pixel data is encoded.

    Parameters
    ----------
    head
        The data set, or so much of it that its pixel data begins there.

    Raises
    ------
    UnreadableInstance
    """
    pixel_data = scan_header(head, syntax, whole=False).pixel_data
    if pixel_data is not None and pixel_data.size_bytes is None:
        raise UnreadableInstance("compressed pixel data, and no File Meta Information that tells by what")


def _walk(view: Buffer, byte_order: str) -> SopUids | None:
    """Walk over elements of group 0008 in ascending order until both UIDs are found."""
    offset, last = 0, 0
    values: dict[int, str] = {}
    while len(view) >= offset + 8:
        group, element = struct.unpack_from(byte_order + "HH", view, offset)
        tag = group << 16 | element
        if group != 0x0008 or tag <= last or element > 0x0018:
            return None
        if bytes(view[offset + 4 : offset + 6]) in SHORT_FORM:
            (length,) = struct.unpack_from(byte_order + "H", view, offset + 6)
        else:
            (length,) = struct.unpack_from(byte_order + "I", view, offset + 4)
        end = offset + 8 + length
        if end > len(view):
            return None
        if tag in (_SOP_CLASS_UID, _SOP_INSTANCE_UID):
            values[tag] = bytes(view[offset + 8 : end]).decode("ascii", "replace")
        if tag == _SOP_INSTANCE_UID:
            return SopUids(values[_SOP_CLASS_UID], values[tag]) if _SOP_CLASS_UID in values else None
        offset, last = end, tag
    return None
