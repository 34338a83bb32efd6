"""The way out: whole instances, their attributes, and single frames as they are stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from pydicom.dataset import Dataset

from pacs.archive import Archive
from pacs.index.records import StoredInstance


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """One frame as stored: native bytes, or one compressed codestream."""

    data: bytes
    transfer_syntax_uid: str
    frame_number: int  # 1-based


def find_instances(
    archive: Archive,
    study_instance_uid: str,
    series_instance_uid: str | None = None,
    sop_instance_uid: str | None = None,
) -> list[StoredInstance]:
    """List the instances of a study, a series or a single one, in series and instance number order.

    Raises
    ------
    pacs.errors.NotFound
        There is none.
    """
    raise NotImplementedError


def open_instance(archive: Archive, instance: StoredInstance) -> BinaryIO:
    """Open the Part 10 object for reading, byte for byte as kept.

    Raises
    ------
    storage.errors.ObjectNotFound, storage.errors.StoreUnavailable
    """
    raise NotImplementedError


def read_chunks(archive: Archive, instance: StoredInstance, chunk_size_bytes: int = 1 << 20) -> Iterator[bytes]:
    """Read the Part 10 object piece by piece."""
    raise NotImplementedError


def read_attributes(archive: Archive, instance: StoredInstance) -> Dataset:
    """Read the data set up to, and without, the pixel data; cached (do not change what you get)."""
    raise NotImplementedError


def read_frame(archive: Archive, instance: StoredInstance, frame_number: int) -> EncodedFrame:
    """Read one frame (1-based) by range, without reading the rest of the object.

    Raises
    ------
    pacs.errors.NotFound
        There is no such frame.
    pacs.errors.PixelsUnavailable, pacs.errors.UndecodablePixels
        The instance has no pixel data, or it is damaged.
    """
    raise NotImplementedError
