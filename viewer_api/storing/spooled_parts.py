"""The parts of a body of metadata and bulk data, kept on disk until all of them are there."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from pacs.errors import ObjectTooLarge, UnreadableInstance
from storage.errors import StoreUnavailable
from storage.os_errors import os_errors_translated
from viewer_api.media_types import OCTET_STREAM, MediaType, parse_media_type
from viewer_api.multipart import Part
from viewer_api.storing.received_dataset import BulkReference, Pieces

_PIECE_SIZE_BYTES: Final = 1 << 20
_MAX_TIMES_READ_BACK: Final = 2
_SUBJECT: Final = "the file of a request's parts"


@dataclass(frozen=True, slots=True)
class SpooledPart:
    """A part, and where in the file its content lies."""

    media_type: MediaType
    offset: int
    size_bytes: int


class SpooledParts:
    """The parts of one request, in one file without a name: it is gone with the request, or the process.

    Parameters
    ----------
    folder
        On a disk with room.
    max_size_bytes
        Of all parts together.
    """

    def __init__(self, folder: Path, max_size_bytes: int) -> None:
        with os_errors_translated(_SUBJECT):
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed on leaving the block
        self._size_bytes = 0
        self._read_back_bytes = 0
        self._max_size_bytes = max_size_bytes
        self._by_location: dict[str, list[SpooledPart]] = {}

    def __enter__(self) -> Self:
        """Take parts within the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drop what was taken."""
        with suppress(OSError):  # a full disk may not take what is left to write; it is not wanted any more
            self._file.close()

    def add(self, part: Part) -> SpooledPart:
        """Take a part; those of one Content-Location are the frames of one value, in their order.

        Raises
        ------
        ObjectTooLarge
            All parts together are larger than what is taken in.
        storage.errors.StoreFull, storage.errors.StoreUnavailable
        """
        media_type = parse_media_type(part.headers.get("content-type", OCTET_STREAM))
        if media_type is None:
            raise UnreadableInstance("a part has a malformed media type")
        offset = self._size_bytes
        for chunk in part.chunks:
            self._size_bytes += len(chunk)
            if self._size_bytes > self._max_size_bytes:
                raise ObjectTooLarge(f"the request is larger than {self._max_size_bytes} bytes")
            with os_errors_translated(_SUBJECT):
                self._file.write(chunk)
        spooled = SpooledPart(media_type, offset, self._size_bytes - offset)
        location = part.headers.get("content-location", "")
        if location:
            self._by_location.setdefault(location, []).append(spooled)
        return spooled

    def find(self, reference: BulkReference) -> list[SpooledPart]:
        """Find the parts of a bulk value. A location is a name here, and nothing is ever fetched from it.

        Raises
        ------
        UnreadableInstance
            The request has no such part.
        """
        found = self._by_location.get(reference.uri.strip())
        if not found:
            raise UnreadableInstance("a bulk value is not among the parts of the request")
        return found

    def read_bulk(self, reference: BulkReference) -> Pieces:
        """Give size and bytes of an uncompressed bulk value. Raises UnreadableInstance."""
        parts = self.find(reference)
        pieces = (piece for part in parts for piece in self.read(part))
        return sum(part.size_bytes for part in parts), pieces

    def read(self, part: SpooledPart) -> Iterator[bytes]:
        """Read a bulk value, or a frame of one, piece by piece.

        Raises
        ------
        UnreadableInstance
            The instances of the request name its bulk data again and again: together they would be far larger
            than the request.
        """
        self._read_back_bytes += part.size_bytes
        if self._read_back_bytes > _MAX_TIMES_READ_BACK * self._size_bytes:
            raise UnreadableInstance("the bulk data of the request is named too often")
        yield from self._read(part)

    def read_document(self, part: SpooledPart) -> bytes:
        """Read a part of metadata."""
        return b"".join(self._read(part))

    def _read(self, part: SpooledPart) -> Iterator[bytes]:
        offset, end = part.offset, part.offset + part.size_bytes
        while offset < end:
            with os_errors_translated(_SUBJECT):
                self._file.seek(offset)
                piece = self._file.read(min(_PIECE_SIZE_BYTES, end - offset))
            if not piece:
                raise StoreUnavailable(f"{_SUBJECT}: it cannot be read back")
            offset += len(piece)
            yield piece

    def beginning(self, part: SpooledPart, size_bytes: int) -> bytes:
        """Read the first bytes of a part."""
        with os_errors_translated(_SUBJECT):
            self._file.seek(part.offset)
            return self._file.read(min(size_bytes, part.size_bytes))
