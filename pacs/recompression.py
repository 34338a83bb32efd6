"""Uncompressed objects in a lossless compression, decoded again before anybody relies on them.

The instance stays what it is: its UIDs are kept, and nothing says that it was compressed with loss. Only its
transfer syntax is another, as PS3.18 and PS3.4 let an archive choose it. What replaces the old object, and
when, is for the caller to say.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydicom import dcmread

from pacs.archive import Archive
from pacs.conversion import convert_instance, convertible_syntaxes
from pacs.dicom.header import scan_header
from pacs.dicom.instance import InstanceAttributes, read_instance
from pacs.dicom.part10 import encode_file_meta
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.errors import PixelsUnavailable, UnfaithfulCompression, UnsupportedTransferSyntax
from pacs.index.records import StoredInstance
from pacs.ingest import read_staged
from pacs.pixels.decode import needs_codec
from pacs.pixels.description import describe_pixels
from pacs.pixels.frames import read_encoded_frames
from pacs.pixels.transcode import HTJ2K_LOSSLESS, JPEG_LS_LOSSLESS
from pacs.retrieve import open_pixel_data, read_attributes
from storage.store import StagedObject

RECOMPRESSED_SYNTAXES: Final = (HTJ2K_LOSSLESS, JPEG_LS_LOSSLESS)


@dataclass(frozen=True, slots=True)
class RecompressedInstance:
    """A compressed instance that is staged and verified; the attributes are as ingest would read them."""

    staged: StagedObject
    transfer_syntax_uid: str
    dataset_offset: int
    attributes: InstanceAttributes


@contextmanager
def recompress(
    archive: Archive, instance: StoredInstance, transfer_syntax_uid: str = HTJ2K_LOSSLESS
) -> Iterator[RecompressedInstance]:
    """Stage an uncompressed instance in a lossless compression, with every frame decoded and found equal.

    The caller commits what is staged, or does not: where it is no smaller, say. Memory is taken for a frame,
    disk for the compressed object, twice while it is made.

    Parameters
    ----------
    transfer_syntax_uid
        One of ``RECOMPRESSED_SYNTAXES``.

    Raises
    ------
    UnsupportedTransferSyntax
        The instance is compressed already, or something of it would not survive: float, single bit and
        32 bit pixels, overlays in unused bits, bytes behind the last frame.
    UnfaithfulCompression
        What was compressed is not read back as what is stored.
    pacs.errors.PixelsUnavailable, pacs.errors.UndecodablePixels, pacs.errors.UnreadableInstance
        There is no image, or it is damaged.
    storage.errors.ObjectNotFound, storage.errors.StoreFull, storage.errors.StoreUnavailable
    """
    _require_recompressible(archive, instance, transfer_syntax_uid)
    syntax = TRANSFER_SYNTAXES[transfer_syntax_uid]
    meta = encode_file_meta(instance.sop_class_uid, instance.sop_instance_uid, syntax.uid)
    with archive.store.stage() as staged:
        for piece in convert_instance(archive, instance, syntax.uid, with_offset_table=True):
            staged.write(piece)
        attributes = read_staged(archive, staged, len(meta), syntax)
        if _identity(attributes) != _identity(_stored_attributes(archive, instance)):
            raise UnfaithfulCompression("the attributes are not those of the stored instance")
        _require_same_frames(archive, instance, staged, len(meta), syntax.uid)
        yield RecompressedInstance(staged, syntax.uid, len(meta), attributes)


def _require_recompressible(archive: Archive, instance: StoredInstance, transfer_syntax_uid: str) -> None:
    if transfer_syntax_uid not in RECOMPRESSED_SYNTAXES:
        raise UnsupportedTransferSyntax(f"nothing is compressed anew in {transfer_syntax_uid}")
    description = describe_pixels(read_attributes(archive, instance), instance.transfer_syntax_uid)
    if needs_codec(description):
        raise UnsupportedTransferSyntax("the instance is compressed already")
    if transfer_syntax_uid not in convertible_syntaxes(archive, instance):
        raise UnsupportedTransferSyntax("pixels of this kind would not survive compression")
    stream, _, size_bytes = open_pixel_data(archive, instance)
    stream.close()
    bits = description.samples_per_frame * description.bits_allocated * description.number_of_frames
    if size_bytes is not None and size_bytes > -(-bits // 16) * 2:
        raise UnsupportedTransferSyntax("there is more pixel data than the frames, which would be lost")


def _identity(attributes: InstanceAttributes) -> tuple[object, ...]:
    return attributes.study, attributes.series, attributes.instance, attributes.procedure_codes


def _stored_attributes(archive: Archive, instance: StoredInstance) -> InstanceAttributes:
    location, syntax = instance.location, TRANSFER_SYNTAXES[instance.transfer_syntax_uid]
    end = location.size_bytes if syntax.deflated else location.header_size_bytes
    dataset = archive.store.read_range(location.key, location.dataset_offset, end - location.dataset_offset)
    return read_instance(dataset, syntax, archive.settings.undeclared_character_set, whole=syntax.deflated)


def _require_same_frames(
    archive: Archive, instance: StoredInstance, staged: StagedObject, dataset_offset: int, uid: str
) -> None:
    """Decode every frame of both objects, and compare.

    Raises
    ------
    UnfaithfulCompression
        They are not the same, or what is staged cannot be decoded.
    """
    stored = _read_stored(archive, instance)
    with staged.view() as view:
        try:
            found = _read_view(archive, view, dataset_offset, uid)
            for one, other in zip(stored, found, strict=True):
                if one.dtype != other.dtype or not np.array_equal(one, other):
                    raise UnfaithfulCompression("a frame is not read back as what is stored")
        except (PixelsUnavailable, ValueError) as error:
            raise UnfaithfulCompression("the frames are not read back as what is stored") from error


def _read_stored(archive: Archive, instance: StoredInstance) -> Iterator[npt.NDArray[Any]]:
    attributes = read_attributes(archive, instance)
    description = describe_pixels(attributes, instance.transfer_syntax_uid)
    stream, offset, size_bytes = open_pixel_data(archive, instance)
    with stream:
        indices = range(description.number_of_frames)
        for frame in read_encoded_frames(stream, offset, size_bytes, description, indices, attributes):
            yield archive.decoding.decode(frame, description)


def _read_view(
    archive: Archive, view: memoryview, dataset_offset: int, transfer_syntax_uid: str
) -> Iterator[npt.NDArray[Any]]:
    """Read the frames of a Part 10 object in memory, from its bytes alone."""
    with view[dataset_offset:] as dataset:
        pixel_data = scan_header(dataset, TRANSFER_SYNTAXES[transfer_syntax_uid]).pixel_data
    if pixel_data is None:
        raise UnfaithfulCompression("there is no pixel data")
    offset = dataset_offset + pixel_data.offset
    with view[:offset] as head:
        attributes = dcmread(io.BytesIO(head), stop_before_pixels=True, force=True)
    description = describe_pixels(attributes, transfer_syntax_uid)
    with _ViewReader(view) as stream:
        indices = range(description.number_of_frames)
        frames = read_encoded_frames(
            io.BufferedReader(stream), offset, pixel_data.size_bytes, description, indices, attributes
        )
        for frame in frames:
            yield archive.decoding.decode(frame, description)


class _ViewReader(io.RawIOBase):
    """A stream of a view, which may be larger than memory: nothing is copied but what is read."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._position = 0

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that one can move in it."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a place, by an offset that is never negative but from the end; return it."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: len(self._view)}[whence]
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Read what follows into ``buffer``; return how much, 0 at the end."""
        with self._view[self._position : self._position + len(buffer)] as found:
            buffer[: len(found)] = found
            self._position += len(found)
            return len(found)
