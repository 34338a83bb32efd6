"""Deflated data sets (PS3.5 A.5): read without ever holding more than what is needed."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Set
from typing import Final

from pacs.dicom.element_heads import Buffer
from pacs.dicom.header import Header, scan_header
from pacs.dicom.transfer_syntaxes import TransferSyntax
from pacs.errors import UnreadableInstance

MAX_INFLATED_SIZE_BYTES: Final = 512 * 1024 * 1024
MAX_HEADER_SIZE_BYTES: Final = 16 * 1024 * 1024
MAX_INFLATION_RATIO: Final = 200
_PIECE_SIZE_BYTES: Final = 256 * 1024


def inflate(view: Buffer) -> bytes:
    """Inflate a whole data set.

    Raises
    ------
    UnreadableInstance
        The stream is damaged or cut short, or grows past 512 MiB or past 200 times its size.
    """
    return b"".join(_pieces(view))


def scan_deflated_header(
    view: Buffer, syntax: TransferSyntax, wanted: Set[int], wanted_sequences: Set[int]
) -> Header:
    """Scan a deflated data set as ``scan_header`` does, the stream being followed to its end.

    Only the bytes before the pixel data are held, and they are at most 16 MiB. The offset of the pixel data
    counts from the first byte of the inflated data set.

    Raises
    ------
    UnreadableInstance
        As ``inflate`` and ``scan_header``.
    """
    head = bytearray()
    header: Header | None = None
    size_bytes, look_at = 0, _PIECE_SIZE_BYTES
    for piece in _pieces(view):
        size_bytes += len(piece)
        if header is not None:
            continue
        head += piece
        if len(head) > MAX_HEADER_SIZE_BYTES:
            raise UnreadableInstance("the deflated data set has too much before its pixel data")
        if len(head) >= look_at:  # each look begins anew, so there are few
            header, look_at = _scan_beginning(head, syntax, wanted, wanted_sequences), 2 * len(head)
    if header is None:
        return scan_header(head, syntax, wanted, wanted_sequences)
    pixel_data = header.pixel_data
    if pixel_data and pixel_data.size_bytes and pixel_data.offset + pixel_data.size_bytes > size_bytes:
        raise UnreadableInstance("the pixel data is cut short")
    return header


def _scan_beginning(
    head: bytearray, syntax: TransferSyntax, wanted: Set[int], wanted_sequences: Set[int]
) -> Header | None:
    """Scan what is there so far; None as long as the pixel data has not been reached."""
    try:
        header = scan_header(head, syntax, wanted, wanted_sequences, whole=False)
    except UnreadableInstance:
        return None
    return header if header.pixel_data else None


def _pieces(view: Buffer) -> Iterator[bytes]:
    limit = min(MAX_INFLATED_SIZE_BYTES, max(len(view) * MAX_INFLATION_RATIO, 64 * 1024))
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    source, size_bytes = memoryview(view), 0
    with source:
        for start in range(0, len(view), _PIECE_SIZE_BYTES):
            compressed: Buffer = source[start : start + _PIECE_SIZE_BYTES]
            while compressed and not inflater.eof:
                piece = _inflate_piece(inflater, compressed)
                compressed = inflater.unconsumed_tail
                size_bytes += len(piece)
                if size_bytes > limit:
                    raise UnreadableInstance("the deflated data set would grow out of proportion")
                yield piece
    if not inflater.eof:
        raise UnreadableInstance("the deflated data set is cut short")


def _inflate_piece(inflater: zlib._Decompress, compressed: Buffer) -> bytes:
    try:
        return inflater.decompress(compressed, _PIECE_SIZE_BYTES)
    except zlib.error as error:
        raise UnreadableInstance("the deflated data set is damaged") from error
