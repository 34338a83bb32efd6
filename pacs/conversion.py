"""Instances in another transfer syntax than the stored one, piece by piece.

The SOP Instance UID stays what it is, also where the pixels lose something: an answer to who asks for this
instance is no new instance of the archive. PS3.3 C.7.6.1.1.5 wants a new one for an image that is kept.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from pacs.archive import Archive
from pacs.dicom.explicit_vr import encode_head
from pacs.dicom.part10 import encode_file_meta
from pacs.dicom.reencoding import encode_explicit, encode_implicit
from pacs.dicom.transfer_syntaxes import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TRANSFER_SYNTAXES,
)
from pacs.errors import PixelsUnavailable, UndecodablePixels, UnreadableInstance, UnsupportedTransferSyntax
from pacs.index.records import StoredInstance
from pacs.pixels.description import PixelDescription, describe_pixels
from pacs.pixels.elements import read_integer, read_texts
from pacs.pixels.fragments import EncapsulatedPixelData
from pacs.pixels.frames import read_encoded_frames
from pacs.pixels.pixel_data import SpooledFrames, join_native, write_encapsulated, write_native
from pacs.pixels.transcode import encode_frame, encode_native, is_lossless, transcodable_syntaxes, transcoded
from pacs.retrieve import copy_range, open_pixel_data, read_attributes, read_own_attributes

_NATIVE: Final = frozenset(
    {
        IMPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_BIG_ENDIAN,
        DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    }
)
_MAX_NATIVE_SIZE_BYTES: Final = 0xFFFFFFFE
_MAX_BEHIND_PIXELS_SIZE_BYTES: Final = 64 * 1024 * 1024
_WORD_SIZES: Final = {"OF": 4, "OD": 8}
_IMPLICIT_VRS: Final = {0x0008: "OF", 0x0009: "OD"}  # of the group 7FE0; all others are OW (PS3.5 A.1)
_OVERLAY_GROUPS: Final = range(0x6000, 0x6020, 2)
_JPEG_METHOD: Final = "ISO_10918_1"  # PS3.3 C.7.6.1.1.5.1


@dataclass(frozen=True, slots=True)
class _PixelElement:
    """The pixel data element of an object: its stream, its head, and where its value lies in the stream."""

    stream: BinaryIO
    tag: int
    vr: str
    offset: int
    size_bytes: int | None  # None: encapsulated

    def find_end(self) -> int:
        """Return the offset of the first byte behind the element."""
        if self.size_bytes is not None:
            return self.offset + self.size_bytes
        return EncapsulatedPixelData(self.stream, self.offset, None).find_end()


def convertible_syntaxes(archive: Archive, instance: StoredInstance) -> list[str]:
    """List the transfer syntaxes that an instance can be sent in besides the stored one, the best first.

    Read from the header; that the pixel data is damaged is seen only when it is converted.

    Raises
    ------
    storage.errors.ObjectNotFound, storage.errors.StoreUnavailable
    """
    stored = instance.transfer_syntax_uid
    found = [EXPLICIT_VR_LITTLE_ENDIAN] if stored in _NATIVE and stored != EXPLICIT_VR_LITTLE_ENDIAN else []
    try:
        attributes = read_attributes(archive, instance)
        description = describe_pixels(attributes, stored)
    except UnreadableInstance:
        return []
    except PixelsUnavailable:
        return found
    if not has_pixel_data(instance) or _has_embedded_overlays(attributes):
        return found
    syntaxes = transcodable_syntaxes(description)
    if description.frame_size_bytes * description.number_of_frames > _MAX_NATIVE_SIZE_BYTES:
        syntaxes = [uid for uid in syntaxes if uid != EXPLICIT_VR_LITTLE_ENDIAN]
    return [*found, *(uid for uid in syntaxes if uid not in found)]


def can_be_implicit(instance: StoredInstance, convertible: Sequence[str]) -> bool:
    """Tell whether an instance can be sent in Implicit VR Little Endian too.

    Parameters
    ----------
    convertible
        What :func:`convertible_syntaxes` lists, which leaves it out: nobody but old devices wants it.
    """
    stored = instance.transfer_syntax_uid
    return stored != IMPLICIT_VR_LITTLE_ENDIAN and EXPLICIT_VR_LITTLE_ENDIAN in (stored, *convertible)


def has_pixel_data(instance: StoredInstance) -> bool:
    """Tell whether there is pixel data; of a deflated object the index does not know, and most are images."""
    deflated = TRANSFER_SYNTAXES[instance.transfer_syntax_uid].deflated
    return deflated or instance.location.pixel_data_offset is not None


def convert_instance(
    archive: Archive,
    instance: StoredInstance,
    transfer_syntax_uid: str,
    *,
    with_offset_table: bool = False,
) -> Iterator[bytes]:
    """Read an instance as a Part 10 object in another transfer syntax, piece by piece.

    The first piece has everything up to, and with, the first frame: what cannot be converted at all fails
    before anything was sent.

    Parameters
    ----------
    transfer_syntax_uid
        One of :func:`convertible_syntaxes`, or Implicit VR Little Endian where :func:`can_be_implicit`.
    with_offset_table
        Tell before encapsulated frames where each begins, which a reader of single ones is glad of. All of
        them are encoded before the first piece, into a temporary file.

    Raises
    ------
    UnsupportedTransferSyntax
        The instance cannot be brought into this transfer syntax.
    pacs.errors.UnreadableInstance, pacs.errors.PixelsUnavailable, pacs.errors.UndecodablePixels
        The data set or its pixel data is damaged.
    storage.errors.ObjectNotFound, storage.errors.StoreUnavailable

    References
    ----------
    PS3.18 8.7.3.5.2; PS3.5 A.2, A.4; PS3.3 C.7.6.1.1.5
    """
    attributes = read_own_attributes(archive, instance)
    meta = encode_file_meta(instance.sop_class_uid, instance.sop_instance_uid, transfer_syntax_uid)
    implicit_vr = transfer_syntax_uid == IMPLICIT_VR_LITTLE_ENDIAN
    if implicit_vr:  # the same but for the heads of elements
        transfer_syntax_uid = EXPLICIT_VR_LITTLE_ENDIAN
    try:
        stream, offset, size_bytes = open_pixel_data(archive, instance)
    except PixelsUnavailable:
        yield meta + encode_attributes(attributes, implicit_vr)
        return
    with stream:
        element = _read_element(stream, offset, size_bytes, instance)
        behind = _read_behind(element, instance, implicit_vr)
        if instance.transfer_syntax_uid in _NATIVE and transfer_syntax_uid == EXPLICIT_VR_LITTLE_ENDIAN:
            pieces = _copy_native(element, attributes, instance)
            size_bytes = element.size_bytes or 0
            first = encode_head(element.tag, element.vr, size_bytes) + next(pieces, b"")
        else:
            target, frames = _encode_frames(archive, element, attributes, instance, transfer_syntax_uid)
            pieces = _write_frames(frames, target, attributes if with_offset_table else None)
            first = next(pieces)
        if implicit_vr:
            first = first[:4] + first[8:]  # without VR and reserved bytes (PS3.5 7.1.2, 7.1.3)
        yield meta + encode_attributes(attributes, implicit_vr) + first
        yield from pieces
        yield behind


def read_native_pixel_data(archive: Archive, instance: StoredInstance) -> Iterator[bytes]:
    """Read the value of the pixel data, decoded where it is compressed, little endian, piece by piece.

    Raises
    ------
    pacs.errors.PixelsUnavailable, pacs.errors.UndecodablePixels
        There is no pixel data, or none that can be decoded.
    storage.errors.ObjectNotFound, storage.errors.StoreUnavailable
    """
    attributes = read_attributes(archive, instance)
    stream, offset, size_bytes = open_pixel_data(archive, instance)
    with stream:
        element = _read_element(stream, offset, size_bytes, instance)
        if instance.transfer_syntax_uid in _NATIVE:
            yield from _copy_native(element, attributes, instance)
            return
        description = describe_pixels(attributes, instance.transfer_syntax_uid)
        values = _decode(archive, element, attributes, description)
        frames = (encode_native(one, description) for one in values)
        yield from join_native(frames, description)


def read_behind_pixel_data(archive: Archive, instance: StoredInstance, *, implicit_vr: bool) -> bytes:
    """Read the elements behind the pixel data, such as digital signatures, encoded anew in Little Endian.

    Raises
    ------
    pacs.errors.UndecodablePixels, pacs.errors.UnreadableInstance
        The object is damaged there.
    storage.errors.ObjectNotFound, storage.errors.StoreUnavailable
    """
    try:
        stream, offset, size_bytes = open_pixel_data(archive, instance)
    except PixelsUnavailable:
        return b""
    with stream:
        element = _read_element(stream, offset, size_bytes, instance)
        return _read_behind(element, instance, implicit_vr)


def _copy_native(element: _PixelElement, attributes: Dataset, instance: StoredInstance) -> Iterator[bytes]:
    """Copy native pixel data, its words turned around where they are big endian."""
    if element.size_bytes is None:
        raise UndecodablePixels("native pixel data of undefined length")
    if element.offset + element.size_bytes > element.stream.seek(0, os.SEEK_END):
        raise UndecodablePixels("the object ends within its pixel data")
    word_size = 1
    if TRANSFER_SYNTAXES[instance.transfer_syntax_uid].big_endian:
        words = max(2, (read_integer(attributes, "BitsAllocated") or 16) // 8) if element.vr == "OW" else 1
        word_size = _WORD_SIZES.get(element.vr, words)
    for chunk in copy_range(element.stream, element.offset, element.size_bytes):
        yield chunk if word_size == 1 else _turn(chunk, word_size)


def _turn(chunk: bytes, word_size: int) -> bytes:
    whole = len(chunk) // word_size * word_size  # a chunk is cut at a multiple; the last one may be odd
    return np.frombuffer(chunk[:whole], f"u{word_size}").byteswap().tobytes() + chunk[whole:]


def _encode_frames(
    archive: Archive,
    element: _PixelElement,
    attributes: Dataset,
    instance: StoredInstance,
    transfer_syntax_uid: str,
) -> tuple[PixelDescription, Iterator[bytes]]:
    """Bring frames into another transfer syntax; when this returns, the attributes fit to it."""
    description = describe_pixels(attributes, instance.transfer_syntax_uid)
    target = transcoded(description, transfer_syntax_uid)
    values = _decode(archive, element, attributes, description)
    rest = (encode_frame(one, description, transfer_syntax_uid) for one in values)
    first = next(rest)
    _describe(attributes, description, target, len(first))
    return target, chain((first,), rest)


def _write_frames(
    frames: Iterator[bytes], target: PixelDescription, attributes: Dataset | None
) -> Iterator[bytes]:
    """Write the pixel data element; with an offset table, of which the attributes tell, if there are any."""
    if not target.transfer_syntax.encapsulated:
        yield from write_native(frames, target)
    elif attributes is None:
        yield from write_encapsulated(frames)
    else:
        with SpooledFrames(frames) as spooled:
            spooled.describe(attributes)
            yield from spooled.write()


def _decode(
    archive: Archive, element: _PixelElement, attributes: Dataset, description: PixelDescription
) -> Iterator[npt.NDArray[Any]]:
    frames = read_encoded_frames(
        element.stream,
        element.offset,
        element.size_bytes,
        description,
        range(description.number_of_frames),
        attributes,
    )
    return (archive.decoding.decode(frame, description) for frame in frames)


def _describe(
    attributes: Dataset, description: PixelDescription, target: PixelDescription, first_size_bytes: int
) -> None:
    """Say in the attributes what has become of the pixels.

    The ratio of a lossy compression is that of the first frame: the others come after the attributes.
    """
    attributes.PhotometricInterpretation = target.photometric_interpretation
    attributes.HighBit = target.high_bit
    if target.samples_per_pixel > 1:
        attributes.PlanarConfiguration = target.planar_configuration
    for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if keyword in attributes:
            delattr(attributes, keyword)
    if is_lossless(target.transfer_syntax_uid):
        return
    ratio = f"{description.frame_size_bytes / max(first_size_bytes, 1):.2f}"
    attributes.LossyImageCompression = "01"
    attributes.LossyImageCompressionRatio = [*read_texts(attributes, "LossyImageCompressionRatio"), ratio]
    attributes.LossyImageCompressionMethod = [
        *read_texts(attributes, "LossyImageCompressionMethod"),
        _JPEG_METHOD,
    ]
    attributes.ImageType = ["DERIVED", *(read_texts(attributes, "ImageType")[1:] or ["PRIMARY"])]


def _read_element(
    stream: BinaryIO, offset: int, size_bytes: int | None, instance: StoredInstance
) -> _PixelElement:
    """Read the head of the pixel data element, which ends where its value begins (PS3.5 7.1)."""
    syntax = TRANSFER_SYNTAXES[instance.transfer_syntax_uid]
    head_size_bytes = 8 if syntax.implicit_vr else 12
    stream.seek(offset - head_size_bytes)
    head = stream.read(head_size_bytes)
    group, element = struct.unpack_from(">HH" if syntax.big_endian else "<HH", head)
    vr = _IMPLICIT_VRS.get(element, "OW") if syntax.implicit_vr else head[4:6].decode("ascii", "replace")
    return _PixelElement(stream, group << 16 | element, vr, offset, size_bytes)


def _read_behind(element: _PixelElement, instance: StoredInstance, implicit_vr: bool) -> bytes:
    """Read the elements behind the pixel data, encoded anew."""
    end = element.find_end()
    size_bytes = element.stream.seek(0, os.SEEK_END) - end
    if size_bytes > _MAX_BEHIND_PIXELS_SIZE_BYTES:
        raise UnsupportedTransferSyntax("there is too much behind the pixel data")
    element.stream.seek(end)
    syntax = TRANSFER_SYNTAXES[instance.transfer_syntax_uid]
    encoded = io.BytesIO(element.stream.read(size_bytes))
    try:
        return _encoder(implicit_vr)(read_dataset(encoded, syntax.implicit_vr, not syntax.big_endian))
    except (Exception, RecursionError) as error:  # what pydicom raises on damage is not one tree
        raise UnreadableInstance(f"behind the pixel data: {type(error).__name__}") from error


def _encoder(implicit_vr: bool) -> Callable[[Dataset], bytes]:
    return encode_implicit if implicit_vr else encode_explicit


def encode_attributes(attributes: Dataset, implicit_vr: bool) -> bytes:
    """Encode attributes in Little Endian, with or without VRs. Raises UnreadableInstance."""
    try:
        return _encoder(implicit_vr)(attributes)
    except (Exception, RecursionError) as error:
        raise UnreadableInstance(f"the data set cannot be encoded: {type(error).__name__}") from error


def _has_embedded_overlays(attributes: Dataset) -> bool:
    """Tell whether an overlay lies in unused bits of the pixels, where no codec keeps it (PS3.5 8.1.2)."""
    return any(
        (group, 0x0100) in attributes and (group, 0x3000) not in attributes for group in _OVERLAY_GROUPS
    )
