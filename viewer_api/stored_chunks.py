"""The bytes of an object as it is stored, on their way into an answer."""

from __future__ import annotations

from collections.abc import Iterator

from pacs.archive import Archive
from pacs.index.records import StoredInstance
from pacs.pixels.fragments import Extent
from pacs.retrieve import locate_frame, open_file, read_chunks
from viewer_api.byte_ranges import Piece, piece_of
from viewer_api.frame_bytes import stored_frame
from viewer_api.streaming import Chunk, FilePart


def stored_chunks(
    archive: Archive, instance: StoredInstance, offset: int = 0, size_bytes: int | None = None
) -> Iterator[Chunk]:
    """Give an instance as it is stored, or a part of it: by its file, where it lies in one.

    Raises
    ------
    storage.errors.ObjectNotFound, storage.errors.StoreUnavailable
    """
    size_bytes = instance.location.size_bytes if size_bytes is None else size_bytes
    file = open_file(archive, instance)
    if file is None:
        yield from read_chunks(archive, instance, offset, size_bytes)
    else:
        yield FilePart(file, offset, size_bytes)


def stored_piece(archive: Archive, instance: StoredInstance, extent: Extent) -> Piece:
    """Make a piece of an answer of a part of an object."""
    return Piece(
        extent.size_bytes,
        lambda offset, size_bytes: stored_chunks(archive, instance, extent.offset + offset, size_bytes),
    )


def stored_frame_piece(archive: Archive, instance: StoredInstance, frame_number: int) -> Piece:
    """Make a piece of an answer of a frame (1-based) as it is stored.

    Raises what ``pacs.retrieve.read_frame`` raises.
    """
    extent = locate_frame(archive, instance, frame_number)
    if extent is None:
        return piece_of(stored_frame(archive, instance, frame_number))
    return stored_piece(archive, instance, extent)
