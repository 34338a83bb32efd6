"""The DICOM File Format: preamble and File Meta Information (PS3.10 7.1)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from pacs.dicom.element_heads import LONG_FORM, Buffer
from pacs.errors import UnreadableInstance

# Derived from a UUID (PS3.5 B.2). Both are part of the stored bytes and so of every object's digest:
# they never change, whatever the version of the software (storage/FORMAT.md).
IMPLEMENTATION_CLASS_UID = "2.25.309696866198740601483169068498310485481"
IMPLEMENTATION_VERSION_NAME = "FILMLESS_1"

PREAMBLE_SIZE_BYTES = 128
MAX_FILE_META_SIZE_BYTES = 64 * 1024
_PREFIX = b"DICM"


@dataclass(frozen=True, slots=True)
class FileMeta:
    """What a file says of its data set before it begins; a SOP UID that it does not say is empty."""

    transfer_syntax_uid: str
    sop_class_uid: str
    sop_instance_uid: str


def encode_file_meta(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Encode preamble, prefix and the smallest legal File Meta Information; the data set follows it.

    The same three UIDs give the same bytes for ever.

    References
    ----------
    PS3.10 Table 7.1-1
    """
    before, behind = _around_instance_uid(sop_class_uid, transfer_syntax_uid)
    elements = before + _element(0x0003, b"UI", sop_instance_uid) + behind
    group_length = struct.pack("<HH2sHI", 0x0002, 0x0000, b"UL", 4, len(elements))
    return bytes(PREAMBLE_SIZE_BYTES) + _PREFIX + group_length + elements


@lru_cache(maxsize=256)
def _around_instance_uid(sop_class_uid: str, transfer_syntax_uid: str) -> tuple[bytes, bytes]:
    """Encode what the instances of a series have in common, before and behind their own UID."""
    before = (
        struct.pack("<HH2sHI", 0x0002, 0x0001, b"OB", 0, 2) + b"\x00\x01",
        _element(0x0002, b"UI", sop_class_uid),
    )
    behind = (
        _element(0x0010, b"UI", transfer_syntax_uid),
        _element(0x0012, b"UI", IMPLEMENTATION_CLASS_UID),
        _element(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME),
    )
    return b"".join(before), b"".join(behind)


def _element(element: int, vr: bytes, text: str) -> bytes:
    value = text.encode("ascii")
    if len(value) % 2:
        value += b"\0" if vr == b"UI" else b" "
    return struct.pack("<HH2sH", 0x0002, element, vr, len(value)) + value


def split_part10(chunks: Iterable[Buffer]) -> tuple[FileMeta, Iterator[Buffer]]:
    """Split the bytes of a DICOM file into its File Meta Information and the bytes of its data set.

    A wrong group length, as some devices write it, does no harm: the elements of group 0002 are walked.

    Parameters
    ----------
    chunks
        The file, piece by piece; read no further than needed.

    Raises
    ------
    UnreadableInstance
        No prefix, no transfer syntax, or a File Meta Information that is cut short or larger than 64 KiB.

    References
    ----------
    PS3.10 7.1
    """
    source = iter(chunks)
    head = bytearray()
    for chunk in source:
        head += chunk
        meta = _parse_head(head, whole=len(head) > MAX_FILE_META_SIZE_BYTES)
        if meta is not None:
            return meta[0], _chain(bytes(head[meta[1] :]), source)
    meta = _parse_head(head, whole=True)
    if meta is None:
        raise UnreadableInstance("the file ends inside its File Meta Information")
    return meta[0], iter((bytes(head[meta[1] :]),))


def _chain(first: bytes, rest: Iterator[Buffer]) -> Iterator[Buffer]:
    if first:
        yield first
    yield from rest


def _parse_head(head: bytearray, *, whole: bool) -> tuple[FileMeta, int] | None:
    """Parse the head of a file; None when more bytes are needed, which is an error once it is ``whole``."""
    start = PREAMBLE_SIZE_BYTES + len(_PREFIX)
    if len(head) >= start and head[PREAMBLE_SIZE_BYTES:start] != _PREFIX:
        raise UnreadableInstance("this is not a DICOM file: the prefix DICM is missing (PS3.10 7.1)")
    if len(head) < start:
        if whole:
            raise UnreadableInstance("this is not a DICOM file: it is shorter than its preamble (PS3.10 7.1)")
        return None
    values: dict[int, bytes] = {}
    offset = start
    while len(head) >= offset + 8:
        group, element, vr, short_length = struct.unpack_from("<HH2sH", head, offset)
        if group != 0x0002:
            return _file_meta(values), offset
        long_form = vr in LONG_FORM
        if long_form and len(head) < offset + 12:
            break
        length = struct.unpack_from("<I", head, offset + 8)[0] if long_form else short_length
        end = offset + (12 if long_form else 8) + length
        if end > start + MAX_FILE_META_SIZE_BYTES:
            raise UnreadableInstance("the File Meta Information is larger than 64 KiB")
        if len(head) < end:
            break
        values[element] = bytes(head[end - length : end])
        offset = end
    if not whole:
        return None
    if offset != len(head):
        raise UnreadableInstance("the file ends inside its File Meta Information")
    return _file_meta(values), offset


def _file_meta(values: dict[int, bytes]) -> FileMeta:
    def uid(element: int) -> str:
        return values.get(element, b"").rstrip(b"\0 ").decode("ascii", "replace")

    if not uid(0x0010):
        raise UnreadableInstance("the File Meta Information names no transfer syntax (0002,0010)")
    return FileMeta(transfer_syntax_uid=uid(0x0010), sop_class_uid=uid(0x0002), sop_instance_uid=uid(0x0003))
